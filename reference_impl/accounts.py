"""Customers' accounts. Everything about somebody else's account is answered as if there were none."""

from dataclasses import dataclass
from datetime import datetime

from reference_impl.database import Connection


@dataclass(frozen=True, slots=True)
class Account:
    """An account in one currency, and what is on it."""

    account: str
    currency: str
    balance_minor: int


async def open_account(connection: Connection, customer: str, account: str, currency: str, at: datetime) -> bool:
    """Open an account with nothing on it; False when there is one of that name, whoever's it is."""
    return (
        await connection.fetchval(
            """INSERT INTO accounts (account, kind, customer, currency, balance_minor, opened_at)
               VALUES ($1, 'customer', $2, $3, 0, $4) ON CONFLICT (account) DO NOTHING RETURNING true""",
            account,
            customer,
            currency,
            at,
        )
        is not None
    )


async def find(connection: Connection, customer: str, account: str) -> Account | None:
    """The customer's account of that name."""
    row = await connection.fetchrow(
        "SELECT account, currency, balance_minor FROM accounts WHERE account = $1 AND customer = $2", account, customer
    )
    return None if row is None else Account(**row)
