"""A top-up: one customer's intent to turn a payment into credit, stored before anybody is asked for money."""

import json
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from reference_impl.actors import current_actor
from reference_impl.database import Connection
from reference_impl.money import Money

_COLUMNS = """top_up, customer, account, amount_minor, currency, method, merchant, environment, state, payment,
              correlation, created_at"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TopUp:
    """The stored intent, and how far it has come."""

    top_up: str
    customer: str
    account: str
    amount_minor: int
    currency: str
    method: str
    merchant: str
    environment: str
    state: str
    payment: str | None
    correlation: str
    created_at: datetime

    @property
    def money(self) -> Money:
        return Money(self.amount_minor, self.currency)


async def insert(connection: Connection, top_up: TopUp) -> bool:
    """Store a new top-up, and in the same statement who initiated it; False when it is already there."""
    return (
        await connection.fetchval(
            f"""WITH stored AS (
                    INSERT INTO top_ups ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
                    ON CONFLICT (top_up) DO NOTHING RETURNING top_up
                ), audited AS (
                    INSERT INTO audit_records (at, actor, action, subject, detail, correlation)
                    SELECT $12, $13, 'top-up initiated', top_up, $14, $11 FROM stored
                )
                SELECT true FROM stored""",  # noqa: S608 - constants only
            top_up.top_up,
            top_up.customer,
            top_up.account,
            top_up.amount_minor,
            top_up.currency,
            top_up.method,
            top_up.merchant,
            top_up.environment,
            top_up.state,
            top_up.payment,
            top_up.correlation,
            top_up.created_at,
            current_actor(),
            json.dumps(
                {
                    "customer": top_up.customer,
                    "account": top_up.account,
                    "amount_minor": top_up.amount_minor,
                    "currency": top_up.currency,
                }
            ),
        )
        is not None
    )


async def find(connection: Connection, top_up: str) -> TopUp | None:
    """The top-up with this id, as it is now."""
    return _read(await connection.fetchrow(f"SELECT {_COLUMNS} FROM top_ups WHERE top_up = $1", top_up))  # noqa: S608


async def lock(connection: Connection, top_up: str) -> TopUp | None:
    """The top-up with this id; nobody else changes it until the transaction ends."""
    return _read(
        await connection.fetchrow(f"SELECT {_COLUMNS} FROM top_ups WHERE top_up = $1 FOR UPDATE", top_up)  # noqa: S608
    )


async def not_final(connection: Connection, failed_since: datetime) -> list[TopUp]:
    """Those that may still be paid: never credited so far, nor failed for so long that it is settled."""
    rows = await connection.fetch(
        f"""SELECT {_COLUMNS} FROM top_ups
            WHERE state NOT IN ('Credited', 'PartlyReversed', 'Reversed') AND (state <> 'Failed' OR created_at > $1)
            ORDER BY created_at""",  # noqa: S608 - constants only
        failed_since,
    )
    return [TopUp(**row) for row in rows]


async def name_payment(connection: Connection, top_up: str, payment: str) -> None:
    """Remember which payment the provider made for it. The first one named stays."""
    await connection.execute("UPDATE top_ups SET payment = $2 WHERE top_up = $1 AND payment IS NULL", top_up, payment)


def _read(row: asyncpg.Record | None) -> TopUp | None:
    return None if row is None else TopUp(**row)
