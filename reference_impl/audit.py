"""The audit log: who initiated, corrected, approved, asked for reconciliation or changed the configuration (R25).

A record is written in the transaction of what it is about, and chained a little later, by whoever seals: so the hot path
waits for no end of a chain. Each seal's hash is SHA-256 over the hash before it and the record, which makes any change to
what is sealed show, also one by somebody who may do anything in the database. Who may do that could write the whole chain
anew: its last hash, the head, is in the logs, and belongs where the database's owner cannot write.
"""

import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from reference_impl.actors import current_actor
from reference_impl.database import EVERYBODY, Connection, Database, Job, acting_for
from reference_impl.logs import current_correlation

if TYPE_CHECKING:
    import asyncpg

    AnyConnection: TypeAlias = "Connection | asyncpg.Connection[asyncpg.Record]"

log = structlog.get_logger()

CONFIGURED = "configuration changed"
GENESIS = "0" * 64
"""What stands before the first seal."""
_LOCK = 7_021_002
"""Any number that nobody else takes: services that seal at the same time do so one after another."""
_COLUMNS = "record, at, actor, tenant, action, subject, detail, correlation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Somebody did something, for a tenant or (empty) for all. `subject` is what it was done to, `detail` how, as JSON."""

    record: int
    at: datetime
    actor: str
    tenant: str
    action: str
    subject: str
    detail: str
    correlation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the log as it is read: its record, None if that is gone, and whether it fits where it stands.

    `seal` and `hash` are None while it is not sealed; such a line fits, for nothing is said about it yet.
    """

    seal: int | None
    record: Record | None
    hash: str | None
    fits: bool

    def as_json(self) -> dict[str, Any]:
        """The line for a program: what its record says, and where it stands."""
        record = {} if self.record is None else asdict(self.record) | {"at": self.record.at.isoformat()}
        return record | {"seal": self.seal, "hash": self.hash, "fits": self.fits}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What came of verifying: `misfit` is the first line that does not fit, `missing` are kept heads that are not in the chain."""

    sealed: int
    unsealed: int
    head: str
    misfit: Line | None
    missing: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        return self.misfit is None and not self.missing

    def as_text(self) -> str:
        """For an operator: what was found, first line first."""
        if self.misfit is not None:
            return _told(self.misfit)
        if self.missing:
            return f"the chain is whole, and not the one that was kept: head {self.missing[0]} is not in it"
        return f"whole: {self.sealed} sealed, {self.unsealed} not sealed yet; head {self.head}"


def _told(misfit: Line) -> str:
    record = misfit.record
    if record is None:
        return f"seal {misfit.seal} does not fit: its record is gone"
    what = f"{record.actor}, {record.action} {record.subject}".rstrip()
    return f"seal {misfit.seal} does not fit: record {record.record} of {record.at.isoformat()} ({what}), or one before it is gone"


async def write(
    connection: "AnyConnection", at: datetime, by: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Write down what *by* does, for the tenant that *connection* acts for."""
    await connection.execute(
        """INSERT INTO audit_records (at, actor, action, subject, detail, correlation)
           VALUES ($1, $2, $3, $4, $5, $6)""",
        at,
        by,
        action,
        subject,
        json.dumps(detail, sort_keys=True),
        current_correlation(),
    )


async def write_as_owner(
    connection: "AnyConnection",
    tenant: str,
    at: datetime,
    by: str,
    action: str,
    subject: str,
    detail: Mapping[str, Any],
) -> None:
    """The same, by whoever migrates, in a transaction of theirs: in the role that may, since no policy lets the owner."""
    await connection.execute(f"SET LOCAL ROLE {Job.API}")
    await connection.execute("SELECT set_config('app.tenant', $1, true)", tenant)
    await write(connection, at, by, action, subject, detail)
    await connection.execute("RESET ROLE")


class AuditLog:
    """Writes records, seals them, and reads the chain."""

    LOOKBACK = 100_000
    """So many numbers back from the last sealed record a late commit is looked for; `verified` counts what is older."""
    AT_ONCE = 1000

    def __init__(self, database: Database, now: Callable[[], datetime]) -> None:
        self.database = database
        self.now = now

    async def record(
        self, connection: Connection, action: str, subject: str, detail: Mapping[str, Any], by: str = ""
    ) -> None:
        """Write down what the current actor, or whom *by* names, does, in the transaction in which it is done."""
        await write(connection, self.now(), by or current_actor(), action, subject, detail)

    async def asked(self, action: str) -> None:
        """Write down what the current actor is about to set going."""
        async with self.database.connection() as connection:
            await self.record(connection, action, "", {})

    async def configured(self, settings: Mapping[str, str], by: str) -> None:
        """Write down a configuration that is not the one written down last, and what in it is another.

        Two that start at once may both write it down, which does no harm; and each start has to wait for no more than one look.
        """
        async with self.database.connection() as connection:
            known = await connection.fetchval(
                "SELECT detail FROM audit_records WHERE action = $1 ORDER BY record DESC LIMIT 1", CONFIGURED
            )
            before = json.loads(known)["settings"] if known else {}
            changed = sorted(name for name in {*before, *settings} if before.get(name) != settings.get(name))
            if changed:
                detail = {"changed": changed, "settings": dict(settings)}
                await self.record(connection, CONFIGURED, "settings", detail, by)

    async def seal(self) -> int:
        """Chain what is committed and not sealed yet; returns how many records that was."""
        sealed = 0
        with acting_for(EVERYBODY):  # one chain for all tenants
            while fresh := await self.seal_some():
                sealed += fresh
        return sealed

    async def seal_some(self) -> int:
        """A bounded number of them. The chain's one end is locked for as long as that takes, and nobody else waits for it."""
        async with self.database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            end = await connection.fetchrow("SELECT seal, hash FROM audit_seals ORDER BY seal DESC LIMIT 1")
            number, head = (end["seal"], end["hash"]) if end else (0, GENESIS)
            seals = []
            for record in await self.unsealed(connection):
                number += 1
                head = self.chained(head, number, record)
                seals.append((number, record.record, head))
            if seals:
                await connection.executemany("INSERT INTO audit_seals (seal, record, hash) VALUES ($1, $2, $3)", seals)
        if seals:
            log.info("audit sealed", seal=number, head=head)
        return len(seals)

    async def unsealed(self, connection: Connection) -> Sequence[Record]:
        """Records that are committed and not sealed, oldest numbers first."""
        rows = await connection.fetch(
            f"""SELECT {_COLUMNS} FROM audit_records r
                WHERE record > (SELECT coalesce(max(record), 0) - $1 FROM audit_seals)
                  AND NOT EXISTS (SELECT FROM audit_seals s WHERE s.record = r.record)
                ORDER BY record LIMIT $2""",  # noqa: S608 - constants only
            self.LOOKBACK,
            self.AT_ONCE,
        )
        return [Record(**row) for row in rows]

    @classmethod
    def chained(cls, before: str, seal: int, record: Record) -> str:
        """The hash of a seal: over the one before it, its own number, and all that its record says."""
        return hashlib.sha256(f"{before}\n{seal}\n{cls.canonical(record)}".encode()).hexdigest()

    @classmethod
    def canonical(cls, record: Record) -> str:
        """The same text for the same record, whoever reads it and in whatever time zone: JSON, in this order."""
        return json.dumps(
            [
                record.record,
                record.at.astimezone(UTC).isoformat(timespec="microseconds"),
                record.actor,
                record.tenant,
                record.action,
                record.subject,
                record.detail,
                record.correlation,
            ]
        )

    @classmethod
    async def lines(cls, connection: "AnyConnection") -> AsyncIterator[Line]:
        """The whole log in the order of its seals, then what is not sealed; inside a transaction of the caller's.

        Each line is judged by the hash that stands before it, so that one change is one line that does not fit.
        """
        expected, before = 1, GENESIS
        async for row in connection.cursor(
            f"""SELECT seal, hash, s.record IS NOT NULL AS sealed, {_COLUMNS.replace("record", "r.record", 1)}
                FROM audit_seals s FULL JOIN audit_records r USING (record)
                ORDER BY seal NULLS LAST, r.record""",  # noqa: S608 - constants only
            prefetch=1000,
        ):
            facts = dict(row)
            seal, hash, sealed = facts.pop("seal"), facts.pop("hash"), facts.pop("sealed")
            record = None if facts["record"] is None else Record(**facts)
            if not sealed:
                yield Line(seal=None, record=record, hash=None, fits=True)
                continue
            fits = record is not None and seal == expected and hash == cls.chained(before, seal, record)
            yield Line(seal=seal, record=record, hash=hash, fits=fits)
            expected, before = seal + 1, hash

    @classmethod
    async def verified(cls, connection: "AnyConnection", kept: Sequence[str] = ()) -> Verified:
        """Whether the chain is whole, and every head that was *kept* elsewhere is in it. At one instant; changes nothing."""
        sealed = unsealed = 0
        head, misfit, missing = GENESIS, None, set(kept)
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            async for line in cls.lines(connection):
                if line.hash is None:
                    unsealed += 1
                    continue
                sealed, head = sealed + 1, line.hash
                missing.discard(head)
                misfit = misfit or (None if line.fits else line)
        return Verified(
            sealed=sealed,
            unsealed=unsealed,
            head=head,
            misfit=misfit,
            missing=tuple(each for each in kept if each in missing),
        )
