"""The whole stack, up and gone: after success, after whatever goes wrong, and after the harness itself is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from random import Random
from typing import Any, cast

import httpx
import pytest

from harness.cache import cache_dir
from harness.cli import REFERENCE
from harness.stacks.ports import is_free
from harness.stacks.processes import Processes, processes
from harness.stacks.programs import ServiceProcess

pytestmark = pytest.mark.stack

GUARD_S = 60.0
GONE_S = 15.0
PROGRAM = [sys.executable, "-m", "harness.cli"]
ROOT = Path(__file__).parent.parent.parent


def run(story: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(GUARD_S):
            await story

    asyncio.run(guarded())


def until(condition: Callable[[], bool], what: str, bound: float = GONE_S) -> None:
    """Wait for a reason; *what* is the message when the bound passes."""
    deadline = time.monotonic() + bound
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def living() -> dict[int, tuple[int, str]]:
    """Parent and command of every process; one that has ended and only waits to be asked for is none."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,stat=,args="], capture_output=True, text=True, check=True, timeout=10
    )
    rows = (line.split(None, 3) for line in listed.stdout.splitlines())
    return {int(pid): (int(parent), args) for pid, parent, state, args in rows if not state.startswith("Z")}


def descendants(of: int) -> dict[int, str]:
    """Every process below *of*, with its command."""
    known = living()
    found: dict[int, str] = {}
    parents = {of}
    while parents:
        children = {pid: args for pid, (parent, args) in known.items() if parent in parents and pid not in found}
        found |= children
        parents = set(children)
    return {pid: args for pid, args in found.items() if not args.startswith("ps ")}


def assert_gone(pids: dict[int, str]) -> None:
    def left() -> list[str]:
        known = living()
        return [f"{pid} {args}" for pid, args in pids.items() if known.get(pid, (0, ""))[1] == args]

    until(lambda: not left(), f"of the stack there is left: {left()}")


def parts_of(pids: dict[int, str]) -> set[str]:
    wanted = ("fake_provider", "reference_impl", "postgres")
    return {part for part in wanted for args in pids.values() if part in args}


def scratch() -> set[Path]:
    """The directories that this process holds below the cache."""
    return set((cache_dir() / "run").glob(f"{os.getpid()}-*"))


class Ended(Exception):
    """How a story ends that does not end well."""


@pytest.mark.parametrize("end", ["well", "by an exception", "by cancellation"])
def test_a_stack_comes_up_whole_and_goes_without_a_trace(tmp_path: Path, end: str) -> None:
    """Whatever ends the block: no process of it is left, its ports are free, its scratch directory is gone."""
    before, kept = descendants(os.getpid()), scratch()
    ports: set[int] = set()
    ours: dict[int, str] = {}

    async def look_at(stack: Processes) -> None:
        assert {name for name, node in stack.nodes.items() if node.alive} == {"postgres", "provider", "service"}
        assert set(stack.links) == {"db", "api", "hook", "edge"}
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.get(f"http://{stack.links['edge'].url}/healthz")
        assert answer.is_success
        assert stack.links["edge"].crossings() >= 2
        assert stack.links["db"].crossings() > 0
        assert (await stack.provider.rest()).reason is None
        ports.update(link.tap.address[1] for link in stack.links.values())
        ports.update(int(httpx.URL(url).port or 0) for url in (stack.provider_url,))
        assert scratch() > kept
        ours.update({pid: args for pid, args in descendants(os.getpid()).items() if pid not in before})
        assert parts_of(ours) == {"fake_provider", "reference_impl", "postgres"}

    async def story() -> None:
        up = asyncio.Event()

        async def use() -> None:
            async with processes(REFERENCE, tmp_path / "logs", Random(7)) as stack:
                await look_at(stack)
                up.set()
                if end == "by an exception":
                    raise Ended
                if end == "by cancellation":
                    await asyncio.Event().wait()

        using = asyncio.create_task(use())
        if end == "by cancellation":
            waiting = asyncio.create_task(up.wait())
            await asyncio.wait([waiting, using], return_when=asyncio.FIRST_COMPLETED)
            using.cancel()
            with pytest.raises(asyncio.CancelledError):
                await using
        elif end == "by an exception":
            with pytest.raises(Ended):
                await using
        else:
            await using

    run(story())
    assert ours
    assert_gone(ours)
    assert all(is_free(port) for port in ports)
    assert scratch() == kept


def start(out: Path, *words: str) -> "subprocess.Popen[bytes]":
    """`topup-chaos …`, in a process of its own."""
    with (out.parent / f"{out.name}.log").open("wb") as log:
        return subprocess.Popen([*PROGRAM, *words, "--out", str(out)], stdout=log, stderr=log, cwd=ROOT)


def finished(out: Path) -> int:
    """How many runs are in the history on disk, to their end."""
    return sum(path.read_text().count('"kind": "audited"') for path in out.glob("*/history.jsonl"))


def report(out: Path) -> dict[str, Any]:
    (path,) = (path for path in out.glob("*/run.json") if not path.parent.is_symlink())
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def is_calm(out: Path) -> bool:
    harness = start(out, "run", "calm", "--seed", "7")
    assert harness.wait(GUARD_S) == 0, (out.parent / f"{out.name}.log").read_text()
    return [each["status"] for each in report(out)["runs"]] == ["holds"]


def test_a_killed_harness_leaves_nothing_and_the_next_run_works(tmp_path: Path) -> None:
    """`kill -9` in the middle of a run: everything it started dies, and calm weather is calm, twice."""
    harness = start(tmp_path / "killed", "run", "--seed", "7")
    ours: dict[int, str] = {}
    try:
        until(lambda: finished(tmp_path / "killed") >= 1, "no run was finished", 30.0)
        ours = descendants(harness.pid)
        assert parts_of(ours) == {"fake_provider", "reference_impl", "postgres"}
    finally:
        harness.kill()
        harness.wait()
    assert_gone(ours)
    assert is_calm(tmp_path / "first")
    assert is_calm(tmp_path / "second")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_reports_what_it_has_and_leaves_nothing(tmp_path: Path, number: signal.Signals) -> None:
    """Exit code 130, reports of the runs that were finished, and no process left."""
    out = tmp_path / "interrupted"
    harness = start(out, "run", "--seed", "7")
    ours: dict[int, str] = {}
    try:
        until(lambda: finished(out) >= 2, "no two runs were finished", 30.0)
        ours = descendants(harness.pid)
        harness.send_signal(number)
        assert harness.wait(20.0) == 130
    finally:
        harness.kill()
        harness.wait()
    assert_gone(ours)
    runs = report(out)["runs"]
    assert len(runs) >= 2
    assert {each["status"] for each in runs} == {"holds"}
    assert list(out.glob("*/report.html"))


def test_a_service_has_other_settings_for_a_while(tmp_path: Path) -> None:
    """Those that its target file has under a name; one that has none of that name is left alone."""

    async def story() -> None:
        async with processes(REFERENCE, tmp_path / "logs", Random(7), weather=False) as stack:
            service = cast(ServiceProcess, stack.nodes["service"])
            own = service.env
            async with stack.settings("crowded"):
                assert service.alive
                assert service.env == {**own, **stack.target.start.settings["crowded"]} != own
                ours = descendants(os.getpid())
                async with stack.settings("unheard-of"):
                    assert descendants(os.getpid()) == ours
            assert service.alive
            assert service.env == own

    run(story())


def test_a_fault_around_nothing_is_unknown(tmp_path: Path) -> None:
    """Everything holds, and it proves nothing of that fault: exit code 3, and the fault is named."""
    program = """
        import sys
        from harness import cli
        from harness.scenario import MONEY, SCENARIOS, Scenario

        def idle(draft):
            with draft.fault("latency", link="api", ms=50):
                pass

        SCENARIOS.add("idle", Scenario("idle", "A slow link that nobody uses.", MONEY, idle))
        sys.argv = ["topup-chaos", "run", "idle", "--seed", "7", "--out", sys.argv[1]]
        cli.main()
    """
    out = tmp_path / "idle"
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(out)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=GUARD_S,
    )
    assert ended.returncode == 3, ended.stdout + ended.stderr
    (only,) = report(out)["runs"]
    said = {each["invariant"]: each for each in only["verdicts"]}
    assert said["faults-bite"]["status"] == "unknown"
    assert "latency" in said["faults-bite"]["because"]
    assert {name for name, each in said.items() if each["weighs"] and each["status"] != "holds"} == {"faults-bite"}
