"""The harness's side of `nursery.py`: services that are born with their imports done."""

import asyncio
import json
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from harness.stacks.children import POLL_S, Child, start_child

NURSERY = Path(__file__).with_name("nursery.py")
FORK_WITHIN_S = 10.0


class PreloadError(Exception):
    """The modules cannot be loaded, or the one that has loaded them is gone; the message says why."""


class _Fork:
    """One that was forked off, as `Child` sees a process."""

    def __init__(self, nursery: "Preloaded", pid: int, args: Sequence[str]) -> None:
        self._nursery, self.pid, self.args = nursery, pid, args

    def poll(self) -> int | None:
        return self._nursery.code_of(self.pid)


class Preloaded:
    """A Python that has imported *modules*, and forks a service off as often as one is to start.

    It is loaded when it is first needed, and what it says while loading goes to that service's log. With a *line*, another
    process has one loaded for it (`Shared`); once that is gone, it is loaded like any other.
    """

    def __init__(
        self, python: str, modules: Sequence[str], env: Mapping[str, str], line: socket.socket | None = None
    ) -> None:
        self._python, self._modules, self._env = python, modules, env
        self._nursery: Child | None = None
        self._line = line
        self._heard = b""
        self._loaded = False
        self._hung_up = line is None
        """Whether the other end of the line is closed: then what was there has ended, or is about to."""
        self._codes: dict[int, int | None] = {}
        self._born: list[int] = []

    async def start(
        self, module: str, arguments: Sequence[str], env: Mapping[str, str], log: Path, within_s: float
    ) -> Child:
        """What `python -m module arguments…` would start. Raises `PreloadError`, and `OSError` when there is no such Python."""
        if not await self._is_loaded(within_s):
            await self._load(log, within_s)
        asked = {"module": module, "arguments": list(arguments), "env": dict(env), "log": str(log.resolve())}
        assert self._line is not None
        self._line.sendall(json.dumps(asked).encode() + b"\n")
        await self._until(self._is_born, FORK_WITHIN_S, f"a fork for {module}")
        pid = self._born.pop()
        return Child.forked(_Fork(self, pid, (self._python, "-m", module, *arguments)), log)

    def let_go(self) -> None:
        """Close the line here: another process, forked since it was made, goes on with it."""
        self._hang_up()

    async def close(self) -> None:
        """It ends when nobody asks any more; what it forked off should have ended before."""
        self._hang_up()
        if self._nursery is not None:
            await self._nursery.terminate(grace=3.0)

    def code_of(self, pid: int) -> int | None:
        """The exit code of one that was forked off; None while it runs."""
        self._hear()
        if self._codes[pid] is None and self._hung_up:
            self._codes[pid] = -9  # they die with the one that forked them
        return self._codes[pid]

    async def _is_loaded(self, within_s: float) -> bool:
        """True once there is one to ask; false where it has to be loaded. One that is shared may not be done loading."""
        with suppress(PreloadError):  # which is told when it is loaded here
            self._hear()
            if not self._hung_up:
                await self._until(lambda: self._loaded, within_s, f"preload of {', '.join(self._modules)}")
        return not self._hung_up

    async def _load(self, log: Path, within_s: float) -> None:
        await self.close()
        ours, theirs = socket.socketpair()
        with theirs:
            self._nursery = start_child([self._python, NURSERY, *self._modules], self._env, log, stdin=theirs)
        ours.setblocking(False)
        self._line, self._heard, self._loaded, self._hung_up = ours, b"", False, False
        await self._until(lambda: self._loaded, within_s, f"preload of {', '.join(self._modules)}")

    def _is_born(self) -> bool:
        return bool(self._born)

    async def _until(self, condition: Callable[[], bool], within_s: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while True:
            self._hear()
            if condition():
                return
            if self._hung_up:
                raise PreloadError(f"{what}: the one that loads it has ended")
            if loop.time() > deadline:
                raise PreloadError(f"{what}: not done within {within_s:g} s")
            await asyncio.sleep(POLL_S)

    def _hear(self) -> None:
        """Whatever was said since."""
        if self._line is None or self._hung_up:
            return
        with suppress(BlockingIOError):
            try:
                while data := self._line.recv(1 << 16):
                    self._heard += data
                self._hung_up = True
            except ConnectionResetError:
                self._hung_up = True
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            self._take(json.loads(line))

    def _take(self, said: Mapping[str, Any]) -> None:
        if "refused" in said:
            raise PreloadError(f"preload of {', '.join(self._modules)}: {said['refused']}")
        if "loaded" in said:
            self._loaded = True
        elif "code" in said:
            self._codes[said["pid"]] = said["code"]
        else:
            self._codes[said["pid"]] = None
            self._born.append(said["pid"])

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line, self._hung_up = None, True


class Shared:
    """A Python that has imported *modules* for several processes: each is given a line to a fork of it that is its own.

    What it says while loading goes to *log*. It ends with `close`, and with the process that made it, and so do its forks.
    """

    def __init__(self, python: str, modules: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._python, self._modules, self._env = python, modules, env
        self._line, theirs = socket.socketpair()
        with theirs:
            self._nursery = start_child([python, NURSERY, *modules], env, log, stdin=theirs)

    def line(self) -> Preloaded:
        """What one process asks. To be made before that process is forked, and let go of here when it is."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs, suppress(BrokenPipeError, ConnectionResetError):  # whoever asks there will find nobody
            socket.send_fds(self._line, [b'{"line": true}\n'], [theirs.fileno()])
        return Preloaded(self._python, self._modules, self._env, ours)

    async def close(self) -> None:
        self._line.close()
        await self._nursery.terminate(grace=3.0)
