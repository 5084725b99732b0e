"""The real Toxiproxy behind the small protocol: one server of our own per run, killed rather than waited for.

Removing a toxic while bytes are stuck can hang Toxiproxy's control API for good. So every call is bounded; a removal
that hangs is cured by deleting the proxy and making it again on the same port, which closes its connections and is
remarked; and a server that does not answer even then is killed, with an error that says so.
"""

import asyncio
import os
import re
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

from harness.stacks.children import Child, start_child
from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.toxiproxy_api import ControlApi, ControlPlaneHung, ToxiproxyError
from harness.stacks.toxiproxy_places import Refused
from harness.wire.toxic_kinds import Stream, Toxic, toxic

P = ParamSpec("P")
R = TypeVar("R")

START_BOUND_S = 5.0
POLL_S = 0.005
PORT_TRIES = 20
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


class Host(Protocol):
    """What runs the server: a child of ours, a container, or nobody we may stop."""

    async def stop(self) -> None:
        """Ended in order if that is quick, else killed."""


class OwnProcess:
    """A server that was started as a child."""

    def __init__(self, child: Child) -> None:
        self.child = child

    async def stop(self) -> None:
        await self.child.terminate(grace=1.0)


class Stranger:
    """A server that someone else started: never stopped by us."""

    async def stop(self) -> None:
        return


async def start_server(
    binary: Path, directory: Path, place: str, env: Mapping[str, str] = os.environ
) -> "ToxiproxyServer":
    """Our own *binary* on a free port; its log is in *directory*. `ToxiproxyError` when it does not come up."""
    for _ in range(PORT_TRIES):
        port = free_port()
        argv: list[str | Path] = [binary, "-host", LOOPBACK, "-port", str(port)]
        log = directory / f"toxiproxy-{port}.log"
        child = start_child(argv, {"PATH": env.get("PATH", os.defpath), "LOG_LEVEL": "info"}, log)
        api = ControlApi(LOOPBACK, port)
        try:
            version = await _until_it_answers(api, child)
        except BaseException:
            child.kill()
            await child.wait(5.0)
            raise
        # A server whose port was taken meanwhile lives on, deaf, and someone else answers: its log tells.
        if child.alive and "Server finished with error" not in child.log_tail():
            return ToxiproxyServer(api, f"toxiproxy {version} ({place})", OwnProcess(child))
        await child.terminate(grace=0.5)
    raise ToxiproxyError(f"{binary} found no free port in {PORT_TRIES} tries")


async def attach(address: tuple[str, int]) -> "ToxiproxyServer":
    """A server that runs already and is left running; only what we make on it is ours. `Refused` when it is deaf."""
    api = ControlApi(*address)
    try:
        version = await in_thread(api.version)
    except ToxiproxyError as error:
        raise Refused(f"TOXIPROXY_URL names a server that does not answer: {error}") from error
    prefix = f"topup-chaos-{os.getpid()}-{secrets.token_hex(2)}-"
    return ToxiproxyServer(api, f"toxiproxy {version} (TOXIPROXY_URL)", Stranger(), prefix)


async def _until_it_answers(api: ControlApi, child: Child) -> str:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_BOUND_S
    reason = "not asked yet"
    while loop.time() < deadline:
        if not child.alive:
            raise ToxiproxyError(f"{child!r} while starting:\n{child.log_tail()}")
        try:
            return await in_thread(api.version, 1.0)
        except ToxiproxyError as error:
            reason = str(error)
        await asyncio.sleep(POLL_S)
    raise ToxiproxyError(f"{child!r} did not answer within {START_BOUND_S:g} s: {reason}\n{child.log_tail()}")


class ToxiproxyServer:
    """Makes proxies on one Toxiproxy; *prefix* keeps our names apart on a server that is shared."""

    def __init__(self, api: ControlApi, backend: str, host: Host, prefix: str = "") -> None:
        self.backend = backend
        self.remarks: list[str] = []
        self.api = api
        self.lost: str | None = None
        self._host = host
        self._prefix = prefix
        self._proxies: dict[str, ToxiproxyProxy] = {}

    async def create(self, name: str, upstream: tuple[str, int]) -> "ToxiproxyProxy":
        """A new proxy on a free port of 127.0.0.1."""
        if not NAME.fullmatch(name):
            raise ValueError(f"{name!r} cannot name a proxy: letters, digits, '.', '_' and '-' only")
        if name in self._proxies:
            raise ValueError(f"there is a proxy named {name!r} already")
        full = self._prefix + name
        listen = await self._listening(full, upstream)
        self._proxies[name] = proxy = ToxiproxyProxy(self, full, name, listen, upstream)
        return proxy

    async def reset(self) -> None:
        """Every proxy of ours up and without toxics; those of others on a shared server are left alone."""
        for proxy in self._proxies.values():
            await proxy.reset()

    async def close(self) -> None:
        """Our proxies are gone, and the server too if it is ours."""
        proxies, self._proxies = list(self._proxies.values()), {}
        try:
            if isinstance(self._host, Stranger) and self.lost is None:
                for proxy in proxies:
                    await self.call(self.api.delete, proxy.full_name, True)
        finally:
            await self._host.stop()

    async def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """One control call; a server that does not answer is given up for good, and stopped if it is ours."""
        self.require()
        try:
            return await in_thread(function, *args, **kwargs)
        except ControlPlaneHung as hung:
            raise await self._give_up(str(hung)) from hung

    def require(self) -> None:
        """Raises when the server has been given up."""
        if self.lost is not None:
            raise ControlPlaneHung(self.lost)

    async def _give_up(self, why: str) -> ControlPlaneHung:
        self.lost = f"{self.backend} has stopped answering and was given up: {why}. Start the stack again."
        self.remarks.append(self.lost)
        await self._host.stop()
        return ControlPlaneHung(self.lost)

    async def _listening(self, name: str, upstream: tuple[str, int]) -> tuple[str, int]:
        """Not port 0: what the kernel gives is from the range of outgoing connections (see `ports`)."""
        for tries_left in reversed(range(PORT_TRIES)):
            listen = (LOOPBACK, free_port())
            try:
                await self.call(self.api.create, name, listen, upstream)
                return listen
            except ToxiproxyError as error:
                if error.status != 500 or not tries_left:  # 500 is a port that was taken in between
                    raise
        raise AssertionError("the last try returns or raises")


class ToxiproxyProxy:
    """One proxy of one server. Changes to it happen one after another."""

    def __init__(
        self,
        server: ToxiproxyServer,
        full_name: str,
        name: str,
        address: tuple[str, int],
        upstream: tuple[str, int],
    ) -> None:
        self.name = name
        self.full_name = full_name
        self.address = address
        self._server = server
        self._upstream = upstream
        self._toxics: dict[str, Toxic] = {}
        self._downs: set[object] = set()
        self._is_up: bool | None = True
        self._made = 0
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def toxic(self, kind: str, stream: Stream, **attributes: int) -> AsyncIterator[None]:
        """The toxic acts while the block runs, on new and existing connections; what it adds it removes."""
        asked = toxic(kind, stream, attributes)
        self._made += 1
        name = f"{kind}_{stream}_{self._made}"
        try:
            await self._add(name, asked)
            yield
        finally:
            await self._remove(name)

    @asynccontextmanager
    async def down(self) -> AsyncIterator[None]:
        """While the block runs: connecting is refused; connections that were open are closed. Nests."""
        key = object()
        self._downs.add(key)
        try:
            await self._settle()
            yield
        finally:
            self._downs.discard(key)
            await self._settle()

    async def reset(self) -> None:
        """Up and without toxics."""
        for name in list(self._toxics):
            await self._remove(name)
        self._downs.clear()
        await self._settle()

    async def _add(self, name: str, asked: Toxic) -> None:
        async with self._changing:
            self._server.require()
            patience = self._patience()
            self._toxics[name] = asked
            told = (self.full_name, name, asked.kind, asked.stream, asked.attributes, asked.toxicity, patience)
            try:
                await in_thread(self._server.api.add_toxic, *told)
            except ControlPlaneHung as hung:
                await self._make_again(f"adding {name} to {self.full_name} hung ({hung})")

    async def _remove(self, name: str) -> None:
        async with self._changing:
            if name not in self._toxics:
                return  # a reset came first, or it was never added
            self._server.require()
            patience = self._patience()
            del self._toxics[name]
            try:
                await in_thread(self._server.api.remove_toxic, self.full_name, name, patience)
            except ControlPlaneHung as hung:
                await self._make_again(f"removing {name} from {self.full_name} hung ({hung})")

    def _patience(self) -> float:
        """A toxic that waits to reset cannot be interrupted, so a change must wait that long with it."""
        waits = [active.attributes["timeout"] for active in self._toxics.values() if active.kind == "reset_peer"]
        return self._server.api.patience + max(waits, default=0) / 1000

    async def _make_again(self, why: str) -> None:
        """Bytes that nobody takes hang each change of the toxics (Shopify/toxiproxy#558). Deleting closes the connections in which
        they are stuck; the new proxy has the same port and toxics.
        """
        server = self._server
        await server.call(server.api.delete, self.full_name, True)
        await server.call(server.api.create, self.full_name, self.address, self._upstream)
        self._is_up = True
        for name, active in self._toxics.items():
            await server.call(
                server.api.add_toxic,
                *(
                    self.full_name,
                    name,
                    active.kind,
                    active.stream,
                    active.attributes,
                    active.toxicity,
                    self._patience(),
                ),
            )
        server.remarks.append(f"{why}: the proxy was made again, which closed its connections")
        if self._downs:
            await self._turn(up=False)

    async def _settle(self) -> None:
        """Make the proxy what the open `down` blocks say it should be."""
        async with self._changing:
            should_be_up = not self._downs
            if should_be_up != self._is_up:
                await self._turn(should_be_up)

    async def _turn(self, up: bool) -> None:
        self._is_up = None  # a cancellation or an error on the way leaves it unknown
        for tries_left in reversed(range(PORT_TRIES)):
            try:
                await self._server.call(self._server.api.enable, self.full_name, up)
                self._is_up = up
                return
            except ToxiproxyError as error:
                if error.status != 500 or not tries_left:  # 500: someone has the port for a moment
                    raise
            await asyncio.sleep(0.05)


async def in_thread(function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """*function* off the loop. A cancellation waits for it, so that nothing is changed after we have cleaned up."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await _over(task)
        raise


async def _over(task: "asyncio.Future[R]") -> None:
    with suppress(ToxiproxyError):
        await task
