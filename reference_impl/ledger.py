"""Double entry, append-only: the only source of truth about balances."""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from reference_impl.database import Connection, Database
from reference_impl.money import Money
from reference_impl.topups import TopUp


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One leg of a posting."""

    entry: str
    posting: str
    account: str
    amount_minor: int
    currency: str
    payment: str
    kind: str
    at: datetime


class Ledger:
    """Money moves between accounts in postings, whose entries sum to zero. The database refuses any other kind."""

    def __init__(self, database: Database) -> None:
        self.database = database

    async def credit(
        self, connection: Connection, account: str, payment: str, amount: Money, top_up: TopUp, at: datetime
    ) -> str:
        """Post *amount* from the provider's clearing account to *account*; returns the posting's id.

        Inside the caller's transaction: entries, balance, claim and state come to be together or not at all.
        """
        posting = f"post_{uuid4().hex}"
        await connection.execute(
            """WITH posting AS (
                   INSERT INTO postings (posting, top_up, payment, kind, at) VALUES ($1, $2, $3, 'credit', $4)
               )
               INSERT INTO entries (posting, account, amount_minor, currency)
               VALUES ($1, $5, $6, $7), ($1, 'provider-clearing:' || $7, -$6::bigint, $7)""",
            posting,
            top_up.top_up,
            payment,
            at,
            account,
            amount.amount_minor,
            amount.currency,
        )
        await self.move_balance(connection, account, amount.amount_minor)
        return posting

    async def move_balance(self, connection: Connection, account: str, amount_minor: int) -> None:
        """Add to the balance where it lies, in one statement: nothing is read that could be old when it is written."""
        await connection.execute(
            "UPDATE accounts SET balance_minor = balance_minor + $2 WHERE account = $1", account, amount_minor
        )

    async def entries(self, account: str) -> list[Entry]:
        """All legs of every posting that touches *account*, oldest first."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """SELECT 'ent_' || e.entry AS entry, posting, e.account, e.amount_minor, e.currency, payment, kind, at
                   FROM postings JOIN entries e USING (posting)
                   WHERE posting IN (SELECT posting FROM entries WHERE account = $1)
                   ORDER BY e.entry""",
                account,
            )
        return [Entry(**row) for row in rows]
