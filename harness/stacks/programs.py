"""The programs of a stack, as nodes that can be killed, paused and started again."""

import asyncio
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import httpx

from harness.stack import StackError
from harness.stacks.children import Child, start_child
from harness.stacks.postgres import PostgresCluster
from harness.stacks.preloaded import Preloaded, PreloadError

READY_POLL_S = 0.01


class ServiceProcess:
    """A program of the stack that can be killed, paused and started again on its port."""

    def __init__(
        self,
        name: str,
        command: list[str],
        env: Mapping[str, str],
        log: Path,
        ready: str,
        within_s: float,
        preloaded: Preloaded | None = None,
    ):
        self.name, self.log = name, log
        self.command, self.env = command, env
        self._preloaded = preloaded
        self._ready, self._within_s = ready, within_s
        self._child: Child | None = None
        self._read = 0

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    async def start(self) -> None:
        """Start it and wait until it is ready. Raises `StackError` with the end of its log when it does not get there."""
        try:
            self._child = await self._begin({**os.environ, **self.env})
        except (OSError, PreloadError) as error:
            raise StackError(f"the {self.name} does not start: {' '.join(self.command)}: {error}") from error
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._within_s
        async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=False) as client:  # noqa: S501
            while not (_listens(self._ready) and await _answers(client, self._ready)):
                if not self._child.alive:
                    raise StackError(f"the {self.name} ended before it was ready; its log ({self.log}):\n{self.tail()}")
                if loop.time() > deadline:
                    raise StackError(
                        f"the {self.name} was not ready ({self._ready}) within {self._within_s:g} s; "
                        f"its log ({self.log}):\n{self.tail()}"
                    )
                await asyncio.sleep(READY_POLL_S)

    async def _begin(self, env: Mapping[str, str]) -> Child:
        if self._preloaded is None:
            return start_child(self.command, env, self.log)
        _, _, module, *arguments = self.command
        return await self._preloaded.start(module, arguments, env, self.log, self._within_s)

    async def restart(self, env: Mapping[str, str]) -> None:
        """Ask it to end, and start it again with another environment."""
        await self.stop()
        self.env = env
        await self.start()

    async def kill(self) -> None:
        """kill -9, and gone."""
        if self._child is not None:
            self._child.kill()
            await self._child.wait(10.0)

    async def stop(self) -> None:
        if self._child is not None:
            await self._child.terminate(grace=3.0)

    def pause(self) -> None:
        if self._child is not None:
            self._child.pause()

    def resume(self) -> None:
        if self._child is not None:
            self._child.resume()

    def new_log_lines(self) -> list[str]:
        """What it wrote since this was last asked."""
        if not self.log.exists():
            return []
        with self.log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
            self._read += len(text)
        return text.decode("utf-8", "replace").splitlines()

    @property
    def returncode(self) -> int | None:
        """Its exit code; None while it runs, or was never started."""
        return self._child.returncode if self._child is not None else None

    def tail(self) -> str:
        """The last lines that it wrote."""
        return self._child.log_tail() if self._child is not None else ""


class ProviderProcess(ServiceProcess):
    """The provider. Its books are durable: it writes them down as it dies, and the next one goes on with them."""

    async def kill(self) -> None:
        """kill -9 from within, at a moment when its books are whole; from outside if it does not hear."""
        die = httpx.URL(self._ready).copy_with(path="/control/die")
        async with httpx.AsyncClient(timeout=2.0, trust_env=False, verify=False) as client:  # noqa: S501
            with suppress(httpx.HTTPError):
                await client.post(die)
        await super().kill()


class PostgresNode:
    """The database server, as a node that can be killed."""

    name = "postgres"

    def __init__(self, cluster: PostgresCluster) -> None:
        self._cluster = cluster

    @property
    def alive(self) -> bool:
        return self._cluster.alive

    async def kill(self) -> None:
        await self._cluster.crash()

    async def start(self) -> None:
        await self._cluster.restart()

    def pause(self) -> None:
        self._cluster.pause()

    def resume(self) -> None:
        self._cluster.resume()


def _listens(url: str) -> bool:
    """Would a connection be accepted? Asked of the kernel, which costs next to nothing while a program is still loading."""
    where = httpx.URL(url)
    with socket.socket() as probe:
        return probe.connect_ex((where.host, where.port or 80)) == 0


async def _answers(client: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).is_success
    except httpx.HTTPError:
        return False
