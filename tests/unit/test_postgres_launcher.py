"""Our own PostgreSQL, its children and the directories it lives in: quick to start, and never left behind."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from harness import cache, users
from harness.cache import cache_dir, locked, run_dir
from harness.stacks import children
from harness.stacks.children import Child, start_child
from harness.stacks.ports import free_port
from harness.stacks.postgres import PostgresCluster
from harness.stacks.postgres_files import PostgresError, find_programs, template_cluster
from harness.users import User, may_enter

GUARD_S = 60.0
ENV = {"PATH": os.environ["PATH"]}


def run(story: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await story

    asyncio.run(guarded())


def until(condition: Callable[[], bool], what: str, bound: float = 15.0) -> None:
    """Wait for *condition*; its absence is the failure."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


async def fetch(url: str, query: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.fixture
def directory() -> Path:
    """A run directory, where PostgreSQL's own user can reach it."""
    return run_dir() / "postgres"


def test_it_starts_and_makes_databases_from_templates(directory: Path) -> None:
    """A database made from another has what that one had; a dropped one is gone."""

    async def story() -> None:
        async with PostgresCluster(directory) as postgres:
            first = await postgres.create_database("first")
            await fetch(first, "CREATE TABLE entries (amount int)")
            await fetch(first, "INSERT INTO entries VALUES (7)")
            second = await postgres.create_database('the "second"', template="first")
            assert second != first
            connection = await asyncpg.connect(
                host="127.0.0.1", port=postgres.port, user="chaos", database='the "second"'
            )
            assert await connection.fetchval("SELECT sum(amount) FROM entries") == 7
            await postgres.drop_database('the "second"')  # although someone is connected to it
            connection.terminate()
            await postgres.drop_database("never there")
            names = await fetch(postgres.url(), "SELECT array_agg(datname::text) FROM pg_database")
            assert "first" in names
            assert 'the "second"' not in names
        assert not postgres.alive
        assert not postgres.data.exists()

    run(story())


@pytest.mark.parametrize("how", [signal.SIGQUIT, signal.SIGKILL])
def test_a_crash_keeps_what_was_committed(directory: Path, how: signal.Signals) -> None:
    """And only that; it comes back on the same port."""

    async def story() -> None:
        async with PostgresCluster(directory) as postgres:
            url = await postgres.create_database("ledger")
            await fetch(url, "CREATE TABLE entries (amount int)")
            await fetch(url, "INSERT INTO entries VALUES (7)")
            open_one = await asyncpg.connect(url)
            await open_one.execute("BEGIN; INSERT INTO entries VALUES (1000)")
            port = postgres.port

            await postgres.crash(how)
            assert not postgres.alive
            with pytest.raises((OSError, asyncpg.PostgresError)):
                await fetch(url, "SELECT 1")
            await postgres.restart()

            assert postgres.port == port
            assert await fetch(url, "SELECT sum(amount) FROM entries") == 7
            open_one.terminate()

    run(story())


def test_a_pause_holds_every_connection(directory: Path) -> None:
    """Also those that were open; afterwards the answer comes."""

    async def story() -> None:
        async with PostgresCluster(directory) as postgres:
            connection = await asyncpg.connect(postgres.url())
            postgres.pause()
            asking = asyncio.create_task(connection.fetchval("SELECT 7"))
            done, _ = await asyncio.wait([asking], timeout=0.1)
            assert not done
            postgres.resume()
            assert await asking == 7
            postgres.pause()
            await postgres.crash()
            await postgres.restart()
            connection.terminate()

    run(story())


def test_the_template_is_made_once(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second start copies what the first one made, and two at once make one."""
    home = directory.parent / "cache"
    environ = {"TOPUP_CHAOS_CACHE": str(home)}
    started: list[str] = []

    def watched(argv: Any, *args: Any, **keywords: Any) -> Child:
        started.append(Path(argv[0]).name)
        return start_child(argv, *args, **keywords)

    monkeypatch.setattr("harness.stacks.postgres_files.start_child", watched)

    async def story() -> None:
        programs = await find_programs(cache_dir(environ), environ)
        one, two = await asyncio.gather(*(template_cluster(programs, home) for _ in range(2)))
        assert one == two == await template_cluster(programs, home)
        assert (one / "PG_VERSION").is_file()

    run(story())

    assert started == ["initdb"]


def test_two_clusters_live_side_by_side(directory: Path) -> None:
    """Each has its own port and its own data."""

    async def story() -> None:
        async with PostgresCluster(directory) as one, PostgresCluster(directory.with_name("other")) as two:
            await one.create_database("mine")
            names = await fetch(two.url(), "SELECT array_agg(datname::text) FROM pg_database")
            assert "mine" not in names

    run(story())


def test_a_taken_port_is_tried_again_elsewhere(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between choosing a port and listening on it someone else may."""
    ports: list[int] = []

    async def story() -> None:
        async with PostgresCluster(directory) as first:
            ports.extend([first.port, free_port()])
            monkeypatch.setattr("harness.stacks.postgres.free_port", lambda: ports.pop(0))
            second = PostgresCluster(directory.with_name("second"))
            async with second:
                assert second.port != first.port

    run(story())

    assert not ports


def test_what_postgres_says_is_in_the_error(directory: Path) -> None:
    """A setting it does not know ends the start with its own words, not with a timeout."""
    with pytest.raises(PostgresError, match="no_such_setting"):
        run(PostgresCluster(directory, settings={"no_such_setting": "1"}).start())


def test_a_wrong_pg_bin_is_named(directory: Path) -> None:
    """The variable, the folder and what is missing."""
    with pytest.raises(PostgresError, match=r"no postgres in /nowhere.*PG_BIN"):
        run(PostgresCluster(directory, environ={"PG_BIN": "/nowhere"}).start())


def test_nothing_survives_a_killed_harness() -> None:
    """Not the postmaster, not its backends, even after `kill -9`."""
    program = """
        import asyncio
        from harness.cache import run_dir
        from harness.stacks.postgres import PostgresCluster

        async def main():
            postgres = PostgresCluster(run_dir() / "postgres")
            await postgres.start()
            print(postgres.child.pid, postgres.directory.parent, flush=True)
            await asyncio.Event().wait()

        asyncio.run(main())
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid, directory = parent.stdout.readline().split()
    assert exists(int(pid))

    parent.kill()
    parent.wait()

    until(lambda: not exists(int(pid)), "the postmaster outlived the harness")
    assert Path(directory).exists()
    run_dir()
    assert not Path(directory).exists()


def exists(pid: int) -> bool:
    """Is there such a process? One that has ended and only waits to be asked for is none."""
    listed = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(listed.stdout.strip()) and not listed.stdout.startswith("Z")


@pytest.mark.parametrize("kernel_helps", [True, False])
def test_a_child_dies_with_its_parent(tmp_path: Path, kernel_helps: bool) -> None:
    """By the kernel's death signal, or, where there is none, by the watchdog."""
    program = f"""
        import os, time
        from pathlib import Path
        from harness.stacks import children
        if not {kernel_helps}:
            children._prctl = None
        child = children.start_child(["sleep", "60"], dict(os.environ), Path({str(tmp_path / "log")!r}))
        print(child.pid, flush=True)
        time.sleep(60)
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    with parent.stdout:
        pid = int(parent.stdout.readline())
    assert exists(pid)

    parent.kill()
    parent.wait()

    until(lambda: not exists(pid), "the child outlived its parent")


def test_the_watchdog_ends_with_the_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would otherwise signal whoever gets the number next."""
    monkeypatch.setattr(children, "_prctl", None)

    async def story() -> None:
        child = start_child(["true"], ENV, tmp_path / "log")
        watchdog = child._watchdog
        assert watchdog is not None
        assert await child.wait(10.0) == 0
        assert watchdog.returncode is not None

    run(story())


def test_a_child_can_be_paused_resumed_and_ended(tmp_path: Path) -> None:
    """A paused process is alive; asked to end, it does, paused or not; its last words can be read."""

    async def story() -> None:
        script = "trap 'echo bye; exit 3' TERM; echo hello; while :; do sleep 0.01; done"
        child = start_child(["sh", "-c", script], ENV, tmp_path / "log")
        until(lambda: "hello" in child.log_tail(), "it said nothing")
        child.pause()
        assert child.alive
        assert await child.terminate(grace=10.0) == 3
        assert not child.alive
        assert child.log_tail(lines=1) == "bye"
        child.kill()  # nothing left to kill, nothing happens

    run(story())


def test_a_child_that_will_not_end_is_killed(tmp_path: Path) -> None:
    """With everything it started."""

    async def story() -> None:
        script = "trap '' TERM; sleep 60 & echo $!; while :; do sleep 0.05; done"
        child = start_child(["sh", "-c", script], ENV, tmp_path / "log")
        until(lambda: child.log_tail() != "", "it said nothing")
        grandchild = int(child.log_tail())
        assert await child.terminate(grace=0.1) == -signal.SIGKILL
        until(lambda: not exists(grandchild), "the grandchild is still there")

    run(story())


def test_a_wait_has_a_bound(tmp_path: Path) -> None:
    """And says who has not ended."""

    async def story() -> None:
        child = start_child(["sleep", "60"], ENV, tmp_path / "log")
        with pytest.raises(TimeoutError, match=r"sleep pid \d+, running"):
            await child.wait(0.02)
        child.kill()
        await child.wait(10.0)

    run(story())


def test_children_start_from_the_main_thread_only(tmp_path: Path) -> None:
    """They would die with the thread."""
    problems: list[BaseException] = []

    def attempt() -> None:
        try:
            start_child(["true"], ENV, tmp_path / "log")
        except RuntimeError as error:
            problems.append(error)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()

    assert "main thread" in str(problems[0])


def test_a_child_does_not_hear_the_terminal(tmp_path: Path) -> None:
    """Ctrl-C goes to a process group, and it has its own."""

    async def story() -> None:
        child = start_child(["sleep", "60"], ENV, tmp_path / "log")
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
        child.kill()
        await child.wait(10.0)

    run(story())


def test_directories_of_the_dead_are_removed_and_those_of_the_living_kept(tmp_path: Path) -> None:
    """By the lock, not by the number: another process may have the number of a dead one."""
    environ = {"TOPUP_CHAOS_CACHE": str(tmp_path)}
    mine = run_dir(environ)
    dead = tmp_path / "run" / f"{os.getpid()}-dead"
    dead.mkdir()
    (dead / "data").write_text("left behind")
    living = tmp_path / "run" / "999999-living"
    living.mkdir()
    with (living / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run_dir(environ)

        assert mine.is_dir()
        assert living.is_dir()
        assert not dead.exists()


def test_a_lock_lets_one_in_at_a_time(tmp_path: Path) -> None:
    """And whoever waits too long hears which lock it was."""

    async def story() -> None:
        async with locked(tmp_path / "lock"):
            with pytest.raises(TimeoutError, match="lock"):
                async with locked(tmp_path / "lock", timeout=0.05):
                    pass
        async with locked(tmp_path / "lock", timeout=0.05):
            pass

    run(story())


def test_root_uses_a_cache_that_others_may_enter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is closed to PostgreSQL's user is no place for its data."""
    closed, public = tmp_path / "root", tmp_path / "var"
    closed.mkdir(mode=0o700)
    monkeypatch.setattr(cache, "SYSTEM_CACHE", public)
    monkeypatch.setattr(cache, "unprivileged_user", lambda: User("somebody", os.geteuid() + 12345, 12345))
    monkeypatch.setattr(cache.platformdirs, "user_cache_path", lambda *_, **__: closed / "cache")

    assert cache_dir({}) == public
    assert cache_dir({"TOPUP_CHAOS_CACHE": str(closed / "given")}) == closed / "given"


def test_an_ordinary_user_runs_everything_as_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is switched to."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    assert users.unprivileged_user() is None


def test_who_may_enter_is_judged_by_every_folder_on_the_way(tmp_path: Path) -> None:
    """One closed door is enough; what is not there yet is judged by what is."""
    stranger = User("somebody", os.geteuid() + 12345, os.getegid() + 12345)
    tmp_path.chmod(0o755)
    door = tmp_path / "door"
    (door / "room").mkdir(parents=True)
    for mode, verdict in ((0o711, True), (0o700, False)):
        door.chmod(mode)
        relative = [may_enter(path, stranger) for path in (door / "room", door / "room" / "not" / "yet")]
        assert relative == [verdict and may_enter(tmp_path, stranger)] * 2
