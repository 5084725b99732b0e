"""Telling customers. Written in the effect's transaction, sent later, apart: it can fail without touching a credit."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import httpx
import structlog

from reference_impl import topups
from reference_impl.database import Connection, Database
from reference_impl.logs import correlate, current_correlation
from reference_impl.metrics import Metrics
from reference_impl.states import State
from reference_impl.statuses import PROCESSING, status_of
from reference_impl.topups import TopUp

log = structlog.get_logger()

_BATCH = 100


@dataclass(frozen=True, slots=True)
class Notification:
    """One thing to tell one customer."""

    notification: int
    top_up: TopUp
    status: str


class Outbox:
    """Each notification is sent at most once: it is marked before it is sent, and never sent again."""

    def __init__(
        self,
        database: Database,
        http: httpx.AsyncClient,
        url: str,
        metrics: Metrics,
        now: Callable[[], datetime],
        late_after: timedelta = timedelta(minutes=15),
    ) -> None:
        self.database = database
        self.http = http
        self.url = url
        self.metrics = metrics
        self.now = now
        self.late_after = late_after

    async def write(self, connection: Connection, top_up: TopUp, state: State, at: datetime) -> None:
        """Have the customer told the word for *state*, if and when the caller's transaction commits."""
        await connection.execute(
            "INSERT INTO outbox (top_up, status, written_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            top_up.top_up,
            status_of(state),
            at,
        )

    async def tell_late(self) -> None:
        """Have the customers told, once each, whose payments are still on their way after so long: that word is Processing.

        Rows that somebody has locked are left for the next time: they are about to move.
        """
        async with self.database.connection() as connection:
            await connection.execute(
                """INSERT INTO outbox (top_up, status, written_at)
                   SELECT top_up, $1, $2 FROM top_ups
                   WHERE state IN ('Created', 'Initiated', 'AwaitingPayment') AND created_at <= $3
                   FOR UPDATE SKIP LOCKED
                   ON CONFLICT DO NOTHING""",
                PROCESSING,
                self.now(),
                self.now() - self.late_after,
            )

    async def flush(self) -> int:
        """Send what waits; returns how many were tried. A plain SELECT, and no more, when nothing does."""
        async with self.database.connection() as connection:
            waiting = await connection.fetch(
                "SELECT notification FROM outbox WHERE sent_at IS NULL ORDER BY notification LIMIT $1", _BATCH
            )
        for row in waiting:
            notification = await self.take(row["notification"])
            if notification is not None:
                await self.send(notification)
        return len(waiting)

    async def take(self, notification: int) -> Notification | None:
        """Mark it as sent; None when somebody else was faster."""
        async with self.database.connection() as connection:
            row = await connection.fetchrow(
                """UPDATE outbox SET sent_at = $2 WHERE notification = $1 AND sent_at IS NULL
                   RETURNING top_up, status""",
                notification,
                self.now(),
            )
            top_up = await topups.find(connection, row["top_up"]) if row else None
        found = Notification(notification, top_up, row["status"]) if row and top_up else None
        return found if found is not None and self.still_so(found) else None

    def still_so(self, notification: Notification) -> bool:
        """Whether it is worth saying: that a payment is late is not, once it has come."""
        return notification.status != PROCESSING or status_of(notification.top_up.state) == PROCESSING

    async def send(self, notification: Notification) -> None:
        """Tell the customer. Failing is noted and is the end of it: a late word is worse than the status page."""
        top_up = notification.top_up
        correlate(top_up.correlation)
        log.info("notification", top_up=top_up.top_up, status=notification.status, amount=str(top_up.money))
        if not self.url:
            return
        try:
            answer = await self.http.post(
                self.url,
                json={"customer": top_up.customer, "top_up": top_up.top_up, "status": notification.status},
                headers={"X-Correlation-Id": current_correlation()},
            )
            answer.raise_for_status()
            self.metrics.count("topup_notifications", "told")
        except httpx.HTTPError as error:
            self.metrics.count("topup_notifications", "not delivered")
            log.warning("notification not delivered", top_up=top_up.top_up, error=type(error).__name__)
