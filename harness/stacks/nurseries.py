"""Where the Python programs of stacks are forked off: each stack by itself, or several side by side from what is loaded once."""

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.stacks.preloaded import Preloaded, Shared
from harness.target import Target, fill, read

PROVIDER_COMMAND = (sys.executable, "-m", "fake_provider")
PROVIDER_PRELOAD = (
    "fake_provider.app",
    "uvicorn.protocols.http.h11_impl",
    "uvicorn.lifespan.on",
    "uvicorn.loops.asyncio",
)


@dataclass(frozen=True, slots=True)
class Preloads:
    """Where a stack's Python programs are forked off. None for a service that is not: it is started."""

    provider: Preloaded
    service: Preloaded | None

    @classmethod
    def own(cls, target_file: Path, target: Target) -> "Preloads":
        """Those of a stack that shares with nobody, loaded when they are first needed."""
        modules, python = target.start.preload, _python(target_file, target)
        return cls(
            Preloaded(PROVIDER_COMMAND[0], PROVIDER_PRELOAD, os.environ),
            Preloaded(python, modules, os.environ) if modules else None,
        )

    def let_go(self) -> None:
        """They are another process's from now on."""
        for preloaded in filter(None, (self.provider, self.service)):
            preloaded.let_go()


class Nurseries:
    """What several processes' stacks are forked from: everything is imported once for all of them."""

    def __init__(self, target_file: Path, target: Target, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        modules, python = target.start.preload, _python(target_file, target)
        self._provider = Shared(PROVIDER_COMMAND[0], PROVIDER_PRELOAD, os.environ, logs / "preload-provider.log")
        self._service = Shared(python, modules, os.environ, logs / "preload-service.log") if modules else None

    def lines(self) -> Preloads:
        """For one process that is about to be forked."""
        return Preloads(self._provider.line(), self._service.line() if self._service else None)

    async def close(self) -> None:
        for shared in filter(None, (self._provider, self._service)):
            await shared.close()


@contextmanager
def nurseries(target_file: Path, logs: Path) -> Iterator[Nurseries]:
    """They load while whoever asked goes on. Raises `TargetError`."""
    shared = Nurseries(target_file, read(target_file), logs)
    try:
        yield shared
    finally:
        asyncio.run(shared.close())


def _python(target_file: Path, target: Target) -> str:
    """The one that a service's modules are imported by: what its command begins with."""
    return str(fill(target.start.command[0], {"python": sys.executable, "here": str(target_file.resolve().parent)}))
