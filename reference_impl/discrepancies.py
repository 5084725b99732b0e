"""Where two books disagree. Nothing is credited on a disagreement: it is written down for people to look at."""

from dataclasses import dataclass
from datetime import datetime

from reference_impl.database import Connection


class Disagreement(Exception):
    """What the provider says does not fit what was stored. Undoes the transaction it is raised in."""

    def __init__(self, kind: str, expected: object, found: object, top_up: str | None = None) -> None:
        super().__init__(f"{kind}: expected {expected}, found {found}")
        self.kind = kind
        self.expected = str(expected)
        self.found = str(found)
        self.top_up = top_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Discrepancy:
    """One disagreement, as it is listed."""

    id: str
    payment: str
    top_up: str | None
    account: str
    kind: str
    expected: str
    found: str
    at: datetime


async def record(connection: Connection, found: Disagreement, payment: str, account: str, at: datetime) -> None:
    """Write *found* down, once, however often it is found."""
    await connection.execute(
        """INSERT INTO discrepancies (payment, top_up, account, kind, expected, found, at)
           VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING""",
        payment,
        found.top_up,
        account,
        found.kind,
        found.expected,
        found.found,
        at,
    )


async def listed(connection: Connection, customer: str, account: str | None) -> list[Discrepancy]:
    """Those about the customer's accounts, or about one of them."""
    rows = await connection.fetch(
        """SELECT 'dis_' || discrepancy AS id, payment, top_up, account, d.kind, expected, found, at
           FROM discrepancies d JOIN accounts USING (account)
           WHERE customer = $1 AND ($2::text IS NULL OR account = $2)
           ORDER BY discrepancy""",
        customer,
        account,
    )
    return [Discrepancy(**row) for row in rows]
