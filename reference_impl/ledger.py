"""Double entry, append-only: the only source of truth about balances."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Literal, TypeAlias
from uuid import uuid4

from reference_impl.database import Connection, Database
from reference_impl.flags import Flag, Flags
from reference_impl.money import Money
from reference_impl.topups import TopUp

Kind: TypeAlias = Literal["credit", "refund", "chargeback", "chargeback-won", "adjustment", "adjustment-back"]
SIGNS: Mapping[Kind, int] = {
    "credit": 1,
    "refund": -1,
    "chargeback": -1,
    "chargeback-won": 1,
    "adjustment": 1,
    "adjustment-back": -1,
}
"""Which way the money of each kind of posting goes, seen from the customer's account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leg of a posting. `reversal` is the provider's id of a refund or a dispute, `correction` our own of a finding."""

    entry: str
    posting: str
    account: str
    amount_minor: int
    currency: str
    payment: str
    kind: str
    reversal: str | None
    correction: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Money that moves between a customer's account and the provider's clearing account, and why.

    `reversal` is what it is about, for every kind but a credit: the provider's id of the refund or the dispute, or our own of
    the finding that is corrected.
    """

    kind: Kind
    payment: str
    amount: Money
    reversal: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """What was credited for one top-up, and what of it has not gone back."""

    credited_minor: int
    left_minor: int

    @property
    def word(self) -> str:
        """The same, for the states."""
        if self.left_minor >= self.credited_minor:
            return "restored"
        return "partly reversed" if self.left_minor > 0 else "reversed"


class Ledger:
    """Money moves between accounts in postings, whose entries sum to zero. The database refuses any other kind."""

    POST: ClassVar[str] = """
        WITH posting AS (
            INSERT INTO postings (posting, top_up, payment, kind, reversal, at) VALUES ($1, $2, $3, $4, $5, $6)
        )
        INSERT INTO entries (posting, account, amount_minor, currency)
        VALUES ($1, $7, $8, $9), ($1, 'provider-clearing:' || $9, -$8::bigint, $9)"""
    """A posting and its legs."""
    MOVE: ClassVar[str] = "WITH moved AS (UPDATE accounts SET balance_minor = balance_minor + $8 WHERE account = $7), "
    """What moves the balance in the same statement, in the place of its first word."""

    def __init__(self, database: Database, flags: Flags) -> None:
        self.database = database
        self.flags = flags

    async def post(self, connection: Connection, top_up: TopUp, posting: Posting, at: datetime) -> str:
        """Move money between the provider's clearing account and the top-up's; returns the posting's id.

        Inside the caller's transaction: entries, balance, claim and state come to be together or not at all.
        """
        id = f"post_{uuid4().hex}"
        amount_minor = SIGNS[posting.kind] * posting.amount.amount_minor
        at_once = self.flags.is_on(Flag.POST_IN_ONE_STATEMENT)
        await connection.execute(
            self.POST.replace("WITH ", self.MOVE, 1) if at_once else self.POST,
            id,
            top_up.top_up,
            posting.payment,
            posting.kind,
            posting.reversal,
            at,
            top_up.account,
            amount_minor,
            posting.amount.currency,
        )
        if not at_once:
            await self.move_balance(connection, top_up.account, amount_minor)
        return id

    async def standing(self, connection: Connection, top_up: TopUp) -> Standing:
        """How much of a top-up's credit is left. Certain only while the top-up is locked."""
        row = await connection.fetchrow(
            """SELECT coalesce(sum(amount_minor) FILTER (WHERE kind IN ('credit', 'adjustment', 'adjustment-back')), 0)::bigint
                          AS credited,
                      coalesce(sum(amount_minor), 0)::bigint AS left_over
               FROM postings JOIN entries USING (posting) WHERE top_up = $1 AND account = $2""",
            top_up.top_up,
            top_up.account,
        )
        assert row is not None  # an aggregate always has one
        return Standing(row["credited"], row["left_over"])

    async def move_balance(self, connection: Connection, account: str, amount_minor: int) -> None:
        """Add to the balance where it lies, in one statement: nothing is read that could be old when it is written."""
        await connection.execute(
            "UPDATE accounts SET balance_minor = balance_minor + $2 WHERE account = $1", account, amount_minor
        )

    async def entries(self, connection: Connection, account: str) -> list[Entry]:
        """All legs of every posting that touches *account*, oldest first."""
        rows = await connection.fetch(
            """SELECT 'ent_' || e.entry AS entry, posting, e.account, e.amount_minor, e.currency, payment, kind,
                      CASE WHEN kind NOT IN ('adjustment', 'adjustment-back') THEN reversal END AS reversal,
                      CASE WHEN kind IN ('adjustment', 'adjustment-back') THEN reversal END AS correction, at
               FROM postings JOIN entries e USING (posting)
               WHERE posting IN (SELECT posting FROM entries WHERE account = $1)
               ORDER BY e.entry""",
            account,
        )
        return [Entry(**row) for row in rows]
