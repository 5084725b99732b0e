"""Callback intake: believe, read, and in one database transaction claim the effect and apply it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import ClassVar, NamedTuple

import structlog

from reference_impl import discrepancies, kept_back, topups
from reference_impl.answers import Answer, Refused, problem, unavailable
from reference_impl.database import DATABASE_ERRORS, Connection, Database
from reference_impl.dialects import Headers
from reference_impl.discrepancies import Disagreement
from reference_impl.events import Event
from reference_impl.ledger import Kind, Ledger, Posting
from reference_impl.logs import correlate
from reference_impl.metrics import Metrics
from reference_impl.money import Money
from reference_impl.outbox import Outbox
from reference_impl.states import States
from reference_impl.topups import TopUp
from reference_impl.verifier import Verifier

log = structlog.get_logger()


class Outcome(StrEnum):
    """What an event did."""

    CREDITED = "credited"
    REVERSED = "reversed"
    RESTORED = "restored"
    FAILED = "failed"
    UNCHANGED = "unchanged"
    DUPLICATE = "duplicate"
    SET_ASIDE = "set aside"


_OUTCOMES: Mapping[str, Outcome] = {
    "captured": Outcome.CREDITED,
    "refunded": Outcome.REVERSED,
    "disputed": Outcome.REVERSED,
    "won": Outcome.RESTORED,
}


class Mismatch(NamedTuple):
    """A field in which an event differs from the stored intent."""

    field: str
    expected: object
    found: object


class CallbackIntake:
    """Turns what the provider says about a payment into its effect, once, however often and by whatever way."""

    COMPARED: ClassVar[tuple[str, ...]] = ("environment", "merchant", "account", "currency", "amount_minor")
    """What must be as it was stored before anything is credited. The amount last: see `refuse_stranger`."""
    CREDITING: ClassVar[tuple[str, ...]] = ("captured",)
    """What brings money. An authorisation is a promise that may be broken; a settlement is a capture that was told already."""
    REVERSALS: ClassVar[Mapping[str, Kind]] = {
        "refunded": "refund",
        "disputed": "chargeback",
        "won": "chargeback-won",
    }
    """What moves money after a credit. A dispute does when it is opened; when it is lost, nothing moves any more."""

    REMEMBER: ClassVar[str] = """INSERT INTO callbacks (webhook_id, sha256, received_at, payment, outcome)
                                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING RETURNING true"""

    def __init__(
        self,
        database: Database,
        verifier: Verifier,
        states: States,
        ledger: Ledger,
        outbox: Outbox,
        metrics: Metrics,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self.database = database
        self.verifier = verifier
        self.states = states
        self.ledger = ledger
        self.outbox = outbox
        self.metrics = metrics
        self.now = now
        self.monotonic = monotonic

    async def on_callback(self, headers: Headers, body: bytes) -> Answer:
        """Answer one delivery. Success only after the commit: the provider may forget what we acknowledge."""
        try:
            self.verifier.verify(headers, body, self.now())
            event = self.verifier.read(headers, body)
            outcome = await self.receive(event) if event else Outcome.UNCHANGED
        except Refused as refusal:
            self.metrics.count("topup_callbacks_refused", refusal.reason)
            self.verifier.on_refusal(headers, body, refusal.reason)
            return Answer(refusal.status, problem("refused", refusal.reason))
        except DATABASE_ERRORS as error:
            return self.on_database_error(error)
        return self.answer_duplicate() if outcome is Outcome.DUPLICATE else self.acknowledge()

    def acknowledge(self) -> Answer:
        """What this provider takes for a yes, to the letter."""
        return self.verifier.acknowledgement

    def answer_duplicate(self) -> Answer:
        """Success, as the first time: anything else would make the provider go on for days."""
        return self.acknowledge()

    def on_database_error(self, error: Exception) -> Answer:
        """Not acknowledged. Also when only the answer to COMMIT was lost: the claim will tell when it comes again."""
        self.metrics.count("topup_callbacks_not_stored")
        log.error("callback not stored", error=type(error).__name__, exc_info=error)
        return unavailable()

    async def receive(self, event: Event) -> Outcome:
        """Apply *event*, or write down why not. The way in for callbacks and for answers to queries alike."""
        began = self.monotonic()
        try:
            outcome = await self.apply(event)
            self.metrics.took(self.monotonic() - began)
        except Disagreement as disagreement:
            self.metrics.count("topup_discrepancies", disagreement.kind)
            log.warning("discrepancy", payment=event.payment, kind=disagreement.kind)
            outcome = await self.set_aside(event, disagreement)
        self.metrics.of_event(event.cause, outcome)
        log.info("event", event_kind=event.kind, payment=event.payment, source=event.source, outcome=outcome)
        return outcome

    async def apply(self, event: Event) -> Outcome:
        """Claim, effect and record in one transaction. The claims come first: whoever comes second waits there.

        They are taken in one order by everybody, and all of them before the top-up is locked: nobody waits in a circle.
        """
        outcome = Outcome.DUPLICATE
        async with self.database.transaction() as connection:
            new = [step for step in self.steps_of(event) if await self.claim(connection, step)]
            for step in new:
                outcome = await self.take_effect(connection, step)
            if any(step.kind in self.CREDITING for step in new):
                await self.catch_up(connection, event.payment)
            await self.remember(connection, event, outcome)
        return outcome

    def steps_of(self, event: Event) -> tuple[Event, ...]:
        """All that *event* says has happened. A refund that is heard of before its capture is a capture, then a refund."""
        return event.steps

    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        return (
            await connection.fetchval(
                """INSERT INTO claims (payment, effect, claimed_at) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING RETURNING true""",
                event.payment,
                event.effect,
                self.now(),
            )
            is not None
        )

    async def take_effect(self, connection: Connection, event: Event) -> Outcome:
        """What *event* does to the top-up it is about, which is locked from here to the commit."""
        top_up = await self.find_top_up(connection, event)
        if top_up is None:
            raise Disagreement("unknown reference", "a top-up of this service", event.reference)
        correlate(self.correlation_of(event, top_up))
        if event.kind in self.CREDITING:
            await self.credit(connection, event, top_up)
        else:
            self.refuse_stranger(event, top_up)
        if event.kind in self.REVERSALS:
            await self.reverse(connection, event, top_up)
        return await self.advance(connection, event, top_up)

    def correlation_of(self, event: Event, top_up: TopUp) -> str:
        """Under which id the rest of this is told: the top-up's own, however and in what order its news come."""
        return top_up.correlation

    async def find_top_up(self, connection: Connection, event: Event) -> TopUp | None:
        """By our own reference, which is known before the provider has told us its payment's id."""
        return await topups.lock(connection, event.reference)

    async def credit(self, connection: Connection, event: Event, top_up: TopUp) -> None:
        """Money was taken: post it. Whatever the state says: the claim decides about money."""
        posting = Posting(kind="credit", payment=event.payment, amount=self.amount_of(event, top_up))
        await self.ledger.post(connection, top_up, posting, self.now())
        if top_up.payment is None:
            await topups.name_payment(connection, top_up.top_up, event.payment)
        elif top_up.payment != event.payment:
            second = Disagreement("second payment", top_up.payment, event.payment, top_up.top_up)
            await discrepancies.record(connection, second, event.payment, top_up.account, self.now())

    def amount_of(self, event: Event, top_up: TopUp) -> Money:
        """What to credit: what was captured, provided that everything is as it was stored."""
        found = self.mismatch(event, top_up)
        if found:
            raise Disagreement(found.field, found.expected, found.found, top_up.top_up)
        return event.money

    async def reverse(self, connection: Connection, event: Event, top_up: TopUp) -> None:
        """Money went back, or came back again: a posting of its own, beside the credit, which stays as it was written.

        Below zero, if need be: `migrations/0003_reversals.sql` says why. Here too the claim decides, and nothing else.
        """
        kind, amount = self.REVERSALS[event.kind], self.reversed_by(event, top_up)
        posting = Posting(kind=kind, payment=event.payment, amount=amount, reversal=event.reversal)
        await self.ledger.post(connection, top_up, posting, self.now())

    def reversed_by(self, event: Event, top_up: TopUp) -> Money:
        """How much goes back: what this refund or this dispute is about, however much was before it."""
        return event.money

    def refuse_stranger(self, event: Event, top_up: TopUp) -> None:
        """Whose payment it was must be as it was stored. A failure moves no money, and a refund may be of a part."""
        found = self.mismatch(event, top_up)
        if found and found.field != "amount_minor":
            raise Disagreement(found.field, found.expected, found.found, top_up.top_up)

    def mismatch(self, event: Event, top_up: TopUp) -> Mismatch | None:
        """The first field in which *event* differs from the stored intent."""
        for field in self.COMPARED:
            expected, found = getattr(top_up, field), getattr(event, field)
            if expected != found:
                return Mismatch(field, expected, found)
        return None

    async def advance(self, connection: Connection, event: Event, top_up: TopUp) -> Outcome:
        """Move the state, and have the customer told if it moved. The states decide whether it does."""
        news = await self.news_of(connection, event, top_up)
        state = await self.states.move(connection, top_up, news, event.cause, event.source, self.now())
        if state is not None:
            await self.outbox.write(connection, top_up, state, self.now())
        if event.kind == "failed":
            return Outcome.UNCHANGED if state is None else Outcome.FAILED
        return _OUTCOMES.get(event.kind, Outcome.UNCHANGED)

    async def news_of(self, connection: Connection, event: Event, top_up: TopUp) -> str:
        """What *event* is to the states. Once something was credited, only what the ledger has left of it counts."""
        if event.kind == "failed" or top_up.state not in States.ONCE_CREDITED:
            return event.kind
        return (await self.ledger.standing(connection, top_up)).word

    async def set_aside(self, event: Event, disagreement: Disagreement) -> Outcome:
        """Write the disagreement down. The claim was undone with the rest: the payment's true report may yet come.

        If it came in this moment, what went back is applied from the beginning: claims come before the lock that is held here.
        """
        async with self.database.transaction() as connection:
            top_up = await self.find_top_up(connection, event)
            account = top_up.account if top_up else event.account
            await discrepancies.record(connection, disagreement, event.payment, account, self.now())
            went_back = [step for step in self.steps_of(event) if step.reversal]
            keeps = top_up is not None and disagreement.kind == "amount_minor" and bool(went_back)
            too_late = keeps and await self.is_credited(connection, event.payment)
            if not too_late:
                await self.remember(connection, event, Outcome.SET_ASIDE)
                for step in went_back if keeps else ():
                    await kept_back.keep(connection, step)
        return await self.apply(event) if too_late else Outcome.SET_ASIDE

    async def catch_up(self, connection: Connection, payment: str) -> None:
        """What was kept back of a payment that is credited now. The top-up is locked: whoever keeps something back waits.

        These claims come after the lock, and nobody waits in a circle: who else would make them waits for that of the credit first.
        """
        for step in await kept_back.of(connection, payment):
            if await self.claim(connection, step):
                await self.take_effect(connection, step)

    async def is_credited(self, connection: Connection, payment: str) -> bool:
        """Whether it is, to whom holds the lock on its top-up."""
        return bool(
            await connection.fetchval(
                "SELECT true FROM claims WHERE payment = $1 AND effect = ANY($2)", payment, list(self.CREDITING)
            )
        )

    async def remember(self, connection: Connection, event: Event, outcome: Outcome) -> None:
        """Keep the delivery's id for ever. `Refused`, and all undone, if it was seen with other bytes before."""
        if event.delivery is None:
            return
        inserted = await connection.fetchval(
            self.REMEMBER,
            event.delivery,
            event.digest,
            self.now(),
            event.payment,
            outcome,
        )
        if not inserted and event.digest != await connection.fetchval(
            "SELECT sha256 FROM callbacks WHERE webhook_id = $1", event.delivery
        ):
            raise Refused("this id was delivered before, with another body", 400)
