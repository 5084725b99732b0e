"""The default stack: PostgreSQL, Toxiproxy, provider and service as child processes of ours, on loopback, no Docker.

Every link passes through a tap, then through its proxy. All of it comes up in a few seconds, is shared by all the plans of
one command, and is gone afterwards, however the command ends.
"""

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import asyncpg

from harness.cache import run_dir
from harness.guard import inspect
from harness.provider import ProviderControl
from harness.stack import Link, Node, StackError, Start, Wire
from harness.stacks.children import start_child
from harness.stacks.inbox import Inbox
from harness.stacks.keys import Keys, draw
from harness.stacks.nurseries import PROVIDER_COMMAND, Preloads
from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.postgres import PostgresCluster
from harness.stacks.programs import PostgresNode, ProviderProcess, ServiceProcess
from harness.stacks.proxies import ProxyServer, find_proxy_server
from harness.target import Target, TargetError, fill, read
from harness.wire.framing import Framing, Opaque
from harness.wire.http import Http
from harness.wire.postgres import Postgres
from harness.wire.tap import Tap
from harness.witness import Watch, WitnessError, watching

UNTIL_ROTATED = timedelta(days=1)
"""How long the secret that signs stays good beside one that was only made known."""
PROVIDER_READY_S = 20.0
OWNER_S = 5.0
COMMAND_S = 60.0
"""How long a backup or a restore of a stack's little database may take."""
MERCHANT = "chaos-merchant"


class Processes:
    """A stack of processes that is up. Made by `processes`."""

    def __init__(
        self,
        target_file: Path,
        target: Target,
        postgres: PostgresCluster,
        proxy_server: ProxyServer,
        wire: Wire,
        keys: Keys,
        directory: Path,
        preloads: Preloads,
        rng: Random,
    ) -> None:
        self.target, self.wire = target.knowing(keys.principals), wire
        self._keys, self._rng = keys, rng
        self._adopted = False
        self.target_file, self.directory = target_file, directory
        self._postgres, self._proxy_server = postgres, proxy_server
        self._ports = {"service": free_port(), "provider": free_port()}
        self._databases, self._backups = 0, 0
        self._mutant: str | None = None
        self.named: set[str] = set()
        self.links: dict[str, Link] = {}
        self.nodes: dict[str, Node] = {"postgres": PostgresNode(postgres)}
        self.provider = ProviderControl(f"http://{LOOPBACK}:{self._ports['provider']}")
        self._service: ServiceProcess | None = None
        self._provider_process: ServiceProcess | None = None
        self._watching = AsyncExitStack()
        self._watch: Watch | None = None
        self._inbox = Inbox(wire)
        self._preloads = preloads

    @property
    def proxies(self) -> str:
        return self._proxy_server.backend

    @property
    def principal_keys(self) -> Mapping[str, str]:
        return self._keys.principals

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a reader of the results should know about how the stack was made."""
        return tuple(self._proxy_server.remarks)

    @property
    def secrets(self) -> Mapping[str, str]:
        return self._keys.secrets

    @property
    def provider_url(self) -> str:
        """Where the provider listens, past every link."""
        return f"http://{LOOPBACK}:{self._ports['provider']}"

    @property
    def service_url(self) -> str:
        """Where the service listens, past every link."""
        return f"http://{LOOPBACK}:{self._ports['service']}"

    @property
    def callback_path(self) -> str:
        callbacks = self.target.callbacks
        return str(fill(callbacks.path, {"dialect": callbacks.dialect}))

    @property
    def versions(self) -> dict[str, str]:
        return {"postgres": self._postgres.version, "proxies": self.proxies}

    async def serve(self, mutant: str | None = None) -> None:
        """(Re)start the service on a fresh database; as *mutant*, where one is named."""
        if self._service is not None:
            await self._service.stop()
        await self._watching.aclose()
        self._watch = None
        self._databases += 1
        self._mutant = mutant
        database = f"topups_{self._databases}"
        await self._postgres.create_database(database)
        start = self.target.start
        if mutant and not start.mutant_command:
            raise TargetError(f"{self.target.name} has no [start] mutant_command: it cannot be started as {mutant!r}")
        values = self._values(database) | {"mutant": mutant or ""}
        command = fill(start.mutant_command if mutant else start.command, values)
        ready = f"http://{LOOPBACK}:{self._ports['service']}{start.ready.partition(' ')[2]}"
        log = self.directory / f"service-{self._databases}.log"
        self._service = ServiceProcess(
            "service", command, fill(start.env, values), log, ready, start.ready_within_s, self._preloads.service
        )
        self.nodes["service"] = self._service
        await self._service.start()

    @asynccontextmanager
    async def settings(self, named: str) -> AsyncIterator[None]:
        """While the block runs, the service is up with these settings of its target file too."""
        service, more = self._service, self.target.start.settings.get(named)
        if service is None or more is None:
            yield
            return
        own = service.env
        more = fill(more, self._values(f"topups_{self._databases}"))
        await service.restart({**own, **more})
        try:
            yield
        finally:
            await service.restart(own)

    async def start_mixed(self, mix: str) -> Start:
        """Beside the service, on a port of its own and on the same database."""
        assert self._service is not None
        start, port = self.target.start, free_port()
        values = self._values(f"topups_{self._databases}") | {"port": str(port)}
        env = fill(start.env, values) | fill(start.mixed[mix], values)
        ready = f"http://{LOOPBACK}:{port}{start.ready.partition(' ')[2]}"
        log = self.directory / f"service-{self._databases}-{mix}.log"
        log.unlink(missing_ok=True)
        mixed = ServiceProcess(
            f"service with {mix}", self._service.command, env, log, ready, start.ready_within_s, self._preloads.service
        )
        try:
            await mixed.start()
        except StackError:
            code = mixed.returncode
            if code is None:
                raise
            return Start(code, mixed.tail())
        else:
            return Start(None, mixed.tail())
        finally:
            await mixed.stop()

    async def adopt_secret(self, now: datetime) -> None:
        """Restart the service with the next callback secret beside the one that signs: before the provider changes over."""
        if self._adopted:
            return
        new = await draw(self.target.callbacks.dialect, self._rng)
        self._keys, self._adopted = self._keys.followed_by(new, now + UNTIL_ROTATED), True
        await self._reconfigure()

    async def rotate_secret(self, now: datetime, overlap_s: float, old_for_s: float) -> None:
        """Have the provider sign with the next secret, beside the old one for *overlap_s* on its clock, and restart the
        service with an end for the old one, *old_for_s* real seconds from *now*.
        """
        await self.adopt_secret(now)
        await self.provider.rotate_key(self._keys.signing, overlap_s)
        end = now + timedelta(seconds=old_for_s)
        self._keys, self._adopted = replace(self._keys, old_until=end.isoformat()), False
        await self._reconfigure()

    async def watch(self) -> Watch:
        """Somebody who sees the service's database; the same for as long as it serves."""
        if self._watch is None:
            url = self._postgres.url(f"topups_{self._databases}")
            try:
                self._watch = await self._watching.enter_async_context(
                    watching(url, self.provider, self.links["db"].tap)
                )
            except WitnessError as error:
                raise StackError(str(error)) from error
        return self._watch

    @asynccontextmanager
    async def beside(self, link: str) -> AsyncIterator[Callable[[], int]]:
        """A later version of the service runs beside this one, on its database, and new connections of the link go to it."""
        port, start = free_port(), self.target.start
        values = self._values(f"topups_{self._databases}") | {"port": str(port), "mutant": self._mutant or ""}
        ready = f"http://{LOOPBACK}:{port}{start.ready.partition(' ')[2]}"
        command, log = fill(start.next_command, values), self.directory / f"next-{self._databases}.log"
        env = fill(start.env, values)
        later = ServiceProcess("next", command, env, log, ready, start.ready_within_s, self._preloads.service)
        try:
            await later.start()
            with self.links[link].tap.turned((LOOPBACK, port)) as taken:
                yield taken
        finally:
            await later.stop()

    async def save(self) -> Path:
        """Have the service back itself up, while it serves."""
        self._backups += 1
        folder = self.directory.resolve() / f"backup-{self._backups}"
        backup = self.target.backup
        if backup is None:
            raise StackError(f"{self.target.name} has no [backup]")
        await self._command("save", backup.mutant_save if self._mutant else backup.save, folder)
        return folder

    async def restore(self, folder: Path) -> None:
        """The database is gone, and the service comes up on a new one of the same name, restored from *folder*."""
        backup, service, database = self.target.backup, self._service, f"topups_{self._databases}"
        assert backup is not None, "save() comes first"
        assert service is not None, "serve() comes first"
        await service.kill()
        await self._watching.aclose()
        self._watch = None
        await self._postgres.drop_database(database)
        await self._postgres.create_database(database)
        await self._command("restore", backup.mutant_restore if self._mutant else backup.restore, folder)
        await service.start()

    async def _command(self, name: str, command: list[str], folder: Path) -> None:
        """One of the target's commands, past every link. Raises `StackError` with the end of what it said."""
        database = f"topups_{self._databases}"
        direct = {"db": self._postgres.url(database), "folder": str(folder), "mutant": self._mutant or ""}
        values = self._values(database) | direct
        env = {**os.environ, **fill(self.target.start.env, values)}
        child = start_child(fill(command, values), env, self.directory / f"{name}.log")
        try:
            code = await child.wait(COMMAND_S)
        finally:
            child.kill()
        if code != 0:
            raise StackError(f"{self.target.name} did not {name}: it ended with {code}:\n{child.log_tail()}")

    @asynccontextmanager
    async def owner(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """Who may do anything in the service's database."""
        url = self._postgres.url(f"topups_{self._databases}")
        try:
            connection = await asyncpg.connect(url, timeout=OWNER_S, command_timeout=OWNER_S)
        except (OSError, asyncpg.PostgresError) as error:
            raise StackError(f"nobody can own the service's database: {error}") from error
        try:
            yield connection
        finally:
            await connection.close(timeout=OWNER_S)

    def log_lines(self) -> dict[str, list[str]]:
        nodes = {"service": self._service, "provider": self._provider_process}
        return {name: node.new_log_lines() for name, node in nodes.items() if node is not None}

    async def open_links(self, *, named: bool) -> None:
        """Taps and proxies, from the far end to the near one. Without names, the taps only count: for load."""
        await self._inbox.open()
        service, provider = ((LOOPBACK, self._ports[name]) for name in ("service", "provider"))
        await self._open("db", Postgres if named else Opaque, self._postgres.address)
        await self._open("api", Http if named else Opaque, provider)
        await self._open("hook", Http if named else Opaque, service)
        await self._open("edge", Http if named else Opaque, service)

    async def start_provider(self, panel_url: str = "") -> None:
        env = {
            "PROVIDER_PANEL_URL": panel_url,
            "PROVIDER_PORT": str(self._ports["provider"]),
            "PROVIDER_API_KEY": self._keys.api,
            "PROVIDER_CALLBACK_URL": self._callback_url(),
            "PROVIDER_CALLBACK_SECRET": self._keys.signing,
            "PROVIDER_RETIRED_SECRET": self._keys.retired,
            "PROVIDER_MERCHANT": MERCHANT,
            "PROVIDER_ENVIRONMENT": self.target.environment,
            "PROVIDER_DIALECT": self.target.callbacks.dialect,
            "PROVIDER_MEMORY": str(self.directory.resolve() / "provider.books"),
        }
        ready = f"http://{LOOPBACK}:{self._ports['provider']}/control/health"
        log = self.directory / "provider.log"
        preloaded = self._preloads.provider
        process = ProviderProcess("provider", list(PROVIDER_COMMAND), env, log, ready, PROVIDER_READY_S, preloaded)
        self._provider_process = process
        self.nodes["provider"] = process
        await process.start()

    async def close(self) -> None:
        """Everything ends; each part is ended even when another will not."""
        async with AsyncExitStack() as ends:
            ends.push_async_callback(self.provider.close)
            ends.push_async_callback(self._inbox.close)
            ends.push_async_callback(self._watching.aclose)
            for link in self.links.values():
                ends.push_async_callback(link.tap.close)
            for preloaded in filter(None, (self._preloads.provider, self._preloads.service)):
                ends.push_async_callback(preloaded.close)
            for process in (self._provider_process, self._service):
                if process is not None:
                    ends.push_async_callback(process.stop)

    async def _open(self, name: str, framing: type[Framing], upstream: tuple[str, int]) -> None:
        proxy = await self._proxy_server.create(name, upstream)
        tap = Tap(name, framing, self.wire)
        await tap.start(proxy.address)
        self.links[name] = Link(name, tap, proxy)

    async def _reconfigure(self) -> None:
        """The service again, on the same database, with the settings that hold now."""
        assert self._service is not None
        self._service.env = fill(self.target.start.env, self._values(f"topups_{self._databases}"))
        await self._service.stop()
        await self._service.start()

    def _callback_url(self) -> str:
        return f"http://{self.links['hook'].url}{self.callback_path}"

    def _values(self, database: str) -> dict[str, Any]:
        """What fills the placeholders of `[start]`."""
        return {
            "python": sys.executable,
            "here": str(self.target_file.resolve().parent),
            "port": str(self._ports["service"]),
            "db": f"postgresql://chaos@{self.links['db'].url}/{database}",
            "api": f"http://{self.links['api'].url}",
            "api_key": self._keys.api,
            "secret": self._keys.receiver,
            "inbox": self._inbox.url,
            "old_secret": self._keys.old_receiver,
            "old_secret_until": self._keys.old_until,
            "merchant": MERCHANT,
            "environment": self.target.environment,
            "dialect": self.target.callbacks.dialect,
        } | {f"key_{name}": key for name, key in self._keys.principals.items()}


@asynccontextmanager
async def processes(
    target_file: Path,
    directory: Path,
    rng: Random,
    *,
    mutant: str | None = None,
    named: bool = True,
    dialect: str | None = None,
    panel_url: str = "",
    weather: bool = True,
    preloads: Preloads | None = None,
) -> AsyncIterator[Processes]:
    """The whole stack, up and serving; its logs are written to *directory*. *dialect* takes the place of the target's.
    *panel_url* is a page that the provider shows beside its own. Without *weather* there is no proxy behind the taps, unless
    `TOPUP_CHAOS_PROXY` names one. *preloads* are lines to what other stacks share.

    Raises `TargetError` naming the field that is wrong, and `StackError` naming the part that does not start.
    """
    target = read(target_file).speaking(dialect)
    inspect(target, os.environ).insist()
    directory.mkdir(parents=True, exist_ok=True)
    scratch = run_dir()
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        postgres = PostgresCluster(scratch / "postgres")
        asking = [name for name, principal in target.principals if principal is not None]
        drawing = asyncio.create_task(draw(target.callbacks.dialect, rng, asking))
        stack.callback(drawing.cancel)
        proxy_server, _ = await asyncio.gather(
            find_proxy_server(scratch, os.environ, rng, weather=weather), stack.enter_async_context(postgres)
        )
        stack.push_async_callback(proxy_server.close)
        forked = preloads or Preloads.own(target_file, target)
        up = Processes(target_file, target, postgres, proxy_server, Wire(), await drawing, directory, forked, rng)
        stack.push_async_callback(up.close)
        await up.open_links(named=named)
        await asyncio.gather(up.start_provider(panel_url), up.serve(mutant))
        yield up
