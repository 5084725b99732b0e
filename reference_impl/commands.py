"""What an operator does at a terminal: `python -m reference_impl COMMAND`. Each reads the database that DATABASE_URL names."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import asyncpg
import typer

from reference_impl.actors import acting, at_the_terminal
from reference_impl.api_keys import BadKey, Scope, draw, listed, revoke, store
from reference_impl.audit import Verified, write_as_owner
from reference_impl.database import Job
from reference_impl.environments import Environments, Mixed
from reference_impl.logs import clean, configure
from reference_impl.parts import Parts
from reference_impl.service import World, running
from reference_impl.signatures import derived, secrets_in
from reference_impl.timeline import Moment, NoSuchTopUp, timeline

if TYPE_CHECKING:
    from reference_impl.backup import Manifest
    from reference_impl.settings import Settings

PARTS: ContextVar[Parts] = ContextVar("parts")
PARTS.set(Parts())
"""Of which parts the service is whose database this is: those of a planted bug, where one is at the terminal."""
app = typer.Typer(add_completion=False, no_args_is_help=True, help="The reference service, from a terminal.")

keys = typer.Typer(no_args_is_help=True, help="Keys of those who may ask: made, shown once, revoked.")
app.add_typer(keys, name="keys")

T = TypeVar("T")
CONNECT_S = 5.0
STATEMENT_S = 30.0


class Unusable(Exception):
    """What was asked for cannot be done; the message says why, and what to do."""


@app.callback()
def _commands() -> None:
    """Commands for operators. Without one, `python -m reference_impl` serves."""


@app.command("timeline")
def print_timeline(
    top_up: Annotated[str, typer.Argument(help="The top-up's id, tu_…", metavar="ID")],
    log: Annotated[list[Path] | None, typer.Option(help="A file of the service's log lines; may be repeated.")] = None,
) -> None:
    """One top-up's whole story: states, callbacks, postings, discrepancies, notifications, and log lines if there are any."""

    async def read(connection: "asyncpg.Connection[asyncpg.Record]") -> Sequence[Moment]:
        return await timeline(connection, top_up, lines_of(log or ()))

    try:
        for moment in at_the_database(read, Job.READER.value):
            typer.echo(moment)
    except NoSuchTopUp as missing:
        fail(str(missing))


@app.command()
def reconcile(
    every_s: Annotated[float, typer.Option(min=0, help="Again every so many seconds, until stopped; 0: once.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The report for a program, one line a run.")] = False,
) -> None:
    """Settle what is open and compare the books, outside of any request. Needs the service's settings; exits 1 on findings."""
    from reference_impl.settings import Settings

    settings = Settings(outbox_every_s=86_400, reconcile_every_s=0)  # type: ignore[call-arg] # the rest: environment
    configure(settings.log_level, sys.stderr)
    raise typer.Exit(asyncio.run(_reconcile(settings, every_s, as_json)))


@keys.command("make")
def make_key(
    principal: Annotated[str, typer.Argument(help="Whose key it is: a program, or a person.")],
    tenant: Annotated[str, typer.Option(help="Whose principal it is; it stays so.")],
    scope: Annotated[list[Scope], typer.Option(help="What it is good for; may be repeated.")],
) -> None:
    """Make a key, and show it: this once, for nobody can show it again."""
    try:
        key = draw(tenant, principal, scope)

        async def made(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
            async with connection.transaction():
                await store(connection, key)
                detail = {"principal": principal, "scopes": list(key.scopes)}
                await _write_down(connection, tenant, "key made", key.name, detail)

        at_the_database(made)
    except BadKey as error:
        fail(str(error))
    typer.echo(f"{key.token}")
    typer.echo(f"the key {key.name} of {principal} at {tenant}, good for {', '.join(key.scopes)}", err=True)


@keys.command("secret")
def signing_secret(
    name: Annotated[str, typer.Argument(help="The key's name: what stands between its two first _.")],
) -> None:
    """The secret with which the holder of a key signs requests. It is derived from the newest SIGNING_SECRET, and kept nowhere."""
    try:
        known = secrets_in(os.environ.get("SIGNING_SECRET", ""))
    except ValueError as error:
        fail(str(error))
    if not known:
        fail("set SIGNING_SECRET to what the service has")
    if all(row["key"] != name for row in at_the_database(listed)):
        fail(f"there is no key {name!r}: `keys list` shows those that there are")
    typer.echo(derived(known[0], name))


@keys.command("revoke")
def revoke_key(
    name: Annotated[str, typer.Argument(help="The key's name: what stands between its two first _.")],
) -> None:
    """Revoke a key, for good. Services that have just seen it take it for ACCESS_CACHE_S more, and no longer."""

    async def revoked(connection: "asyncpg.Connection[asyncpg.Record]") -> bool:
        async with connection.transaction():
            if not await revoke(connection, name):
                return False
            tenant = await connection.fetchval("SELECT tenant FROM api_keys WHERE key = $1", name)
            await _write_down(connection, tenant, "key revoked", name, {})
        return True

    if not at_the_database(revoked):
        fail(f"there is no key {name!r} that is not revoked already: `keys list` shows them")
    typer.echo(f"the key {name} is revoked")


@keys.command("list")
def list_keys() -> None:
    """Every key by its name, whose it is, and what it is or was good for."""
    for row in at_the_database(listed):
        until = f", revoked {row['revoked_at'].isoformat(timespec='seconds')}" if row["revoked_at"] else ""
        made = row["made_at"].isoformat(timespec="seconds")
        typer.echo(f"{row['key']}  {row['tenant']}/{row['principal']}  {','.join(row['scopes'])}  made {made}{until}")


@app.command()
def check() -> None:
    """Whether the settings belong together, and to the database: for a pipeline, before anything is started. Changes nothing."""
    from pydantic import ValidationError

    from reference_impl.settings import Settings

    try:
        settings = Settings()  # type: ignore[call-arg] # from the environment
    except ValidationError as error:
        fail("\n".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}".lstrip(": ") for each in error.errors()))

    environments = Environments()

    async def owned(connection: "asyncpg.Connection[asyncpg.Record]") -> str:
        if await connection.fetchval("SELECT to_regclass('deployment')") is None:
            return "nobody so far"
        return await environments.owner_of(connection, settings.environment)

    try:
        environments.insist(settings.environment, settings.marked_keys, settings.endpoints)
        typer.echo(f"all of {settings.environment}; the database belongs to {at_the_database(owned)}")
    except Mixed as mixed:
        fail(str(mixed))


@app.command()
def audit(
    head: Annotated[list[str] | None, typer.Option(help="A head that was kept elsewhere; may be repeated.")] = None,
) -> None:
    """Verify the chain of the audit log, and name the first line that does not fit. Exits 1 when it is not whole."""

    async def read(connection: "asyncpg.Connection[asyncpg.Record]") -> Verified:
        return await PARTS.get().audit.verified(connection, head or ())

    verified = at_the_database(read, Job.READER.value)
    typer.echo(verified.as_text())
    raise typer.Exit(0 if verified.sound else 1)


@app.command()
def backup(folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")]) -> None:
    """All that the service remembers, as it is now, into a folder: a dump and its manifest. Nobody is stopped meanwhile."""
    manifest = _carried_out(PARTS.get().backup().save(_url(), folder))
    typer.echo(f"{sum(manifest.rows.values())} rows of {len(manifest.rows)} tables, {manifest.bytes} bytes: {folder}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(help="What backup wrote.", metavar="DIR")],
    replace: Annotated[bool, typer.Option("--replace", help="Lose what the database holds.")] = False,
) -> None:
    """The database as a backup has it; into an empty one. Stop the service first, and go by runbooks/restore.md."""
    manifest = _carried_out(PARTS.get().backup().restore(_url(), folder, replace=replace))
    typer.echo(f"as it was at {manifest.taken_at}: {sum(manifest.rows.values())} rows of {len(manifest.rows)} tables")


async def _write_down(
    connection: "asyncpg.Connection[asyncpg.Record]", tenant: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Who did this at a terminal, in the tenant's audit log."""
    await write_as_owner(connection, tenant, World().now(), at_the_terminal(), action, subject, detail)


def _carried_out(work: Coroutine[Any, Any, "Manifest"]) -> "Manifest":
    """What came of it. Ends the program, saying why, when nothing did."""
    from reference_impl.backup import BackupError

    try:
        return asyncio.run(work)
    except (BackupError, TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(clean(str(error)) or type(error).__name__)


def _url() -> str:
    try:
        return database_url()
    except Unusable as problem:
        fail(str(problem))


async def _reconcile(settings: "Settings", every_s: float, as_json: bool) -> int:
    async with running(settings, PARTS.get(), World()) as service:
        with acting(at_the_terminal()):
            await service.audit.asked("reconciliation and comparison asked for")
        while True:
            await service.reconciler.run()
            report = await service.comparer.run("schedule" if every_s else "terminal")
            typer.echo(json.dumps(report.as_json()) if as_json else report.as_text())
            if not every_s:
                return 1 if report.findings else 0
            await asyncio.sleep(every_s)


def lines_of(paths: Iterable[Path]) -> Iterable[str]:
    """The lines of several files, as text whatever is in them."""
    for path in paths:
        try:
            with path.open(encoding="utf-8", errors="replace") as file:
                yield from file
        except OSError as error:
            raise Unusable(f"--log {path} cannot be read: {error.strerror}") from None


def at_the_database(work: Callable[["asyncpg.Connection[asyncpg.Record]"], Awaitable[T]], role: str = "none") -> T:
    """Do *work* on one connection in that *role*, with a bound on everything; in `none`, as whoever logs in.

    Ends the program, saying why, when there is no connection.
    """

    async def connected() -> T:
        connection = await asyncpg.connect(
            database_url(), timeout=CONNECT_S, command_timeout=STATEMENT_S, server_settings={"role": role}
        )
        try:
            return await work(connection)
        finally:
            await connection.close(timeout=CONNECT_S)

    try:
        return asyncio.run(connected())
    except Unusable as problem:
        fail(str(problem))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        fail(f"the database that DATABASE_URL names cannot be read: {clean(str(error)) or type(error).__name__}")


def database_url() -> str:
    """DATABASE_URL; raises `Unusable` when it is not set."""
    try:
        return os.environ["DATABASE_URL"]
    except KeyError:
        raise Unusable("set DATABASE_URL to the database that the service uses") from None


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end with 2: wrong usage or configuration."""
    typer.echo(message, err=True)
    raise typer.Exit(2)
