"""Services that are born with their imports done: each as fresh as one that was started, and gone with whoever asked for it."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from harness.stacks.children import Child
from harness.stacks.preloaded import Preloaded, PreloadError, Shared
from harness.target import Start

WITHIN_S = 20.0

HEAVY = """
    print("imported", flush=True)
    lives = []
"""
SERVICE = """
    import os, sys, signal, time
    import heavy
    heavy.lives.append(1)
    print(sys.argv[1:], os.environ.get("WORD"), "HOME" in os.environ, len(heavy.lives), __name__, flush=True)
    match sys.argv[1]:
        case "exit": sys.exit(int(sys.argv[2]))
        case "fall": raise RuntimeError("over")
        case "sleep":
            while True: time.sleep(60)
"""

Starter: TypeAlias = Callable[..., Awaitable[Child]]


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    """A folder with a module that is imported once, and a service that needs it."""
    (tmp_path / "heavy.py").write_text(textwrap.dedent(HEAVY))
    (tmp_path / "service.py").write_text(textwrap.dedent(SERVICE))
    return tmp_path


def nursery(shelf: Path, *modules: str) -> Preloaded:
    return Preloaded(sys.executable, modules or ("heavy",), {**os.environ, "PYTHONPATH": str(shelf)})


def story(shelf: Path, tell: Callable[[Starter], Awaitable[None]]) -> str:
    """Tell it with something that starts `service` with these arguments; what was logged."""
    log = shelf / "log"

    async def guarded() -> None:
        preloaded = nursery(shelf)
        try:
            async with asyncio.timeout(WITHIN_S):
                await tell(lambda *words: preloaded.start("service", words, {"WORD": "w"}, log, WITHIN_S))
        finally:
            await preloaded.close()

    asyncio.run(guarded())
    return log.read_text()


def test_what_is_imported_is_imported_once_and_each_life_is_a_fresh_one(shelf: Path) -> None:
    """With its own arguments, just its environment, the name of a program, and nothing of an earlier life."""

    async def tell(start: Starter) -> None:
        for code in ("0", "7"):
            assert await (await start("exit", code)).wait(WITHIN_S) == int(code)

    assert story(shelf, tell).splitlines() == [
        "imported",
        "['exit', '0'] w False 1 __main__",
        "['exit', '7'] w False 1 __main__",
    ]


def test_one_that_falls_says_why_in_its_log(shelf: Path) -> None:
    async def tell(start: Starter) -> None:
        assert await (await start("fall")).wait(WITHIN_S) == 1

    assert "RuntimeError: over" in story(shelf, tell)


def test_it_is_killed_and_paused_like_any_process(shelf: Path) -> None:
    """At once, too: when it was only just born."""

    async def tell(start: Starter) -> None:
        for _ in range(10):
            child = await start("sleep")
            child.kill()
            assert await child.wait(WITHIN_S) == -signal.SIGKILL
        child = await start("sleep")
        child.pause()
        assert child.alive
        child.resume()
        assert await child.terminate() == -signal.SIGTERM

    story(shelf, tell)


def test_what_was_forked_off_goes_with_the_one_that_forked_it(shelf: Path) -> None:
    """And is known to be gone."""
    preloaded = nursery(shelf)

    async def tell() -> None:
        child = await preloaded.start("service", ("sleep",), {}, shelf / "log", WITHIN_S)
        assert child.alive
        assert preloaded._nursery is not None
        preloaded._nursery.kill()
        assert await child.wait(WITHIN_S) == -signal.SIGKILL
        until_gone(child.pid)
        again = await preloaded.start("service", ("exit", "0"), {}, shelf / "log", WITHIN_S)
        assert await again.wait(WITHIN_S) == 0, "another one is loaded when the next is to be started"
        await preloaded.close()

    asyncio.run(tell())


def test_what_is_shared_is_imported_once_for_all_who_ask(shelf: Path) -> None:
    """Each has a fork that is its own, and hears of no other's."""
    log = shelf / "log"

    async def tell() -> None:
        shared = Shared(sys.executable, ["heavy"], {**os.environ, "PYTHONPATH": str(shelf)}, log)
        lines = [shared.line() for _ in range(3)]
        for code, line in enumerate(lines):
            child = await line.start("service", ("exit", str(code)), {}, log, WITHIN_S)
            assert await child.wait(WITHIN_S) == code
        await lines[0].close()
        assert await (await lines[1].start("service", ("exit", "5"), {}, log, WITHIN_S)).wait(WITHIN_S) == 5
        for line in lines[1:]:
            await line.close()
        await shared.close()

    asyncio.run(tell())

    assert log.read_text().splitlines().count("imported") == 1


def test_one_that_was_shared_and_is_gone_is_loaded_anew(shelf: Path) -> None:
    """And what it had forked off goes with it."""
    log = shelf / "log"

    async def tell() -> None:
        shared = Shared(sys.executable, ["heavy"], {**os.environ, "PYTHONPATH": str(shelf)}, log)
        line = shared.line()
        child = await line.start("service", ("sleep",), {}, log, WITHIN_S)
        await shared.close()
        assert await child.wait(WITHIN_S) == -signal.SIGKILL
        until_gone(child.pid)
        assert await (await line.start("service", ("exit", "3"), {}, log, WITHIN_S)).wait(WITHIN_S) == 3
        await line.close()

    asyncio.run(tell())

    assert log.read_text().splitlines().count("imported") == 2


def test_modules_that_cannot_be_shared_are_told_of_by_whoever_needs_them(shelf: Path) -> None:
    log = shelf / "log"

    async def tell() -> None:
        shared = Shared(sys.executable, ["absent"], {**os.environ, "PYTHONPATH": str(shelf)}, log)
        line = shared.line()
        try:
            with pytest.raises(PreloadError, match=r"No module named 'absent'"):
                await line.start("service", ("exit", "0"), {}, log, WITHIN_S)
        finally:
            await line.close()
            await shared.close()

    asyncio.run(tell())


def test_all_of_it_goes_with_the_harness(shelf: Path) -> None:
    """Even when that is killed, and can tidy up nothing."""
    script = f"""
        import asyncio, os, sys, time
        from pathlib import Path
        from harness.stacks.preloaded import Preloaded
        async def main():
            preloaded = Preloaded(sys.executable, ["heavy"], os.environ)
            child = await preloaded.start("service", ["sleep"], {{}}, Path({str(shelf / "log")!r}), {WITHIN_S})
            print(child.pid, preloaded._nursery.pid, flush=True)
            time.sleep(60)
        asyncio.run(main())
    """
    env = {**os.environ, "PYTHONPATH": str(shelf)}
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, text=True, env=env
    ) as harness:
        assert harness.stdout is not None
        pids = [int(pid) for pid in harness.stdout.readline().split()]
        harness.kill()

    assert len(pids) == 2
    for pid in pids:
        until_gone(pid)


def until_gone(pid: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while Path(f"/proc/{pid}").exists() and "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text():
        assert time.monotonic() < deadline, f"{pid} is still there"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("module", "text", "said"),
    [
        ("absent", None, "ModuleNotFoundError: No module named 'absent'"),
        ("broken", "raise ValueError('no')", "ValueError: no"),
        (
            "threaded",
            "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
            "threaded starts a thread when it is imported: leave it out of preload",
        ),
    ],
)
def test_what_cannot_be_preloaded_is_named(shelf: Path, module: str, text: str | None, said: str) -> None:
    if text:
        (shelf / f"{module}.py").write_text(text)

    async def tell() -> None:
        preloaded = nursery(shelf, module)
        try:
            await preloaded.start("service", ("exit", "0"), {}, shelf / "log", WITHIN_S)
        finally:
            await preloaded.close()

    with pytest.raises(PreloadError) as refused:
        asyncio.run(tell())
    assert said in str(refused.value)


def test_only_what_is_started_as_a_module_can_be_preloaded() -> None:
    assert Start(command=["{python}", "-m", "service"], preload=["heavy"]).preload == ["heavy"]
    for command in (["node", "service.mjs"], ["{python}", "-O", "-m", "service"]):
        with pytest.raises(ValueError, match="preload is for what is started by"):
            Start(command=command, preload=["heavy"])
    with pytest.raises(ValueError, match="preload is for what is started by"):
        Start(command=["{python}", "-m", "service"], mutant_command=["sh", "mutant.sh"], preload=["heavy"])
