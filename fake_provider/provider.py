"""The provider: the book, the deliveries and the moods, put together. Everything but HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

from fake_provider import payments
from fake_provider.clock import Clocks, iso
from fake_provider.deliveries import Deliveries, Posting
from fake_provider.dialects import Answer, Dialect, Notice
from fake_provider.fields import Refused
from fake_provider.idempotency import ApiAnswer, Keys
from fake_provider.moods import Charge, Ends, Mood, Moods
from fake_provider.payments import Order, Payment
from fake_provider.records import Book, Journal, payment_object
from fake_provider.sender import Sender
from fake_provider.shipments import Callback, Shipment

# What is known a second after the last genuine word was written: a forged payload is never, by accident, byte for byte
# a genuine one, for which even the right signature would be stolen with success.
FORGED_LATER = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All that a provider is made of and that someone else decides."""

    merchant: str
    environment: str
    dialect: Dialect
    keys: Sequence[str] = field(repr=False)
    sender: Sender
    clocks: Clocks
    rng: Random


class Provider:
    """Holds the truth about payments and makes it known. Needs a running event loop from the first payment on."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._keys = Keys()
        self._moods = Moods()
        self.journal = Journal(setup.clocks.real)
        self.book = Book(self.journal)
        posting = Posting(
            dialect=setup.dialect,
            keys=setup.keys,
            sender=setup.sender,
            clocks=setup.clocks,
            journal=self.journal,
            rng=setup.rng,
        )
        self.deliveries = Deliveries(posting, self._moods, self)

    # What merchants ask for.

    async def create_payment(self, key: str, order: Order) -> ApiAnswer:
        """Make a payment, once per key; a card is charged before the answer."""
        if self._setup.merchant and order.merchant != self._setup.merchant:
            message = f"this key belongs to the merchant {self._setup.merchant!r}, not to {order.merchant!r}"
            raise Refused(400, "wrong_merchant", message, "merchant")
        first = self._keys.claim(key, f"create {order!r}")
        if first is not None:
            return await self._moods.answer(key, first, self)
        try:
            answer = ApiAnswer(201, payment_object(self._make(key, order)))
            self._keys.keep(key, answer)
            return await self._moods.answer(key, answer, self)
        finally:
            self._keys.finish(key)

    def create_refund(self, key: str, payment_id: str, amount_minor: int) -> ApiAnswer:
        """Give money back, once per key."""
        self.payment(payment_id)
        first = self._keys.claim(key, f"refund {payment_id} {amount_minor}")
        if first is not None:
            return first
        try:
            payment = self.refund(payment_id, amount_minor)
            answer = ApiAnswer(201, _refund_object(payment))
            self._keys.keep(key, answer)
            return answer
        finally:
            self._keys.finish(key)

    def payment(self, payment_id: str) -> Payment:
        payment = self.book.get(payment_id)
        if payment is None:
            raise Refused(404, "not_found", f"there is no payment {payment_id!r}", "id")
        return payment

    # What customers and the bank do.

    def pay(self, payment_id: str, amount_minor: int, cause: str) -> Payment:
        """Charge the customer: captured, unless a mood knows better."""
        payment = self.payment(payment_id)
        now = self._setup.clocks.payload()
        payments.pay(payment, amount_minor, at=now, cause=cause)  # raises before any mood has had a say
        charge = self._moods.charge(Charge(payment=payment, asked_minor=amount_minor, taken_minor=amount_minor))
        if charge.declined_by is not None:
            return self.decline(payment_id, f"declined at first ({charge.declined_by})")
        return self._record(payments.pay(payment, charge.taken_minor, at=now, cause=cause), "payment.captured")

    def decline(self, payment_id: str, cause: str) -> Payment:
        declined = payments.decline(self.payment(payment_id), at=self._setup.clocks.payload(), cause=cause)
        return self._record(declined, "payment.failed")

    def refund(self, payment_id: str, amount_minor: int) -> Payment:
        refund_id = payments.fresh_id("re", self._setup.rng)
        now = self._setup.clocks.payload()
        refunded = payments.refund(self.payment(payment_id), amount_minor, refund_id=refund_id, at=now)
        return self._record(refunded, "payment.refunded")

    # What the one who runs the experiment does.

    def put_on(self, mood: Mood) -> str:
        return self._moods.put_on(mood)

    def mood(self, mood_id: str) -> Mood:
        mood = self._moods.get(mood_id)
        if mood is None:
            raise Refused(404, "not_found", f"no mood {mood_id!r} is on: it has ended or never was", "id")
        return mood

    def end_mood(self, mood_id: str) -> Mood:
        """Take a mood off. What it held leaves, what it left undone is done."""
        mood = self.mood(mood_id)
        self.deliveries.release(self._moods.end(mood_id))
        if isinstance(mood, Ends):
            mood.end(self)
        return mood

    def release(self) -> int:
        return self.deliveries.release(self._moods.release())

    def advance(self, by: timedelta) -> int:
        """Move the payload's clock; returns how many callbacks became due and left."""
        self._setup.clocks.payload.advance(by)
        return self.deliveries.let_due_go()

    def now(self) -> str:
        return iso(self._setup.clocks.payload())

    async def forge(self, forgery: str, payment_id: str, claims: Mapping[str, Any]) -> tuple[str, Answer]:
        """Send a hostile callback that says that this payment was captured, with these claims in place of the truth."""
        payment = self.payment(payment_id)
        truth = replace(self._notice(payment, "payment.captured"), amount_minor=payment.order.amount_minor)
        return await self.deliveries.forge(forgery, replace(truth, at=truth.at + FORGED_LATER, **claims))

    async def close(self) -> None:
        await self.deliveries.close()

    # The hands that moods have, apart from `pay` above.

    def callback(self, notice: Notice, made_by: str) -> Callback:
        return self.deliveries.callback(notice, made_by)

    def send(self, queue: Sequence[Shipment]) -> None:
        self.deliveries.send(queue)

    async def attempted(self, payment_id: str, within_s: float) -> bool:
        return await self.deliveries.attempted(payment_id, within_s)

    def _make(self, key: str, order: Order) -> Payment:
        payment = payments.create(
            order,
            payment_id=payments.fresh_id("pay", self._setup.rng),
            environment=self._setup.environment,
            key=key,
            at=self._setup.clocks.payload(),
        )
        self.book.put(payment)
        if order.method == "card":
            return self.pay(payment.id, order.amount_minor, "card charged")
        if order.method == "bad-card":
            return self.decline(payment.id, "card declined")
        return payment

    def _record(self, payment: Payment, event: str) -> Payment:
        """Into the book first, then out to the world."""
        self.book.put(payment)
        self.deliveries.announce(self._notice(payment, event))
        return payment

    def _notice(self, payment: Payment, event: str) -> Notice:
        order = payment.order
        refund = payment.refunds[-1] if event == "payment.refunded" else None
        amounts = {"payment.captured": payment.captured_minor, "payment.failed": order.amount_minor}
        return Notice(
            type=event,
            at=self._setup.clocks.payload(),
            payment=payment.id,
            reference=order.reference,
            amount_minor=refund.amount_minor if refund else amounts[event],
            currency=order.currency,
            account=order.account,
            merchant=order.merchant,
            environment=payment.environment,
            attempt=payment.attempt,
            refund=refund.id if refund else None,
        )


def _refund_object(payment: Payment) -> dict[str, Any]:
    refund = payment.refunds[-1]
    return {
        "id": refund.id,
        "payment": payment.id,
        "amount_minor": refund.amount_minor,
        "currency": payment.order.currency,
        "created_at": iso(refund.at),
    }
