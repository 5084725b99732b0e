"""A real PostgreSQL of our own: up in a fraction of a second, crashed on purpose, gone with the run.

Only the programs of the wheel are used, not its server class: that one does not listen on TCP, outlives a killed run
and changes the modes of the folders above it. `fsync` is off, which a crash of the *process* cannot tell: what was
written is with the kernel. A crash of the machine is not in this harness's power anyway.
"""

import asyncio
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from signal import Signals
from types import TracebackType
from typing import TYPE_CHECKING

import asyncpg

from harness.cache import cache_dir, make_public
from harness.stacks.children import Child, start_child
from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.postgres_files import (
    SUPERUSER,
    PostgresError,
    Programs,
    copy_cluster,
    find_programs,
    template_cluster,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

POLL_S = 0.004
START_BOUND_S = 30.0
PORT_TRIES = 5


class PortTaken(PostgresError):
    """Someone else listens on the port that was chosen."""


class PostgresCluster:
    """One server with its own data directory below *directory*; an async context manager, or `start` … `close`."""

    def __init__(
        self,
        directory: Path,
        environ: Mapping[str, str] = os.environ,
        max_connections: int = 200,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.log_path = directory / "postgres.log"
        self.port = 0
        self.version = ""
        self._environ = environ
        self._settings = {"fsync": "off", "max_connections": str(max_connections), **(settings or {})}
        self._programs: Programs | None = None
        self._child: Child | None = None

    async def __aenter__(self) -> "PostgresCluster":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens; the same after a restart."""
        return LOOPBACK, self.port

    @property
    def alive(self) -> bool:
        return self._child is not None and self._child.alive

    @property
    def child(self) -> Child:
        """The postmaster, for faults that act on the process."""
        if self._child is None:
            raise PostgresError("PostgreSQL has not been started")
        return self._child

    def url(self, database: str = "postgres") -> str:
        """What clients on this machine connect to, past every proxy."""
        return f"postgresql://{SUPERUSER}@{LOOPBACK}:{self.port}/{database}"

    async def start(self) -> None:
        """Up and answering, on a free port, with an empty cluster copied from the template."""
        make_public(self.directory)
        cache = cache_dir(self._environ)
        self._programs = programs = await find_programs(cache, self._environ)
        self.version = programs.version
        await copy_cluster(programs, await template_cluster(programs, cache), self.data, self.log_path)
        for tries_left in reversed(range(PORT_TRIES)):
            self.port = free_port()
            try:
                await self._launch()
                return
            except PortTaken:
                if not tries_left:
                    raise

    async def restart(self) -> None:
        """Up again on the same port with the same data, after a `crash`, a `stop`, or while it runs."""
        await self.stop()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_BOUND_S
        while True:
            try:
                await self._launch()
                return
            except PostgresError:  # the last backends of a killed postmaster may hold its memory for a moment
                if loop.time() > deadline:
                    raise
            await asyncio.sleep(0.05)

    async def crash(self, how: Signals = signal.SIGQUIT) -> None:
        """It is gone without a shutdown: `SIGQUIT` ends every backend at once, `SIGKILL` only the postmaster."""
        self.child.send(how)
        self.resume()
        await self.child.wait(10.0)

    def pause(self) -> None:
        """Every process of it stops dead; connections stay open and nothing answers, until `resume`."""
        for pid in self._processes():
            os.kill(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on as if nothing had happened."""
        for pid in self._processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def stop(self) -> None:
        """Shut down in order, data kept for `restart`; killed if that takes more than a few seconds."""
        if self._child is not None and self._child.alive:
            self.resume()
            await self._child.terminate(grace=5.0, first=signal.SIGINT)

    async def close(self) -> None:
        """Stopped, and its data removed; the log stays."""
        await self.stop()
        shutil.rmtree(self.data, ignore_errors=True)

    async def create_database(self, name: str, template: str | None = None) -> str:
        """A new database, empty or a copy of *template* (which nobody may be connected to); its URL."""
        command = f"CREATE DATABASE {_quoted(name)}"
        if template is not None:
            command += f" TEMPLATE {_quoted(template)}"
        async with self._admin() as connection:
            if connection.get_server_version().major >= 15:
                command += " STRATEGY file_copy"  # several times faster than through the log when fsync is off
            await connection.execute(command)
        return self.url(name)

    async def drop_database(self, name: str) -> None:
        """Gone, with whoever was connected to it; nothing happens when there is none."""
        async with self._admin() as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {_quoted(name)} WITH (FORCE)")

    def _processes(self) -> list[int]:
        """The postmaster, first so that it starts no others meanwhile, and the backends (each a group of its own)."""
        pid = self.child.pid
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True, timeout=10
        )
        pairs = (line.split() for line in listed.stdout.splitlines())
        return [pid, *(int(child) for child, parent in pairs if int(parent) == pid)]

    @asynccontextmanager
    async def _admin(self) -> "AsyncIterator[asyncpg.Connection[asyncpg.Record]]":
        connection = await self._connect()
        try:
            yield connection
        finally:
            await connection.close(timeout=5.0)

    async def _connect(self) -> "asyncpg.Connection[asyncpg.Record]":
        # Everything is given, so that no PGSSLMODE, PGPASSFILE or ~/.pgpass of this machine has a say.
        return await asyncpg.connect(
            host=LOOPBACK, port=self.port, user=SUPERUSER, password="", database="postgres", ssl=False, timeout=5.0
        )

    async def _launch(self) -> None:
        assert self._programs is not None, "start() comes first"
        settings = [word for name, value in self._settings.items() for word in ("-c", f"{name}={value}")]
        postgres: list[str | Path] = [self._programs / "postgres", "-D", self.data]
        listening = ["-h", LOOPBACK, "-p", str(self.port), "-k", ""]  # no socket file, so no limit on path lengths
        self._child = start_child(
            [*postgres, *listening, *settings],
            self._programs.environment,
            self.log_path,
            user=self._programs.user,
            death_signal=signal.SIGQUIT,
            cwd=self.directory,
        )
        try:
            await self._until_it_answers(self._child)
        except BaseException:
            self._child.kill()
            await self._child.wait(10.0)
            raise

    async def _until_it_answers(self, child: Child) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + START_BOUND_S
        reason = ""
        while loop.time() < deadline:
            if not child.alive:
                tail = child.log_tail()
                problem = PortTaken if "could not bind" in tail else PostgresError
                raise problem(f"PostgreSQL ended with {child.returncode} while starting:\n{tail}")
            try:
                if self._is_ready(child):
                    async with self._admin() as connection:
                        await self._require_ours(connection)
                    return
                reason = "it does not say that it is ready"
            except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                reason = f"{type(error).__name__}: {error}"
            await asyncio.sleep(POLL_S)
        raise PostgresError(f"PostgreSQL did not answer within {START_BOUND_S:g} s ({reason}):\n{child.log_tail()}")

    def _is_ready(self, child: Child) -> bool:
        """Whether it says so itself, in the file that `pg_ctl` waits for: to ask it on a connection costs it a process each time.
        The first line is its process, the eighth its state.
        """
        with suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
            return len(lines) > 7 and lines[0] == str(child.pid) and lines[7].strip() == "ready"
        return False

    async def _require_ours(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        data = await connection.fetchval("SHOW data_directory")
        if Path(data) != self.data:
            raise PortTaken(f"another PostgreSQL (data in {data}) listens on port {self.port}")


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'
