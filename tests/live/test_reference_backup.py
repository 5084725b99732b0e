"""Backup and restore, on a real PostgreSQL and its own programs: all of it comes back, or nothing, and it says why not."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from test_reference_service import Bench, bench

from reference_impl.backup import DUMP, MANIFEST, Backup, BackupError, Manifest, found


async def contents(url: str) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    connection = await asyncpg.connect(url)
    try:
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        )
        return {
            name: sorted(str(row[0]) for row in await connection.fetch(f'SELECT t::text FROM "{name}" t'))
            for (name,) in names
        }
    finally:
        await connection.close()


async def busy(b: Bench) -> dict[str, Any]:
    """A credited top-up, and one that waits."""
    paid: dict[str, Any] = (await b.top_up()).json()
    await b.tell(paid)
    await b.top_up(key="k2")
    await b.service.audit.seal()
    return paid


@pytest.fixture
def other_url(database_url: str) -> Iterator[str]:
    """A second database, empty, on the same server."""
    base, _, name = database_url.rpartition("/")

    async def do(statement: str) -> None:
        connection = await asyncpg.connect(f"{base}/postgres")
        await connection.execute(statement)
        await connection.close()

    asyncio.run(do(f'CREATE DATABASE "{name}_other"'))
    yield f"{base}/{name}_other"
    asyncio.run(do(f'DROP DATABASE "{name}_other" WITH (FORCE)'))


def test_all_of_it_comes_back_and_what_came_after_does_not(database_url: str, other_url: str, tmp_path: Path) -> None:
    """Row for row, keys and claims and audit log and all; and the service goes on with it."""

    async def story() -> None:
        async with bench(database_url) as b:
            paid = await busy(b)
            before = await contents(database_url)
            manifest = await Backup().save(database_url, tmp_path / "backup")
            await b.top_up(key="k3")

        restored = await Backup().restore(other_url, tmp_path / "backup")

        assert restored == manifest
        assert await contents(other_url) == before
        assert manifest.rows == {table: len(rows) for table, rows in before.items()}
        assert manifest.environment == "test"
        connection = await asyncpg.connect(other_url)
        with pytest.raises(asyncpg.RestrictViolationError):  # the guards came back too
            await connection.execute("DELETE FROM entries")
        assert await connection.fetchval("SELECT count(*) FROM claims WHERE payment = $1", paid["payment"]) == 1
        await connection.close()

    asyncio.run(story())


def test_a_database_that_is_not_empty_is_left_alone(database_url: str, tmp_path: Path) -> None:
    """Unless one says to replace it."""

    async def story() -> None:
        async with bench(database_url) as b:
            await busy(b)
            await Backup().save(database_url, tmp_path / "backup")
            before = await contents(database_url)
            await b.top_up(key="k3")
        there = await contents(database_url)

        with pytest.raises(BackupError, match=r"is not empty .*: restore into a new one, or say --replace"):
            await Backup().restore(database_url, tmp_path / "backup")
        assert await contents(database_url) == there

        await Backup().restore(database_url, tmp_path / "backup", replace=True)
        assert await contents(database_url) == before

    asyncio.run(story())


def spoil_the_dump(folder: Path) -> None:
    dump = folder / DUMP
    dump.write_bytes(dump.read_bytes()[:-1])


def spoil_the_schema(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["migrations"]["9999_of_tomorrow.sql"] = "0" * 64  # which is no obstacle
    manifest["migrations"]["0001_ledger.sql"] = "0" * 64
    (folder / MANIFEST).write_text(json.dumps(manifest))


def spoil_a_count(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["rows"]["claims"] += 1
    (folder / MANIFEST).write_text(json.dumps(manifest))


def lose_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def garble_the_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text("{}")


@pytest.mark.parametrize(
    ("spoil", "says", "touched"),
    [
        (spoil_the_dump, "is not what its manifest says: it was cut short or changed", False),
        (spoil_the_schema, r"than this version's \(0001_ledger.sql\): restore it with the version that made it", False),
        (lose_the_manifest, "cannot be read .*: name the folder that backup wrote", False),
        (garble_the_manifest, "is no manifest of a backup", False),
        (spoil_a_count, r"not all rows came back \(claims: 1 of 2\)", True),
    ],
)
def test_a_backup_that_is_not_whole_is_refused(
    database_url: str, other_url: str, tmp_path: Path, spoil: Callable[[Path], None], says: str, touched: bool
) -> None:
    """Before anything is touched, where that can be known before."""

    async def story() -> None:
        async with bench(database_url) as b:
            await busy(b)
            await Backup().save(database_url, tmp_path / "backup")
        spoil(tmp_path / "backup")
        with pytest.raises(BackupError, match=says):
            await Backup().restore(other_url, tmp_path / "backup")
        assert bool(await contents(other_url)) is touched

    asyncio.run(story())


def test_a_backup_is_of_one_instant(database_url: str, other_url: str, tmp_path: Path) -> None:
    """Customers pay while it is taken: whatever is in it agrees with the rest of it."""

    async def story() -> None:
        async with bench(database_url) as b:
            done = asyncio.Event()

            async def paying() -> None:
                n = 0
                while not done.is_set():
                    n += 1
                    await b.tell((await b.top_up(key=f"k{n}")).json())

            customers = asyncio.create_task(paying())
            try:
                await Backup().save(database_url, tmp_path / "backup")
            finally:
                done.set()
                await customers
        await Backup().restore(other_url, tmp_path / "backup")
        rows = await contents(other_url)
        assert len(rows["postings"]) * 2 == len(rows["entries"])
        connection = await asyncpg.connect(other_url)
        balance = await connection.fetchval("SELECT balance_minor FROM accounts WHERE account = 'acc'")
        await connection.close()
        assert balance == 1000 * len(rows["claims"])

    asyncio.run(story())


def terminal(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "reference_impl", *words]
    environ = {"PATH": os.environ["PATH"], **env}
    return subprocess.run(program, env=environ, capture_output=True, text=True, timeout=60, check=False)


def test_the_terminal_does_it_and_says_what_is_wrong(database_url: str, other_url: str, tmp_path: Path) -> None:
    """0 and what was done; 2, and what to do."""

    async def story() -> None:
        async with bench(database_url) as b:
            await busy(b)

    asyncio.run(story())
    folder = str(tmp_path / "backup")
    saved = terminal("backup", folder, DATABASE_URL=database_url)
    assert saved.returncode == 0, saved.stderr
    assert saved.stdout.endswith(f"bytes: {folder}\n")
    assert oct(Path(folder).stat().st_mode)[-3:] == "700"

    again = terminal("backup", folder, DATABASE_URL=database_url)
    assert (again.returncode, "is not empty: name a new folder" in again.stderr) == (2, True)
    empty = terminal("backup", str(tmp_path / "none"), DATABASE_URL=other_url)
    assert (empty.returncode, "no database of this service" in empty.stderr) == (2, True), empty.stderr

    restored = terminal("restore", folder, DATABASE_URL=other_url)
    assert restored.returncode == 0, restored.stderr
    assert restored.stdout.startswith(f"as it was at {Manifest.read(Path(folder)).taken_at}")


def test_a_program_that_is_missing_or_too_old_is_named(tmp_path: Path) -> None:
    """PG_BIN alone counts where it is set."""
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 15.18'\n")
    old.chmod(0o755)
    environ = {"PG_BIN": str(tmp_path)}
    assert found("pg_dump", 15, environ) == old
    for program, server in (("pg_dump", 18), ("pg_restore", 15)):
        with pytest.raises(
            BackupError, match=f"there is no {program} that is as new as the server: install .* {server}, or"
        ):
            found(program, server, environ)
