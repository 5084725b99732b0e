"""Making events known: sent at once to every receiver that wants to hear of them, and again on the dialect's schedule until
it acknowledges.

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

from fake_provider.archive import Attempt
from fake_provider.attempts import Attempts
from fake_provider.clock import Clocks
from fake_provider.dialects import Answer, Batches, Dialect, Forging, Notice, Wire
from fake_provider.doors import Door, Doors
from fake_provider.memory import Posted
from fake_provider.moods import Hands, Moods, Released
from fake_provider.payments import fresh_id
from fake_provider.records import GaveUp, Journal
from fake_provider.sender import Sender
from fake_provider.shipments import Callback, Shipment, Ticket
from fake_provider.unsettled import Unsettled

AT_A_TIME = 100  # shipments on the wire at once, lest a released crowd exhausts the machine's file descriptors

BY_HAND = "by hand"
DROPPED = Answer(status=None, because="never sent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Posting:
    """How callbacks are written and sent: all that a delivery needs and that never changes."""

    dialect: Dialect
    sender: Sender
    clocks: Clocks
    rng: Random


class Deliveries:
    """All callbacks of one provider. Needs a running event loop; `close` stops everything that is under way."""

    def __init__(self, posting: Posting, door: Door, moods: Moods, hands: Hands, journal: Journal) -> None:
        self._posting = posting
        self._moods = moods
        self._hands = hands
        self.doors = Doors(door)
        self.attempts = Attempts(posting.dialect, posting.clocks, journal)
        self._waiting: dict[Ticket, Callback] = {}
        self._in_flight: Counter[Ticket] = Counter()
        self._flying: dict[Ticket, Callback] = {}
        self._rest = asyncio.Event()
        self._rest.set()
        self._acknowledged: set[Ticket] = set()
        self._untried: dict[str, _Untried] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_A_TIME)
        self._genuine: dict[str, Wire] = {}
        self.told: dict[str, Notice] = {}

    def shut(self, door: Door) -> None:
        """Change a receiver to one that is disabled or deleted: nothing is tried there any more."""
        self.doors.put(door)
        self._waiting = {ticket: one for ticket, one in self._waiting.items() if one.wire.url != door.url}

    def callback(self, notice: Notice, like: Callback, made_by: str) -> Callback:
        """A new callback about *notice* to the receiver of *like*, not sent yet."""
        return self._event(notice, like.wire.url, made_by)

    def announce(self, notice: Notice) -> None:
        """Make an event known as the moods will have it, as far as the dialect has words for that.

        It is one event, under one id, for all receivers. None waits for what another answers.
        """
        words = self._posting.dialect.events
        said = [self._event(each) for each in self._moods.say(notice) if each.type in words]
        for door in self.doors:
            self.send([Shipment(_to(door.url, each)) for each in said if door.wants(each.notice.type)])

    def _event(self, notice: Notice, url: str = "", made_by: str | None = None) -> Callback:
        """What a callback says is an event from then on, delivered or not."""
        callback = self._written(notice, url, made_by)
        self.told[callback.webhook_id] = notice
        return callback

    def _written(self, notice: Notice, url: str, made_by: str | None = None) -> Callback:
        webhook_id = fresh_id("msg", self._posting.rng)
        wire = replace(self._posting.dialect.encode(notice, webhook_id), url=url)
        due = self._posting.clocks.payload()
        return Callback(webhook_id=webhook_id, notice=notice, wire=wire, due=due, made_by=made_by)

    def again(self, callback: Callback) -> None:
        """Have *callback* tried again on its schedule, whatever was answered; nothing when the schedule is over."""
        delay = self._posting.dialect.delay_before(callback.attempt + 1)
        if delay is not None and self.doors.is_enabled(callback.wire.url):
            due = callback.due + delay
            self._waiting[callback.ticket] = replace(callback, attempt=callback.attempt + 1, due=due)

    def send(self, queue: Sequence[Shipment]) -> None:
        """Let these leave one after another, as the moods will have it."""
        for shipment in queue:
            for each in shipment.callbacks:
                if each.attempt == 1 and not shipment.is_replay:
                    self._untried.setdefault(each.notice.payment, _Untried()).callbacks.add(each.ticket)
        self._launch(self._moods.shape(queue))
        self._bury_dropped(queue)

    def send_by_hand(self, attempt: Attempt, *, copies: int = 1, same_bytes: bool = False) -> None:
        """Send a callback once more, now: signed afresh and alone, or with all the bytes that it had then."""
        callback = replace(attempt.callback, due=self._posting.clocks.payload())
        again = Shipment(callback, copies, moods=(BY_HAND,))
        if same_bytes:
            riders = tuple(each for each in attempt.shipment.callbacks if each.ticket != callback.ticket)
            again = replace(again, signed=attempt.wire, riders=riders)
        self.send([again])

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
            del self._waiting[callback.ticket]
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

        It goes to the newest receiver. Raises `UnknownName` for a forgery that the dialect has not, and `NothingGenuine`.
        """
        posting, door, now = self._posting, self.doors.newest, self._posting.clocks.payload()
        forge = posting.dialect.forgeries[forgery]
        callback = self._written(notice, door.url)
        forging = Forging(
            notice=notice,
            event_id=callback.webhook_id,
            wire=callback.wire,
            keys=door.signing(now),
            retired=door.past(now),
            at=posting.clocks.signature(),
            genuine=self._genuine.get(door.url),
            rng=posting.rng,
        )
        heard: list[Answer] = []
        async with self._slots:
            sent = self.attempts.forged(Shipment(callback), forge(forging), forgery)
            await posting.sender.send(sent.wire, 1, lambda _, answer: heard.append(answer))
        self.attempts.answered(sent, heard[0], posting.dialect.is_ack(heard[0]), heard[0].because)
        return sent.id, heard[0]

    def posted(self) -> Posted:
        """What is to be remembered of all this."""
        return Posted(
            waiting=self._waiting,
            in_flight=self._flying,
            acknowledged=self._acknowledged,
            copies=self.attempts.copies,
            numbered=self.attempts.numbered,
            genuine=self._genuine,
            told=self.told,
            doors=self.doors,
        )

    def recall(self, posted: Posted, moods: Moods, journal: Journal) -> None:
        """Go on where an earlier process ended. What it had in flight was not acknowledged, as far as anybody knows."""
        self._moods, self.attempts.journal = moods, journal
        self._waiting, self._acknowledged = posted.waiting, posted.acknowledged
        self.attempts.copies, self.attempts.numbered = posted.copies, posted.numbered
        self._genuine, self.told = posted.genuine, posted.told
        self.doors = self.doors.recalled(posted.doors)
        for callback in posted.in_flight.values():
            if callback.ticket not in self._acknowledged:
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
        leaving = [callback for shipment in queue for callback in shipment.callbacks]
        self._in_flight.update(callback.ticket for callback in leaving)
        self._flying.update((callback.ticket, callback) for callback in leaving)
        task = asyncio.get_running_loop().create_task(self._send_in_order(queue))
        self._tasks.add(task)  # the loop itself keeps only a weak reference
        task.add_done_callback(self._tasks.discard)

    async def _send_in_order(self, queue: Sequence[Shipment]) -> None:
        for shipment in queue:
            await self._send_one(shipment)
            for callback in shipment.callbacks:
                self._landed(callback)

    async def _send_one(self, shipment: Shipment) -> None:
        async with self._slots:
            wire = shipment.signed or self._signed(shipment)
            sent = [self.attempts.sent(shipment, wire) for _ in range(shipment.copies)]
            heard = lambda number, answer: self._heard(sent[number], shipment, wire, answer)  # noqa: E731
            await self._posting.sender.send(wire, shipment.copies, heard, shipment.manner)

    def _signed(self, shipment: Shipment) -> Wire:
        dialect, wire = self._posting.dialect, shipment.callback.wire
        if shipment.riders:
            assert isinstance(dialect, Batches), "no mood that makes batches is put on in another dialect"
            wire = dialect.batch([each.wire for each in shipment.callbacks])
        at = self._posting.clocks.signature() + shipment.skew
        return dialect.sign(wire, self.doors.at(wire.url).signing(self._posting.clocks.payload()), at)

    def _heard(self, sent: Sequence[Attempt], shipment: Shipment, wire: Wire, answer: Answer) -> None:
        honest = self._posting.dialect.is_ack(answer)
        acknowledged, because = self._moods.acknowledged(shipment, answer, honest)
        for each in sent:
            self.attempts.answered(each, answer, acknowledged, because)
        if acknowledged:
            self._acknowledged.update(callback.ticket for callback in shipment.callbacks)
            self._genuine[shipment.callback.wire.url] = wire
        self._moods.heard(shipment, wire, answer, acknowledged, self._hands)

    def _landed(self, callback: Callback) -> None:
        """One shipment of *callback* is over; when it was the last of this attempt, decide what comes next."""
        ticket = callback.ticket
        self._in_flight[ticket] -= 1
        if not self._in_flight[ticket]:
            del self._in_flight[ticket], self._flying[ticket]
        self._mark_tried(callback)
        if not self._is_open(ticket) and ticket not in self._acknowledged:
            self._try_again(callback)
        if ticket in self._waiting:
            self.let_due_go()  # the clock may have been moved past the next attempt while this one was in flight
        if not self._in_flight:
            self._rest.set()

    def _try_again(self, callback: Callback) -> None:
        self.again(callback)
        if callback.ticket not in self._waiting:
            notice = callback.notice
            self.attempts.journal.write(
                GaveUp(
                    webhook_id=callback.webhook_id,
                    payment=notice.payment,
                    event=notice.type,
                    attempts=callback.attempt,
                )
            )

    def _bury_dropped(self, queue: Iterable[Shipment]) -> None:
        """A callback of which nothing leaves, is held or waits was dropped: it is over, and moods are told."""
        for shipment in {one.callback.ticket: one for one in queue}.values():
            ticket = shipment.callback.ticket
            if not self._is_open(ticket) and ticket not in self._acknowledged:
                self._moods.heard(shipment, None, DROPPED, False, self._hands)
                for callback in shipment.callbacks:
                    self._mark_tried(callback)

    def _is_open(self, ticket: Ticket) -> bool:
        if ticket in self._in_flight or ticket in self._waiting:
            return True
        return any(each.ticket == ticket for one in self._moods.held() for each in one.callbacks)

    def _mark_tried(self, callback: Callback) -> None:
        untried = self._untried.get(callback.notice.payment)
        if untried is None:
            return
        untried.callbacks.discard(callback.ticket)
        if not untried.callbacks:
            untried.over.set()
            del self._untried[callback.notice.payment]


def _to(url: str, event: Callback) -> Callback:
    return replace(event, wire=replace(event.wire, url=url))


@dataclass(slots=True)
class _Untried:
    """The callbacks of one payment that have not been tried yet, and the event that says that there are none left."""

    callbacks: set[Ticket] = field(default_factory=set)
    over: asyncio.Event = field(default_factory=asyncio.Event)
