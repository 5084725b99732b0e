"""Reconciliation: ask the provider about every top-up that is not final, and apply what it says like a callback."""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from reference_impl import refunds, topups
from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.database import Connection, Database
from reference_impl.events import Event
from reference_impl.initiation import Initiation, reply_of
from reference_impl.logs import correlate
from reference_impl.metrics import Metrics
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import OutcomeUnknown, Payment
from reference_impl.refunds import Refunds
from reference_impl.states import State, States
from reference_impl.topups import TopUp

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one run found: of those asked about, how many are now credited, failed, and still open.

    `reversals` counts what went back, or came back again, and was posted only now.
    """

    asked: int
    credited: int
    failed: int
    open: int
    discrepancies: int
    reversals: int


class Reconciler:
    """Settles what callbacks did not. Run twice, or beside a callback, it does nothing twice: the claim is the same."""

    FAILED_STAYS_OPEN: ClassVar[timedelta] = timedelta(days=30)
    """A failed payment can still be captured, by another attempt of the customer's; after this long it is final."""
    AT_ONCE: ClassVar[int] = 4
    PAGES_MAX: ClassVar[int] = 100
    """Of the list of reversals, in one run; what is left comes in the next."""

    def __init__(
        self,
        database: Database,
        provider: ProviderClient,
        initiation: Initiation,
        refunds: Refunds,
        callbacks: CallbackIntake,
        metrics: Metrics,
        now: Callable[[], datetime],
    ) -> None:
        self.database = database
        self.provider = provider
        self.initiation = initiation
        self.refunds = refunds
        self.callbacks = callbacks
        self.metrics = metrics
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
        found = [await self.finish_refunds(), await self.hear_reversals()]
        await self.callbacks.outbox.tell_late()
        return await self.report(due, [outcome for several in (*outcomes, *found) for outcome in several])

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
        return await self.receive(payments)

    async def on_return(self, top_up: TopUp, said: Mapping[str, str]) -> None:
        """A customer's browser is back from the provider's page, and *said*, the query, is how it went.

        Nothing comes of it: nobody signed that, and anybody can type it. What is true, a callback or the next run says.
        """
        log.info("returned", top_up=top_up.top_up, parameters=len(said))

    async def receive(self, payments: Iterable[Payment]) -> list[Outcome]:
        """What callbacks about these payments would have done, as far as they did not."""
        return [await self.callbacks.receive(event) for payment in payments for event in events_of(payment)]

    async def finish_refunds(self) -> list[Outcome]:
        """Ask again for refunds of which nobody knows what became, each under the key it was asked for with."""
        async with self.database.connection() as connection:
            unanswered = await refunds.unanswered(connection)
        outcomes = [await self.refunds.finish(refund) for refund in unanswered]
        return [outcome for outcome in outcomes if outcome is not None]

    async def hear_reversals(self) -> list[Outcome]:
        """Read on in the provider's list of what went back, from where it was last read and applied to the end."""
        outcomes: list[Outcome] = []
        try:
            for _ in range(self.PAGES_MAX):
                position = await self.position()
                page = await self.provider.reversals(position)
                if page.following == position:
                    break
                outcomes += await self.receive(page.payments)
                await self.read_to(page.following)
        except OutcomeUnknown as doubt:
            log.warning("reversals not reconciled", error=str(doubt))
        return outcomes

    async def position(self) -> int:
        """How far the list was read."""
        async with self.database.connection() as connection:
            found: int | None = await connection.fetchval("SELECT position FROM reading WHERE list = 'reversals'")
        return found or 0

    async def read_to(self, position: int) -> None:
        """Only forwards: another run may have been faster."""
        async with self.database.connection() as connection:
            await connection.execute(
                """INSERT INTO reading (list, position) VALUES ('reversals', $1)
                   ON CONFLICT (list) DO UPDATE SET position = greatest(reading.position, excluded.position)""",
                position,
            )

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
        credited, failed = sum(counts.get(state, 0) for state in States.ONCE_CREDITED), counts.get(State.FAILED, 0)
        report = Report(
            asked=len(due),
            credited=credited,
            failed=failed,
            open=len(due) - credited - failed,
            discrepancies=outcomes.count(Outcome.SET_ASIDE),
            reversals=outcomes.count(Outcome.REVERSED) + outcomes.count(Outcome.RESTORED),
        )
        self.metrics.count("topup_reconciliations", "done")
        self.metrics.gauge("topup_reconciled_at_seconds", self.now().timestamp())
        self.metrics.gauge("topup_open", report.open)
        log.info("reconciled", **asdict(report))
        return report


def events_of(payment: Payment) -> Iterator[Event]:
    """What callbacks would have reported of this payment so far; nothing while there is nothing to report."""
    if payment.captured_minor == 0 and payment.state != "failed":
        return
    first = Event(
        kind="captured" if payment.captured_minor else "failed",
        payment=payment.id,
        reference=payment.reference,
        amount_minor=payment.captured_minor or payment.amount_minor,
        currency=payment.currency,
        account=payment.account,
        merchant=payment.merchant,
        environment=payment.environment,
        captured_minor=payment.captured_minor,
        refunded_minor=payment.refunded_minor,
    )
    yield first
    for refund in payment.refunds:
        yield replace(first, kind="refunded", amount_minor=refund.amount_minor, reversal=refund.id)
    for dispute in payment.disputes:
        kind = dispute.status if dispute.status in ("won", "lost") else "disputed"
        yield replace(first, kind=kind, amount_minor=dispute.amount_minor, reversal=dispute.id)
