"""What is odd, for people to look at: very high amounts, repeated failures, spikes of retries. Nothing is denied for it.

It is looked for beside the requests, in what they have left in the database: no top-up waits for it, let alone fails by it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from reference_impl.answers import Problem
from reference_impl.audit import AuditLog
from reference_impl.database import Connection, Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """One thing to look at. `about` is a top-up, or a customer and the hour in which something was repeated."""

    review: int
    kind: str
    about: str
    customer: str
    detail: str
    at: datetime


class Reviews:
    """A queue that is filled by looking, and emptied by people, who say what they found."""

    SINCE = timedelta(days=2)
    """How far back it is looked. What is older was looked at, or there was nobody to."""

    def __init__(
        self, database: Database, audit: AuditLog, now: Callable[[], datetime], amount_minor: int, times: int
    ) -> None:
        self.database = database
        self.audit = audit
        self.now = now
        self.amount_minor = amount_minor
        self.times = times

    async def waiting(self) -> list[Review]:
        """What there is to look at, oldest first."""
        await self.look()
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                """SELECT review, kind, about, customer, detail, at FROM reviews
                   WHERE closed_at IS NULL ORDER BY review LIMIT 1000"""
            )
        return [Review(**row) for row in rows]

    async def look(self) -> None:
        """Add what is odd and is not there yet. Done twice, or by two processes at once, it is there once."""
        async with self.database.connection() as connection:
            await connection.execute(
                """INSERT INTO reviews (tenant, kind, about, customer, detail, at)
                   SELECT tenant, 'very high amount', top_up, customer, amount_minor || ' ' || currency, $1::timestamptz
                   FROM top_ups WHERE created_at > $2 AND amount_minor >= $3
                   UNION ALL
                   SELECT tenant, 'repeated failures', customer || ' ' || date_trunc('hour', created_at), customer,
                          count(*) || ' failed payments in an hour', $1::timestamptz
                   FROM top_ups WHERE created_at > $2 AND state = 'Failed'
                   GROUP BY tenant, customer, date_trunc('hour', created_at) HAVING count(*) >= $4
                   UNION ALL
                   SELECT tenant, 'retry spike', customer || ' ' || hour, customer, count || ' too soon in an hour', $1::timestamptz
                   FROM denials WHERE hour > $2 AND count >= $4
                   ON CONFLICT (tenant, kind, about) DO NOTHING""",
                self.now(),
                self.now() - self.SINCE,
                self.amount_minor,
                self.times,
            )

    async def close(self, review: int, operator: str, note: str) -> None:
        """Take it out of the queue, with what was found, and write down who did. Raises `Problem` when it is not in it."""
        async with self.database.transaction() as connection:
            closed = await connection.fetchval(
                """UPDATE reviews SET closed_by = $2, closed_at = $3, note = $4
                   WHERE review = $1 AND closed_at IS NULL RETURNING true""",
                review,
                operator,
                self.now(),
                note,
            )
            if not closed:
                raise Problem(404, "no_such_review", "No review of this number waits.", at="review")
            await self.audit.record(connection, "review closed", f"rv_{review}", {"note": note})


async def came_too_soon(connection: Connection, customer: str, at: datetime) -> None:
    """Count one more request that came too soon, for whoever looks for spikes."""
    await connection.execute(
        """INSERT INTO denials AS known (customer, hour, count) VALUES ($1, date_trunc('hour', $2::timestamptz), 1)
           ON CONFLICT (tenant, customer, hour) DO UPDATE SET count = known.count + 1""",
        customer,
        at,
    )
