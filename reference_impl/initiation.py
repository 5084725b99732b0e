"""Initiation: store the intent, ask the provider, store what it said. No transaction is open while it is asked."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from reference_impl import topups
from reference_impl.answers import Answer, problem
from reference_impl.database import Connection, Database
from reference_impl.keys import Go, IdempotencyKeys, answer_of
from reference_impl.logs import correlate, current_correlation
from reference_impl.metrics import Metrics
from reference_impl.money import Money
from reference_impl.outbox import Outbox
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Declined, OutcomeUnknown, Payment, ProviderRefused
from reference_impl.states import State, States
from reference_impl.statuses import status_of
from reference_impl.topups import TopUp

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a customer asks for."""

    account: str
    amount: Money
    method: str

    @property
    def canonical(self) -> str:
        """The same text for the same request, to be kept with its key."""
        return json.dumps([self.account, self.amount.amount_minor, self.amount.currency, self.method])


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking the provider: a payment, a no, or nothing that is certain."""

    event: str | None
    cause: str
    payment: str | None = None
    refused: bool = False


class Initiation:
    """Starts top-ups, and continues those that were left in the middle."""

    def __init__(
        self,
        database: Database,
        keys: IdempotencyKeys,
        states: States,
        provider: ProviderClient,
        outbox: Outbox,
        metrics: Metrics,
        now: Callable[[], datetime],
        *,
        merchant: str,
        environment: str,
    ) -> None:
        self.database = database
        self.keys = keys
        self.states = states
        self.provider = provider
        self.outbox = outbox
        self.metrics = metrics
        self.now = now
        self.merchant = merchant
        self.environment = environment

    async def start(self, customer: str, key: str, request: Request) -> Answer:
        """Answer one request, or one of its repetitions."""
        decision = await self.keys.begin(customer, key, request.canonical)
        if not isinstance(decision, Go):
            return answer_of(decision)
        stored = await self.open(decision.id, customer, request)
        correlate(stored.correlation)
        reply = await self.ask(stored)
        return await self.conclude(stored, key, reply)

    async def open(self, top_up: str, customer: str, request: Request) -> TopUp:
        """Store the intent, committed before anybody is asked for money: a callback may be faster than the answer."""
        intent = TopUp(
            top_up=top_up,
            customer=customer,
            account=request.account,
            amount_minor=request.amount.amount_minor,
            currency=request.amount.currency,
            method=request.method,
            merchant=self.merchant,
            environment=self.environment,
            state=State.CREATED,
            payment=None,
            correlation=current_correlation(),
            created_at=self.now(),
        )
        async with self.database.transaction() as connection:
            if await topups.insert(connection, intent):
                await self.states.record(connection, intent, None, State.CREATED, "request", None, self.now())
                await self.states.move(connection, intent, "initiated", "request", None, self.now())
                log.info("top-up opened", top_up=top_up, amount=str(intent.money))
            return await topups.find(connection, top_up) or intent

    async def ask(self, top_up: TopUp) -> Reply:
        """Have the provider take the money. No connection to the database is held meanwhile: this may take a while."""
        reply = await self.asked(top_up)
        self.metrics.count("topup_provider_answers", "refused" if reply.refused else reply.event or "unknown")
        return reply

    async def asked(self, top_up: TopUp) -> Reply:
        """What came of it, whatever it is."""
        try:
            return reply_of(await self.provider.create(top_up))
        except Declined:
            return Reply("failed", "provider declined")
        except ProviderRefused as refusal:
            log.error("provider refused", top_up=top_up.top_up, error=str(refusal))
            return Reply("failed", "provider refused", refused=True)
        except OutcomeUnknown as doubt:
            log.warning("outcome unknown", top_up=top_up.top_up, error=str(doubt))
            return Reply(None, "outcome unknown")

    async def conclude(self, top_up: TopUp, key: str, reply: Reply) -> Answer:
        """Store the payment, the state and the answer with its key: in one transaction, or the key could lie."""
        async with self.database.transaction() as connection:
            settled = await self.accept(connection, top_up, reply)
            return await self.keys.remember(connection, top_up.customer, key, self.answer(settled, reply))

    async def accept(self, connection: Connection, top_up: TopUp, reply: Reply) -> TopUp:
        """Store what the provider said, unless callbacks have said more by now; returns the top-up as it then is."""
        current = await topups.lock(connection, top_up.top_up) or top_up
        if reply.payment is not None and current.payment is None:
            await topups.name_payment(connection, top_up.top_up, reply.payment)
        if reply.event is not None:
            state = await self.states.move(connection, current, reply.event, reply.cause, reply.payment, self.now())
            if state is State.FAILED:
                await self.outbox.write(connection, top_up, state, self.now())
        return await topups.find(connection, top_up.top_up) or current

    def answer(self, top_up: TopUp, reply: Reply) -> Answer:
        """What the client is told: where the top-up is, as committed with this answer."""
        if top_up.state == State.FAILED and reply.refused:
            return Answer(
                502, problem("provider_refused", "The payment provider did not accept this. Nothing was taken.")
            )
        if top_up.state == State.FAILED:
            return Answer(402, view(top_up))
        return Answer(202 if top_up.state == State.INITIATED else 201, view(top_up))


def reply_of(payment: Payment) -> Reply:
    """What a payment means for its top-up. Captured is not credited here: the one way to credit is the event's."""
    if payment.state == "failed":
        return Reply("failed", "provider declined", payment.id)
    return Reply("accepted", "provider accepted", payment.id)


def view(top_up: TopUp) -> dict[str, Any]:
    """A top-up as customers read it."""
    return {
        "top_up": top_up.top_up,
        "payment": top_up.payment,
        "account": top_up.account,
        "amount_minor": top_up.amount_minor,
        "currency": top_up.currency,
        "state": top_up.state,
        "status": status_of(top_up.state),
    }
