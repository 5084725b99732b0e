"""Making events known: sent at once, and again on the dialect's schedule until someone acknowledges.

A callback is in one of four places: in flight, waiting for its next attempt, held by a mood, or over (acknowledged,
given up, dropped). The schedule runs on the payload's clock, which someone has to move; what becomes due then leaves at
once, and the next delay counts from when it left.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from random import Random

from fake_provider.archive import Archive, Attempt
from fake_provider.clock import Clocks
from fake_provider.dialects import Answer, Dialect, Forging, Notice, Wire
from fake_provider.memory import Posted
from fake_provider.moods import Hands, Moods, Released
from fake_provider.payments import fresh_id
from fake_provider.records import Answered, Delivery, GaveUp, Journal
from fake_provider.sender import Sender
from fake_provider.shipments import Callback, Shipment
from fake_provider.unsettled import Unsettled

AT_A_TIME = 100  # shipments on the wire at once, lest a released crowd exhausts the machine's file descriptors

BY_HAND = "by hand"
DROPPED = Answer(status=None, because="never sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """Where callbacks go and how they are written: all that a delivery needs and that never changes."""

    dialect: Dialect
    keys: Sequence[str] = field(repr=False)
    retired: Sequence[str] = field(repr=False)
    url: str
    sender: Sender
    clocks: Clocks
    journal: Journal
    rng: Random


class Deliveries:
    """All callbacks of one provider. Needs a running event loop; `close` stops everything that is under way."""

    def __init__(self, posting: Posting, moods: Moods, hands: Hands) -> None:
        self._posting = posting
        self._moods = moods
        self._hands = hands
        self.archive = Archive()
        self._waiting: dict[str, Callback] = {}
        self._in_flight: Counter[str] = Counter()
        self._flying: dict[str, Callback] = {}
        self._rest = asyncio.Event()
        self._rest.set()
        self._acknowledged: set[str] = set()
        self._untried: dict[str, _Untried] = {}
        self._copies: Counter[tuple[str, int]] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._numbered = 0
        self._genuine: Wire | None = None
        self._keys = {posting.url: posting.keys}
        self.doors = [posting.url]
        self.told: dict[str, Notice] = {}

    @property
    def url(self) -> str:
        """Where new callbacks go."""
        return self._posting.url

    def open_door(self, url: str, keys: Sequence[str]) -> None:
        """From now on new callbacks go there, signed with these keys."""
        self.doors.append(url)
        self._keys[url] = keys
        self._posting = replace(self._posting, url=url, keys=keys)

    def close_door(self, url: str) -> None:
        """Nothing is tried there any more, and new callbacks go where they went before."""
        self.doors.remove(url)
        self._waiting = {id: callback for id, callback in self._waiting.items() if callback.wire.url != url}
        self._posting = replace(self._posting, url=self.doors[-1], keys=self._keys[self.doors[-1]])

    def callback(self, notice: Notice, made_by: str | None = None) -> Callback:
        """A new callback about *notice*, not sent yet. What it says is an event from then on, delivered or not."""
        callback = self._written(notice, made_by)
        self.told[callback.webhook_id] = notice
        return callback

    def _written(self, notice: Notice, made_by: str | None = None) -> Callback:
        webhook_id = fresh_id("msg", self._posting.rng)
        wire = replace(self._posting.dialect.encode(notice, webhook_id), url=self._posting.url)
        due = self._posting.clocks.payload()
        return Callback(webhook_id=webhook_id, notice=notice, wire=wire, due=due, made_by=made_by)

    def announce(self, notice: Notice) -> None:
        """Make an event known as the moods will have it, as far as the dialect has words for that."""
        words = self._posting.dialect.events
        self.send([Shipment(self.callback(said)) for said in self._moods.say(notice) if said.type in words])

    def again(self, callback: Callback) -> None:
        """Have *callback* tried again on its schedule, whatever was answered; nothing when the schedule is over."""
        delay = self._posting.dialect.delay_before(callback.attempt + 1)
        if delay is not None and callback.wire.url in self.doors:
            due = callback.due + delay
            self._waiting[callback.webhook_id] = replace(callback, attempt=callback.attempt + 1, due=due)

    def send(self, queue: Sequence[Shipment]) -> None:
        """Let these leave one after another, as the moods will have it."""
        for shipment in queue:
            if shipment.callback.attempt == 1 and not shipment.is_replay:
                self._untried.setdefault(shipment.payment, _Untried()).callbacks.add(shipment.callback.webhook_id)
        self._launch(self._moods.shape(queue))
        self._bury_dropped(queue)

    def send_by_hand(self, attempt: Attempt, *, copies: int = 1, same_bytes: bool = False) -> None:
        """Send a callback once more, now: signed afresh, or with the bytes that it had then."""
        callback = replace(attempt.shipment.callback, due=self._posting.clocks.payload())
        signed = attempt.wire if same_bytes else None
        self.send([Shipment(callback, copies, moods=(BY_HAND,), signed=signed)])

    def held(self) -> list[Shipment]:
        """What moods keep back."""
        return self._moods.held()

    def waiting(self) -> list[Callback]:
        """The attempts that are to come, the next one first."""
        return sorted(self._waiting.values(), key=lambda one: one.due)

    def release(self, released: Iterable[Released]) -> int:
        """Let go of what moods held; returns how many shipments leave."""
        leaving = 0
        for one in released:
            self._launch(one.leaving)
            self._bury_dropped(one.held)
            leaving += len(one.leaving)
        return leaving

    def let_due_go(self) -> int:
        """Send everything that is due by now, the oldest first."""
        now = self._posting.clocks.payload()
        due = sorted((one for one in self._waiting.values() if one.due <= now), key=lambda one: one.due)
        for callback in due:
            del self._waiting[callback.webhook_id]
            self.send([Shipment(replace(callback, due=now))])
        return len(due)

    def until_next(self) -> timedelta | None:
        """How long until the next callback is due; None when none is waiting."""
        if not self._waiting:
            return None
        due = min(callback.due for callback in self._waiting.values())
        return max(due - self._posting.clocks.payload(), timedelta(0))

    async def landed(self) -> None:
        """Wait until nothing is in flight. Each attempt is bounded, so this is."""
        await self._rest.wait()

    def unsettled(self) -> Unsettled:
        wait = self.until_next()
        return Unsettled(
            in_flight=len(self._in_flight),
            due=len(self._waiting),
            held=len(self._moods.held()),
            next_due_s=None if wait is None else wait.total_seconds(),
        )

    def untried(self, payment_id: str) -> bool:
        """Whether a callback of the payment has yet to be tried for the first time."""
        return payment_id in self._untried

    async def attempted(self, payment_id: str, within_s: float) -> None:
        """Wait until each of the payment's callbacks has been tried once, bounded."""
        untried = self._untried.get(payment_id)
        if untried is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(untried.over.wait(), within_s)

    async def forge(self, forgery: str, notice: Notice) -> tuple[str, Answer]:
        """Send one hostile callback now, past all moods; returns the delivery and its answer, once it is there.

        Raises `UnknownName` for a forgery that the dialect has not, and `NothingGenuine`.
        """
        posting = self._posting
        forge = posting.dialect.forgeries[forgery]
        callback = self._written(notice)
        forging = Forging(
            notice=notice,
            event_id=callback.webhook_id,
            wire=callback.wire,
            keys=posting.keys,
            retired=posting.retired,
            at=posting.clocks.signature(),
            genuine=self._genuine,
            rng=posting.rng,
        )
        heard: list[tuple[str, Answer]] = []
        async with self._slots:
            delivery = self._record(Shipment(callback), forge(forging), 1, forgery)
            await posting.sender.send(delivery.wire, 1, lambda _, answer: heard.append((delivery.id, answer)))
        answer = heard[0][1]
        self._record_answer(delivery, answer, posting.dialect.is_ack(answer), answer.because)
        return heard[0]

    def posted(self) -> Posted:
        """What is to be remembered of all this."""
        return Posted(
            waiting=self._waiting,
            in_flight=self._flying,
            acknowledged=self._acknowledged,
            copies=self._copies,
            numbered=self._numbered,
            genuine=self._genuine,
            told=self.told,
            keys=self._keys,
            doors=self.doors,
        )

    def recall(self, posted: Posted, moods: Moods, journal: Journal) -> None:
        """Go on where an earlier process ended. What it had in flight was not acknowledged, as far as anybody knows."""
        self._posting, self._moods = replace(self._posting, journal=journal), moods
        self._waiting, self._acknowledged, self._copies = posted.waiting, posted.acknowledged, posted.copies
        self._numbered, self._genuine, self.told = posted.numbered, posted.genuine, posted.told
        self._keys = posted.keys | self._keys
        self.doors = list(dict.fromkeys([*self.doors, *posted.doors]))
        self._posting = replace(self._posting, url=self.doors[-1], keys=self._keys[self.doors[-1]])
        for callback in posted.in_flight.values():
            if callback.webhook_id not in self._acknowledged:
                self._try_again(callback)

    async def close(self) -> None:
        """Stop everything that is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._posting.sender.close()

    def _launch(self, queue: Sequence[Shipment]) -> None:
        if not queue:
            return
        self._rest.clear()
        self._in_flight.update(shipment.callback.webhook_id for shipment in queue)
        self._flying.update((shipment.callback.webhook_id, shipment.callback) for shipment in queue)
        task = asyncio.get_running_loop().create_task(self._send_in_order(queue))
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _send_in_order(self, queue: Sequence[Shipment]) -> None:
        for shipment in queue:
            await self._send_one(shipment)
            self._landed(shipment.callback)

    async def _send_one(self, shipment: Shipment) -> None:
        posting = self._posting
        async with self._slots:
            at = posting.clocks.signature() + shipment.skew
            wire = shipment.signed or posting.dialect.sign(
                shipment.callback.wire, self._keys[shipment.callback.wire.url], at
            )
            sent = [self._record(shipment, wire, self._next_copy(shipment.callback)) for _ in range(shipment.copies)]
            heard = lambda number, answer: self._heard(sent[number], shipment, answer)  # noqa: E731
            await posting.sender.send(wire, shipment.copies, heard, shipment.manner)

    def _heard(self, delivery: Attempt, shipment: Shipment, answer: Answer) -> None:
        honest = self._posting.dialect.is_ack(answer)
        acknowledged, because = self._moods.acknowledged(shipment, answer, honest)
        self._record_answer(delivery, answer, acknowledged, because)
        if acknowledged:
            self._acknowledged.add(shipment.callback.webhook_id)
            self._genuine = delivery.wire
        self._moods.heard(shipment, delivery.wire, answer, acknowledged, self._hands)

    def _landed(self, callback: Callback) -> None:
        """One shipment of *callback* is over; when it was the last of this attempt, decide what comes next."""
        webhook_id = callback.webhook_id
        self._in_flight[webhook_id] -= 1
        if not self._in_flight[webhook_id]:
            del self._in_flight[webhook_id], self._flying[webhook_id]
        self._mark_tried(callback)
        if not self._is_open(webhook_id) and webhook_id not in self._acknowledged:
            self._try_again(callback)
        if webhook_id in self._waiting:
            self.let_due_go()  # the clock may have been moved past the next attempt while this one was in flight
        if not self._in_flight:
            self._rest.set()

    def _try_again(self, callback: Callback) -> None:
        self.again(callback)
        if callback.webhook_id not in self._waiting:
            notice = callback.notice
            self._posting.journal.write(
                GaveUp(
                    webhook_id=callback.webhook_id,
                    payment=notice.payment,
                    event=notice.type,
                    attempts=callback.attempt,
                )
            )

    def _bury_dropped(self, queue: Iterable[Shipment]) -> None:
        """A callback of which nothing leaves, is held or waits was dropped: it is over, and moods are told."""
        for shipment in {one.callback.webhook_id: one for one in queue}.values():
            webhook_id = shipment.callback.webhook_id
            if not self._is_open(webhook_id) and webhook_id not in self._acknowledged:
                self._moods.heard(shipment, None, DROPPED, False, self._hands)
                self._mark_tried(shipment.callback)

    def _is_open(self, webhook_id: str) -> bool:
        if webhook_id in self._in_flight or webhook_id in self._waiting:
            return True
        return any(one.callback.webhook_id == webhook_id for one in self._moods.held())

    def _mark_tried(self, callback: Callback) -> None:
        untried = self._untried.get(callback.notice.payment)
        if untried is None:
            return
        untried.callbacks.discard(callback.webhook_id)
        if not untried.callbacks:
            untried.over.set()
            del self._untried[callback.notice.payment]

    def _next_copy(self, callback: Callback) -> int:
        self._copies[callback.webhook_id, callback.attempt] += 1
        return self._copies[callback.webhook_id, callback.attempt]

    def _record(self, shipment: Shipment, wire: Wire, copy: int, forgery: str | None = None) -> Attempt:
        posting = self._posting
        notice = shipment.callback.notice
        self._numbered += 1
        record = Delivery(
            delivery=f"d{self._numbered}",
            payment=notice.payment,
            event=notice.type,
            webhook_id=posting.dialect.dedup_key(wire),
            attempt=shipment.callback.attempt,
            copy=copy,
            mood="+".join(shipment.moods) or None,
            hostile=forgery is not None,
            forgery=forgery,
            ignorable=forgery is not None and posting.dialect.forgeries[forgery].ignorable,
            amount_minor=notice.amount_minor,
            currency=notice.currency,
            account=notice.account,
            reference=notice.reference,
            reversal=notice.refund or notice.dispute,
            signature=" ".join(posting.dialect.signatures(wire)),
        )
        posting.journal.write(record)
        attempt = Attempt(record, shipment, wire, posting.clocks.payload())
        self.archive.add(attempt)
        return attempt

    def _record_answer(self, sent: Attempt, answer: Answer, acknowledged: bool, because: str) -> None:
        sent.answer, sent.is_ack = answer, self._posting.dialect.is_ack(answer)
        sent.acknowledged, sent.because = acknowledged, because
        self._posting.journal.write(
            Answered(
                delivery=sent.id,
                webhook_id=sent.record.webhook_id,
                payment=sent.record.payment,
                status=answer.status,
                acknowledged=acknowledged,
                hostile=sent.record.hostile,
                because=because,
                took_s=answer.took_s,
            )
        )


@dataclass(slots=True)
class _Untried:
    """The callbacks of one payment that have not been tried yet, and the event that says that there are none left."""

    callbacks: set[str] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)
