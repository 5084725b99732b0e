"""The provider: the book, the deliveries and the moods, put together. Everything but HTTP."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random
from typing import Any

from fake_provider import doors, payments
from fake_provider.agenda import Agenda, Deed
from fake_provider.archive import Attempt
from fake_provider.clock import Clocks, HandClock, iso
from fake_provider.deliveries import Deliveries, Posting
from fake_provider.dialects import Answer, Batches, Dialect, Notice
from fake_provider.doors import Door
from fake_provider.fields import Refused
from fake_provider.idempotency import ApiAnswer, Keys
from fake_provider.memory import Memory
from fake_provider.moods import Charge, Ends, Mood, Moods
from fake_provider.news import News
from fake_provider.notices import notice_about, notice_of, refund_object, reversal_of
from fake_provider.payments import BadAmount, Dispute, IllegalMove, Order, Payment, Refund
from fake_provider.records import Book, Journal, payment_object
from fake_provider.sender import Address, Sender
from fake_provider.shipments import Callback, Shipment
from fake_provider.unsettled import Unsettled

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
    retired: Sequence[str] = field(default=(), repr=False)
    url: str = ""
    sender: Sender
    clocks: Clocks
    rng: Random


class Provider:
    """Holds the truth about payments and makes it known. Needs a running event loop from the first payment on."""

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._lives = 1
        self._keys = Keys()
        self._moods = Moods()
        self._agenda = Agenda(setup.clocks.payload)
        self.journal = Journal(setup.clocks.real)
        self.book = Book(self.journal)
        posting = Posting(dialect=setup.dialect, sender=setup.sender, clocks=setup.clocks, rng=setup.rng)
        door = Door(url=setup.url, keys=setup.keys, retired=setup.retired)
        self.deliveries = Deliveries(posting, door, self._moods, self, self.journal)

    @property
    def dialect(self) -> Dialect:
        return self._setup.dialect

    @property
    def merchant(self) -> str:
        """The only merchant that may ask for payments; empty: any."""
        return self._setup.merchant

    @property
    def clock(self) -> HandClock:
        return self._setup.clocks.payload

    def receiver_keys(self) -> Sequence[str]:
        """What the first receiver needs in order to verify our callbacks, one for each signing key."""
        keys = self.deliveries.doors.first.signing(self.clock())
        return [self.dialect.receiver_key(key) for key in keys]

    # What merchants ask for.

    async def create_payment(self, key: str, order: Order) -> ApiAnswer:
        """Make a payment, once per key; a card is charged before the answer."""
        if self._setup.merchant and order.merchant != self._setup.merchant:
            message = f"this key belongs to the merchant {self._setup.merchant!r}, not to {order.merchant!r}"
            raise Refused(400, "wrong_merchant", message, "merchant")

        def make() -> ApiAnswer:
            payment = self.make(key, order)
            return ApiAnswer(201, payment_object(payment), payment=payment.id, found_at=f"/v1/payments/{payment.id}")

        return await self.once(key, f"create {order!r}", make)

    async def create_refund(self, key: str, payment_id: str, amount_minor: int) -> ApiAnswer:
        """Give money back, once per key."""
        self.payment(payment_id)

        def make() -> ApiAnswer:
            made = refund_object(self.refund(payment_id, amount_minor, key))
            return ApiAnswer(201, made, payment=payment_id, found_at=f"/v1/payments/{payment_id}")

        return await self.once(key, f"refund {payment_id} {amount_minor}", make)

    async def once(self, key: str, question: str, make: Callable[[], ApiAnswer]) -> ApiAnswer:
        """Do what is asked for, once per key, and answer as the moods will have it.

        What *make* raises is no answer, and leaves the key free.
        """
        first = self._keys.claim(key, question)
        if first is not None:
            return await self._moods.answer(key, first, self)
        try:
            answer = make()
            self._keys.keep(key, answer)
            return await self._moods.answer(key, answer, self)
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
        asked = payments.pay(payment, amount_minor, at=now, cause=cause)  # raises before any mood has had a say
        charge = self._moods.charge(Charge.of(payment, amount_minor))
        if charge.declined_by is not None:
            return self.decline(payment_id, f"declined at first ({charge.declined_by})")
        if charge.authorised_by is not None:
            return self._record(payments.authorise(payment, at=now, cause=charge.authorised_by), News.AUTHORISED)
        if (charge.taken_minor, charge.currency) == (amount_minor, payment.order.currency):
            return self._record(asked, News.CAPTURED)
        settled = payments.settle(payment, charge.taken_minor, charge.currency, at=now, cause=cause)
        return self._record(settled, News.CAPTURED)

    def pay_more(self, payment_id: str, amount_minor: int, cause: str) -> Payment:
        """Capture another part of a payment."""
        more = payments.pay_more(self.payment(payment_id), amount_minor, at=self._setup.clocks.payload(), cause=cause)
        return self._record(more, News.CAPTURED)

    def decline(self, payment_id: str, cause: str) -> Payment:
        declined = payments.decline(self.payment(payment_id), at=self._setup.clocks.payload(), cause=cause)
        return self._record(declined, News.FAILED)

    def cancel(self, payment_id: str, cause: str) -> Payment:
        """The merchant calls it off: nothing will be paid any more."""
        cancelled = payments.cancel(self.payment(payment_id), at=self._setup.clocks.payload(), cause=cause)
        return self._record(cancelled, News.CANCELLED)

    def refund(self, payment_id: str, amount_minor: int, key: str = "") -> Payment:
        """Give money back: asked for by the merchant under *key*, or by whoever runs the provider."""
        refund_id = payments.fresh_id("re", self._setup.rng)
        now = self._setup.clocks.payload()
        refunded = payments.refund(self.payment(payment_id), amount_minor, refund_id=refund_id, at=now, key=key)
        return self._reverse(refunded, News.REFUNDED, refunded.refunds[-1])

    def dispute(self, payment_id: str, amount_minor: int) -> Payment:
        """The customer's bank takes money back, and a dispute is open."""
        dispute_id = payments.fresh_id("dp", self._setup.rng)
        now = self._setup.clocks.payload()
        disputed = payments.dispute(self.payment(payment_id), amount_minor, dispute_id=dispute_id, at=now)
        return self._reverse(disputed, News.DISPUTED, disputed.disputes[-1])

    def win(self, payment_id: str) -> Payment:
        """The open dispute is decided for the merchant."""
        won = payments.win(self.payment(payment_id), at=self._setup.clocks.payload())
        return self._reverse(won, News.WON, won.disputes[-1])

    def lose(self, payment_id: str) -> Payment:
        """The open dispute is decided for the customer."""
        lost = payments.lose(self.payment(payment_id), at=self._setup.clocks.payload())
        return self._reverse(lost, News.LOST, lost.disputes[-1])

    # What the one who runs the experiment does.

    def ahead(self) -> list[Deed]:
        """What the bank is going to do, the next thing first."""
        return self._agenda.ahead()

    def moods(self) -> dict[str, Mood]:
        """The moods that are on, by id, in the order in which they were put on."""
        return self._moods.on()

    def fresh_id(self, prefix: str) -> str:
        return payments.fresh_id(prefix, self._setup.rng)

    def open_door(self, url: str, news: frozenset[News] | None = None) -> str:
        """From now on callbacks go to *url*, too: those about *news*, or all; returns what verifies them there.

        Raises `ValueError` for what is not on this machine or known already.
        """
        Address.of(url)
        if url in self.deliveries.doors:
            raise ValueError(f"{url!r} is known already: delete it first")
        # Not of the same draws as the key of the first door, which may be the seed's first.
        key = self.dialect.draw_key(Random(f"{url} {self._setup.rng.random()}"))
        self.deliveries.doors.put(Door(url=url, keys=[key], news=news))
        return self.dialect.receiver_key(key)

    def rotate_key(self, overlap: timedelta, key: str | None = None) -> None:
        """From now on a new key signs what goes to the first receiver; the old one beside it, where there is room, for so long.

        The merchant may bring the *key*, so that the receiver knows it before anything is signed with it; else it is drawn.
        Raises `ValueError` for a key that is none of the dialect.
        """
        if key is None:
            # Not of the same draws as the key before it, which may be the seed's first.
            key = self.dialect.draw_key(Random(f"rotation {self._setup.rng.random()}"))
        else:
            self.dialect.check_key(key)
        now = self.clock()
        self.deliveries.doors.put(self.deliveries.doors.first.rotated(key, now, now + overlap))

    def change_door(self, door: Door) -> None:
        """Change what a receiver wants to hear of, or whether it is there at all."""
        if door.state is doors.State.ENABLED:
            self.deliveries.doors.put(door)
        else:
            self.deliveries.shut(door)

    def attempt(self, delivery: str) -> Attempt:
        attempt = self.deliveries.attempts.archive.get(delivery)
        if attempt is None:
            raise Refused(404, "not_found", f"there is no delivery {delivery!r}, or it is too long ago", "id")
        return attempt

    def send_by_hand(self, delivery: str, *, copies: int = 1, same_bytes: bool = False) -> None:
        """Send the callback of an earlier delivery once more, with all that moods make of it."""
        attempt = self.attempt(delivery)
        if attempt.record.hostile:
            raise Refused(409, "hostile", f"{delivery} was a forgery: make another", "id")
        self.deliveries.send_by_hand(attempt, copies=copies, same_bytes=same_bytes)

    def put_on(self, mood: Mood) -> str:
        why_not = self.why_not(type(mood))
        if why_not is not None:
            raise Refused(409, "not_in_this_dialect", why_not, "mood")
        return self._moods.put_on(mood)

    def why_not(self, mood: type[Mood]) -> str | None:
        """What the dialect lacks for a mood; None where it lacks nothing."""
        wordless = [news.value for news in mood.needs_words if news not in self.dialect.events]
        if wordless:
            return f"{mood.name}: {self.dialect.name} has no word for {', '.join(wordless)}"
        if mood.needs_batches and not isinstance(self.dialect, Batches):
            return f"{mood.name}: in {self.dialect.name}, a callback carries one event"
        return None

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
        """Move the payload's clock; returns how many callbacks became due and left.

        What the agenda has for that time is done first. What has become impossible in the meantime is left undone.
        """
        self._setup.clocks.payload.advance(by)
        for deed in self._agenda.take_due():
            with suppress(IllegalMove, BadAmount):
                deed.do()
        return self.deliveries.let_due_go()

    async def play_out(self, within: timedelta) -> timedelta:
        """Move the clock from one due thing to the next, seeing each through, until nothing is due *within* that time.

        Returns how far the clock was moved.
        """
        moved = timedelta(0)
        await self.deliveries.landed()
        while (wait := self.until_next()) is not None and moved + wait <= within:
            self.advance(wait)
            moved += wait
            await self.deliveries.landed()
        return moved

    def until_next(self) -> timedelta | None:
        """How long until something is due, be it a callback or a deed of the agenda; None when nothing is."""
        waits = (self.deliveries.until_next(), self._agenda.until_next())
        return min((wait for wait in waits if wait is not None), default=None)

    def unsettled(self) -> Unsettled:
        """How far all of it is from rest."""
        wait = self.until_next()
        ahead = len(self._agenda.ahead())
        next_due_s = None if wait is None else wait.total_seconds()
        return replace(self.deliveries.unsettled(), ahead=ahead, next_due_s=next_due_s)

    def now(self) -> str:
        return iso(self._setup.clocks.payload())

    async def forge(self, forgery: str, payment_id: str, claims: Mapping[str, Any]) -> tuple[str, Answer]:
        """Send a hostile callback that says that this payment was captured, with these claims in place of the truth."""
        payment = self.payment(payment_id)
        truth = notice_of(payment, News.CAPTURED, self._setup.clocks.payload())
        truth = replace(truth, amount_minor=payment.order.amount_minor, currency=payment.order.currency)
        return await self.deliveries.forge(forgery, replace(truth, at=truth.at + FORGED_LATER, **claims))

    async def close(self) -> None:
        await self.deliveries.close()

    def memory(self) -> Memory:
        """All that must not be lost when this process dies."""
        return Memory(
            lives=self._lives,
            now=self._setup.clocks.payload(),
            journal=self.journal,
            book=self.book,
            keys=self._keys,
            moods=self._moods,
            posted=self.deliveries.posted(),
        )

    def recall(self, memory: Memory) -> None:
        """Be the next life of a provider that died. Needs a running event loop. Its ids are others than those before."""
        self._lives = memory.lives + 1
        self._setup.rng.seed(f"{self._setup.rng.random()}, life {self._lives}")
        self._setup.clocks.payload.advance(memory.now - self._setup.clocks.payload())
        self.journal, self.book, self._moods = memory.journal, memory.book, memory.moods
        self._keys = memory.keys.after_a_death()
        self.deliveries.recall(memory.posted, self._moods, self.journal)

    # The hands that moods have, apart from what the bank does.

    def callback(self, notice: Notice, like: Callback, made_by: str) -> Callback:
        return self.deliveries.callback(notice, like, made_by)

    def send(self, queue: Sequence[Shipment]) -> None:
        self.deliveries.send(queue)

    def again(self, callback: Callback) -> None:
        self.deliveries.again(callback)

    def later(self, after_s: float, what: str, by: str, payment_id: str, do: Callable[[], object]) -> None:
        self._agenda.add(timedelta(seconds=after_s), what, by, payment_id, do)

    def untried(self, payment_id: str) -> bool:
        return self.deliveries.untried(payment_id)

    async def attempted(self, payment_id: str, within_s: float) -> None:
        await self.deliveries.attempted(payment_id, within_s)

    def make(self, key: str, order: Order) -> Payment:
        """A new payment. A card is charged at once."""
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

    def _record(self, payment: Payment, news: News) -> Payment:
        """Into the book first, then out to the world. What was paid in a checkout is told of the checkout, too."""
        self.book.put(payment)
        is_checkout = news is News.CAPTURED and payment.order.method == payments.CHECKOUT
        for each in (news, News.SETTLED) if is_checkout else (news,):
            self.deliveries.announce(notice_of(payment, each, self._setup.clocks.payload()))
        self._moods.moved(payment, self)
        return payment

    def _reverse(self, payment: Payment, news: News, about: Refund | Dispute) -> Payment:
        """The same, for money that goes back, or comes back again."""
        self.book.put(payment, reversal_of(payment, news, about))
        self.deliveries.announce(notice_about(payment, news, about, self._setup.clocks.payload()))
        self._moods.moved(payment, self)
        return payment
