"""Feature flags for the logic of top-ups (R24): a new way of doing something is on or off, and can be changed while all goes on.

They are read by the clock and never on the way of a request: what is decided by one costs no look at the database. A process
is behind a change by `FLAGS_EVERY_S` at most; so both ways must be right beside each other, at any time, in any mix.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar

import structlog

from reference_impl.audit import AuditLog
from reference_impl.database import Connection, Database

log = structlog.get_logger()


class Flag(StrEnum):
    """Each flag that there is. One goes when its new way is the only one."""

    POST_IN_ONE_STATEMENT = "post-in-one-statement"
    """Posting, entries and balance in one statement: a round trip less while the account is locked."""


class Flags:
    """What is on, as it was read last. A database that cannot be read leaves it so: without one nothing is decided anyway."""

    DEFAULTS: ClassVar[Mapping[Flag, bool]] = {Flag.POST_IN_ONE_STATEMENT: False}

    def __init__(self, database: Database, audit: AuditLog, now: Callable[[], datetime]) -> None:
        self.database = database
        self.audit = audit
        self.now = now
        self._read: Mapping[str, bool] = {}

    def is_on(self, flag: Flag) -> bool:
        """Whether to do it the new way."""
        return self._read.get(flag, self.DEFAULTS[flag])

    async def refresh(self) -> None:
        """Read them all."""
        async with self.database.connection() as connection:
            rows = await connection.fetch("SELECT flag, is_on FROM flags")
        self._read = {row["flag"]: row["is_on"] for row in rows}

    async def change(self, flag: Flag, on: bool) -> None:
        """Put a flag on or off for every process, and write down whose doing that was: in one transaction, or nobody knows."""
        async with self.audit.database.transaction() as connection:
            await self.write(connection, flag, on)
            await self.write_down(connection, flag, on)
        await self.refresh()
        log.warning("flag changed", flag=flag, on=on)

    async def write(self, connection: Connection, flag: Flag, on: bool) -> None:
        await connection.execute(
            """INSERT INTO flags (flag, is_on, changed_at) VALUES ($1, $2, $3)
               ON CONFLICT (flag) DO UPDATE SET is_on = excluded.is_on, changed_at = excluded.changed_at""",
            flag,
            on,
            self.now(),
        )

    async def write_down(self, connection: Connection, flag: Flag, on: bool) -> None:
        """The change, in the audit log."""
        await self.audit.record(connection, f"flag put {'on' if on else 'off'}", flag, {})

    def all(self) -> Mapping[str, bool]:
        """Every flag, as this process has it."""
        return {flag: self.is_on(flag) for flag in Flag}
