"""Reconciliation: ask the provider about every top-up that is not final, and apply what it says like a callback."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from reference_impl import topups
from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.database import Connection, Database
from reference_impl.events import Event
from reference_impl.initiation import Initiation, reply_of
from reference_impl.logs import correlate
from reference_impl.provider import OutcomeUnknown, Payment, ProviderClient
from reference_impl.states import State
from reference_impl.topups import TopUp

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run found: of those asked about, how many are now credited, failed, and still open."""

    asked: int
    credited: int
    failed: int
    open: int
    discrepancies: int


class Reconciler:
    """Settles what callbacks did not. Run twice, or beside a callback, it does nothing twice: the claim is the same."""

    FAILED_STAYS_OPEN: ClassVar[timedelta] = timedelta(days=30)
    """A failed payment can still be captured, by another attempt of the customer's; after this long it is final."""
    AT_ONCE: ClassVar[int] = 4

    def __init__(
        self,
        database: Database,
        provider: ProviderClient,
        initiation: Initiation,
        callbacks: CallbackIntake,
        now: Callable[[], datetime],
    ) -> None:
        self.database = database
        self.provider = provider
        self.initiation = initiation
        self.callbacks = callbacks
        self.now = now

    async def run(self) -> Report:
        """Ask about all that are due. What goes wrong with one does not keep the others waiting."""
        async with self.database.connection() as connection:
            due = await self.due(connection)
        lanes = asyncio.Semaphore(self.AT_ONCE)

        async def one(top_up: TopUp) -> list[Outcome]:
            async with lanes:
                return await self.settle_safely(top_up)

        outcomes = await asyncio.gather(*(one(top_up) for top_up in due))
        return await self.report(due, [outcome for several in outcomes for outcome in several])

    async def due(self, connection: Connection) -> list[TopUp]:
        """Which top-ups to ask about: all that are not final, oldest first."""
        return await topups.not_final(connection, self.now() - self.FAILED_STAYS_OPEN)

    async def settle_safely(self, top_up: TopUp) -> list[Outcome]:
        """Settle one; if it cannot be, it stays due and the next run tries again."""
        correlate(top_up.correlation)
        try:
            payments = await self.provider.payments_for(top_up.top_up)
            return await self.settle_one(top_up, payments)
        except OutcomeUnknown as doubt:
            log.warning("not reconciled", top_up=top_up.top_up, error=str(doubt))
            return []
        except Exception as error:
            # Whatever is wrong with this one, the others are not to wait for it.
            log.error("not reconciled", top_up=top_up.top_up, error=type(error).__name__, exc_info=error)
            return []

    async def settle_one(self, top_up: TopUp, payments: list[Payment]) -> list[Outcome]:
        """Apply what the provider knows about one top-up, first completing the initiation if that was cut short."""
        if top_up.state in (State.CREATED, State.INITIATED):
            payments = await self.complete(top_up, payments)
        events = [event for payment in payments if (event := event_of(payment)) is not None]
        return [await self.callbacks.receive(event) for event in events]

    async def complete(self, top_up: TopUp, payments: list[Payment]) -> list[Payment]:
        """Name the payment; if the provider knows of none, ask for it again under the key it was asked for with."""
        reply = reply_of(payments[0]) if payments else await self.initiation.ask(top_up)
        async with self.database.transaction() as connection:
            await self.initiation.accept(connection, top_up, reply)
        return payments or await self.provider.payments_for(top_up.top_up)

    async def report(self, due: list[TopUp], outcomes: list[Outcome]) -> Report:
        """Count where those that were due are now."""
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                "SELECT state, count(*) AS count FROM top_ups WHERE top_up = ANY($1) GROUP BY state",
                [top_up.top_up for top_up in due],
            )
        counts = {row["state"]: row["count"] for row in rows}
        credited, failed = counts.get(State.CREDITED, 0), counts.get(State.FAILED, 0)
        report = Report(
            asked=len(due),
            credited=credited,
            failed=failed,
            open=len(due) - credited - failed,
            discrepancies=outcomes.count(Outcome.DISPUTED),
        )
        log.info("reconciled", asked=report.asked, credited=credited, failed=failed, discrepancies=report.discrepancies)
        return report


def event_of(payment: Payment) -> Event | None:
    """What a callback would have reported of this payment; None while there is nothing to report."""
    if payment.state not in ("captured", "failed", "refunded"):
        return None
    return Event(
        kind=payment.state,
        payment=payment.id,
        reference=payment.reference,
        amount_minor=payment.captured_minor if payment.state != "failed" else payment.amount_minor,
        currency=payment.currency,
        account=payment.account,
        merchant=payment.merchant,
        environment=payment.environment,
    )
