"""Comparing the books: the provider is asked first, the ledger read after it, and what differs is looked at a second time."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from reference_impl.database import Connection, Database
from reference_impl.findings import (
    ACTIONS,
    Adjusted,
    Balance,
    Book,
    Class,
    Credited,
    Finding,
    balances_against_sums,
    ledger_against_provider,
    states_against_callbacks,
)
from reference_impl.money import Money
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import OutcomeUnknown, Payment

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What one run compared, and what it found. `unknown` are top-ups about which the provider gave no usable answer."""

    began_at: datetime
    ended_at: datetime
    compared: int
    agreed: int
    pending: int
    unknown: int
    accounts: int
    findings: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        classes = Counter(finding.class_ for finding in self.findings)
        found = ", ".join(f"{count} {name}" for name, count in sorted(classes.items())) or "nothing differs"
        return (
            f"{self.compared} top-ups and {self.accounts} balances compared: {self.agreed} agree, {self.pending} pending, "
            f"{self.unknown} unknown; {found}."
        )

    @property
    def recommended(self) -> tuple[str, ...]:
        """What to do, once for each class, the gravest first."""
        return tuple(f"{name}: {ACTIONS[name]}" for name in Class if any(f.class_ is name for f in self.findings))

    def as_json(self) -> dict[str, object]:
        """The report for a program."""
        found = [{"class": f.class_, **{k: v for k, v in asdict(f).items() if k != "class_"}} for f in self.findings]
        counts = {name: getattr(self, name) for name in ("compared", "agreed", "pending", "unknown", "accounts")}
        times = {"began_at": self.began_at.isoformat(), "ended_at": self.ended_at.isoformat()}
        return {**times, **counts, "summary": self.summary, "recommended": self.recommended, "findings": found}

    def as_text(self) -> str:
        """The report for a person."""
        lines = [f"{self.began_at.isoformat(timespec='seconds')}  {self.summary}"]
        for f in self.findings:
            about = f"{f.about} {f.payment}".strip()
            lines.append(f"  {f.class_:<17} {about}: expected {f.expected}, found {f.found}")
        return "\n".join([*lines, *(f"  → {line}" for line in self.recommended)])


class Comparer:
    """Compares what was credited with what the provider has. It changes nothing: settling is the reconciler's."""

    AT_ONCE: ClassVar[int] = 4
    TOP_UPS_MAX: ClassVar[int] = 10_000
    """In one run, the newest; a window that holds more is said in the log, and is to be made smaller."""

    def __init__(
        self,
        database: Database,
        provider: ProviderClient,
        now: Callable[[], datetime],
        *,
        window: timedelta,
        patience_s: float,
    ) -> None:
        self.database = database
        self.provider = provider
        self.now = now
        self.window = window
        self.patience_s = patience_s

    async def run(self, asked_by: str) -> Comparison:
        """Compare, look again at what differs, and keep the report."""
        began_at = self.now()
        async with self.database.connection() as connection:
            top_ups = await _in_window(connection, began_at - self.window, self.TOP_UPS_MAX)
        known = await self.known(top_ups)
        doubts = {finding.about for finding in await self.differences(known)} & set(known)
        if doubts:
            await asyncio.sleep(self.patience_s)
            known |= await self.known(sorted(doubts))
        findings = await self.differences(known)
        async with self.database.connection() as connection:
            accounts = await connection.fetchval("SELECT count(*) FROM accounts WHERE kind = 'customer'")
        report = Comparison(
            began_at=began_at,
            ended_at=self.now(),
            compared=len(known),
            agreed=len(set(known) - {finding.about for finding in findings}),
            pending=sum(not any(p.captured_minor for p in payments) for payments in known.values()),
            unknown=len(top_ups) - len(known),
            accounts=accounts,
            findings=tuple(sorted(findings)),
        )
        await self.keep(report, asked_by)
        return report

    async def known(self, top_ups: Sequence[str]) -> dict[str, list[Payment]]:
        """What the provider knows for each top-up; one of which nothing certain is heard is left out."""
        lanes = asyncio.Semaphore(self.AT_ONCE)

        async def one(top_up: str) -> list[Payment] | None:
            async with lanes:
                try:
                    return await self.provider.payments_for(top_up)
                except OutcomeUnknown as doubt:
                    log.warning("not compared", top_up=top_up, error=str(doubt))
                    return None

        answers = await asyncio.gather(*(one(top_up) for top_up in top_ups))
        return {top_up: answer for top_up, answer in zip(top_ups, answers, strict=True) if answer is not None}

    async def differences(self, known: dict[str, list[Payment]]) -> list[Finding]:
        """All three comparisons, against books that were read at one instant after the provider had answered."""
        async with self.database.connection() as connection, connection.transaction(isolation="repeatable_read"):
            books = await _books(connection, list(known))
            balances = await _balances(connection)
        found = [finding for book in books for finding in self.of_top_up(book, known[book.top_up])]
        return [*found, *balances_against_sums(balances)]

    def of_top_up(self, book: Book, payments: Sequence[Payment]) -> list[Finding]:
        """What differs about one top-up: payment by payment, amount by amount."""
        return [*ledger_against_provider(book, payments), *states_against_callbacks(book)]

    async def keep(self, report: Comparison, asked_by: str) -> None:
        """Write the run down, and each finding once."""
        async with self.database.transaction() as connection:
            await connection.execute(
                "INSERT INTO reconciliations (began_at, ended_at, asked_by, report) VALUES ($1, $2, $3, $4)",
                report.began_at,
                report.ended_at,
                asked_by,
                json.dumps(report.as_json()),
            )
            await connection.executemany(
                """INSERT INTO findings (class, about, payment, expected, found, at) VALUES ($1, $2, $3, $4, $5, $6)
                   ON CONFLICT DO NOTHING""",
                [(f.class_, f.about, f.payment, f.expected, f.found, report.ended_at) for f in report.findings],
            )
        log.info("compared", summary=report.summary)


async def history(connection: Connection, limit: int = 50) -> list[dict[str, object]]:
    """The reports of earlier runs, the newest first."""
    rows = await connection.fetch(
        "SELECT reconciliation, asked_by, report FROM reconciliations ORDER BY reconciliation DESC LIMIT $1", limit
    )
    return [
        {"id": f"rec_{row['reconciliation']}", "asked_by": row["asked_by"], **json.loads(row["report"])} for row in rows
    ]


async def findings(connection: Connection, limit: int = 500) -> list[dict[str, object]]:
    """What was found, the newest first, each with the corrections that were proposed or posted for it."""
    rows = await connection.fetch(
        """SELECT finding, class, about, payment, expected, found, at,
                  coalesce((SELECT json_agg(json_build_object('account', account, 'amount_minor', amount_minor,
                                'proposed_by', proposed_by, 'approved_by', approved_by, 'posting', posting))
                            FROM adjustments a WHERE a.finding = f.finding), '[]')::text AS adjustments
           FROM findings f ORDER BY finding DESC LIMIT $1""",
        limit,
    )
    return [dict(row) | {"adjustments": json.loads(row["adjustments"])} for row in rows]


async def _in_window(connection: Connection, since: datetime, at_most: int) -> list[str]:
    rows = await connection.fetch(
        "SELECT top_up FROM top_ups WHERE created_at > $1 ORDER BY created_at DESC LIMIT $2", since, at_most + 1
    )
    if len(rows) > at_most:
        log.warning("window too large", at_most=at_most)
    return [row["top_up"] for row in rows[:at_most]]


async def _books(connection: Connection, top_ups: list[str]) -> list[Book]:
    credits: dict[str, list[Credited]] = {top_up: [] for top_up in top_ups}
    for row in await connection.fetch(
        """SELECT top_up, payment, account, e.amount_minor, e.currency FROM postings JOIN entries e USING (posting)
           WHERE kind = 'credit' AND e.amount_minor > 0 AND top_up = ANY($1) ORDER BY entry""",
        top_ups,
    ):
        credits[row["top_up"]].append(
            Credited(row["payment"], row["account"], Money(row["amount_minor"], row["currency"]))
        )
    adjusted: dict[str, list[Adjusted]] = {top_up: [] for top_up in top_ups}
    for row in await connection.fetch(
        """SELECT top_up, p.payment, e.account, e.amount_minor, e.currency
           FROM postings p JOIN entries e USING (posting) JOIN accounts a USING (account)
           WHERE p.kind IN ('adjustment', 'adjustment-back') AND a.kind = 'customer' AND top_up = ANY($1)
           ORDER BY entry""",
        top_ups,
    ):
        adjusted[row["top_up"]].append(Adjusted(row["payment"], row["account"], row["amount_minor"], row["currency"]))
    rows = await connection.fetch(
        """SELECT top_up, account, state,
                  EXISTS (SELECT FROM callbacks c WHERE c.payment = t.payment AND c.outcome = 'credited') AS told
           FROM top_ups t WHERE top_up = ANY($1)""",
        top_ups,
    )
    return [
        Book(
            r["top_up"], r["account"], r["state"], tuple(credits[r["top_up"]]), tuple(adjusted[r["top_up"]]), r["told"]
        )
        for r in rows
    ]


async def _balances(connection: Connection) -> list[Balance]:
    rows = await connection.fetch(
        """SELECT account, balance_minor, coalesce(sum(amount_minor), 0)::bigint AS sum_minor
           FROM accounts LEFT JOIN entries USING (account) WHERE kind = 'customer' GROUP BY account, balance_minor
           HAVING balance_minor <> coalesce(sum(amount_minor), 0)"""
    )
    return [Balance(row["account"], row["balance_minor"], row["sum_minor"]) for row in rows]
