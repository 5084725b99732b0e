"""Plain SQL files, applied in order, once each, whoever starts first."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import asyncpg

from reference_impl.api_keys import Provided, provide
from reference_impl.environments import Environments

FOLDER = Path(__file__).parent / "migrations"

_BOOKKEEPING = """
CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY, sha256 text NOT NULL, applied_at timestamptz NOT NULL)
"""
NO_KEYS = Provided()
_LOCK = 7_021_001
"""Any number that nobody else takes: services that start together migrate one after another."""


class Schema:
    """How the schema grows under versions that do not know of it: expand first, contract when nobody is left who needs it.

    While instances are replaced one by one, the version before reads and writes on a database that is migrated already, and
    goes on doing so when the new one is rolled back. So a migration adds, and what it adds nobody has to know; what is no longer
    used goes in a migration of a later release. `tests/unit/test_migrations.py` holds the files to it.
    """

    FURTHER: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Columns, by their table and name, that a version after this one adds to it."""

    def further(self) -> list[tuple[str, str]]:
        """The migrations that a version after this one brings along."""
        return [
            (f"9{n:03}_{table}_{column}.sql", self.adding(table, column))
            for n, (table, column) in enumerate(self.FURTHER)
        ]

    def adding(self, table: str, column: str) -> str:
        """A new column: whoever does not know it writes none."""
        return f"ALTER TABLE {table} ADD COLUMN {column} text"


async def migrate(
    url: str,
    environment: str,
    keys: Provided = NO_KEYS,
    folder: Path = FOLDER,
    environments: Environments | None = None,
    further: Sequence[tuple[str, str]] = (),
) -> list[str]:
    """Bring the database up to date in one transaction, with *keys* in it; returns what was applied. Raises if history was
    rewritten, if the database is another environment's, or if one of the keys cannot be.
    """
    files = [*_read(folder), *further]
    connection = await asyncpg.connect(url, timeout=3)
    try:
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            await connection.execute(_BOOKKEEPING)
            done = {row["name"]: row["sha256"] for row in await connection.fetch("SELECT name, sha256 FROM migrations")}
            applied = [name for name, sql in files if await _apply(connection, name, sql, done.get(name))]
            await (environments or Environments()).stamp(connection, environment)
            if keys != NO_KEYS:
                await provide(connection, keys)
            return applied
    finally:
        await connection.close()


def known(folder: Path = FOLDER) -> dict[str, str]:
    """The migrations that this version brings, by name, each with its digest."""
    return {name: _digest(sql) for name, sql in _read(folder)}


def _digest(sql: str) -> str:
    return hashlib.sha256(sql.encode()).hexdigest()


def _read(folder: Path) -> list[tuple[str, str]]:
    return [(file.name, file.read_text(encoding="utf-8")) for file in sorted(folder.glob("*.sql"))]


async def _apply(connection: "asyncpg.Connection[asyncpg.Record]", name: str, sql: str, applied: str | None) -> bool:
    digest = _digest(sql)
    if applied == digest:
        return False
    if applied is not None:
        raise RuntimeError(f"{name} has changed since it was applied. Undo that, and add a new file instead.")
    await connection.execute(sql)
    await connection.execute("INSERT INTO migrations VALUES ($1, $2, now())", name, digest)
    return True
