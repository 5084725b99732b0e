"""Turns: concurrent requests take one database statement each, in an order that somebody chose.

Every request that comes to the service, over `edge` or `hook`, is a *lane*. The gate holds each statement that could matter to
another lane, on whatever connection it comes; once every lane is held, blocked or done, one is let go, and all come to rest
again. The service needs nothing for this: it may pool connections, prepare statements or pipeline them.

Whether a statement waits for a lock is asked of the database itself. Whose a statement is, nobody outside of the service knows
for certain: it belongs to the lane whose transaction is open on its connection, else to the one that was let go last. That
decides about names and about the order in which statements are offered, never about what is true.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.wire.footprint import LOCKING, Footprint, Reader, Transaction, still_asleep
from harness.wire.framing import Crossing
from harness.wire.postgres import label_of
from harness.wire.rows import Values

PROBE_S = 0.002
"""How long a statement may run before the database is asked whether it waits for a lock."""
PATIENCE_S = 0.25
"""How long a lane may do nothing that can be seen before it counts as waiting inside the service."""
STUCK_S = 6.0
"""How long nothing may move at all: longer than any lock timeout and deadlock check that is to be expected."""

ASKING = ("edge", "hook")


class Witness(Protocol):
    """Sees what the taps cannot."""

    async def blocked(self, pids: Sequence[int]) -> frozenset[int]:
        """Which of these backends wait for another of them."""

    async def callbacks_out(self) -> int:
        """How many callbacks the provider has sent that were not answered yet."""


Tell = Callable[[str, Mapping[str, Any]], None]


@dataclass(slots=True, eq=False)
class Lane:
    """One request on its way through the service."""

    name: str
    link: str
    connection: int
    number: int = 0
    may_start: asyncio.Event = field(default_factory=asyncio.Event)
    answered: bool = False
    elsewhere: bool = False
    sessions: list["Session"] = field(default_factory=list)

    @property
    def held(self) -> "Session | None":
        """The connection on which it asks for its next turn: all that it sent there before is done."""
        return next((each for each in self.sessions if each.held is not None and not each.unanswered), None)

    @property
    def blocked(self) -> bool:
        return any(session.blocked for session in self.sessions)

    @property
    def done(self) -> bool:
        return self.answered and not any(session.busy for session in self.sessions)

    @property
    def running(self) -> bool:
        started = self.may_start.is_set()
        return started and self.held is None and not (self.blocked or self.done or self.elsewhere)


@dataclass(slots=True)
class Held:
    """A statement that waits for its turn."""

    label: str
    footprint: Footprint
    go: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True, eq=False)
class Session:
    """One connection to the database."""

    number: int
    transaction: Transaction
    pid: int = 0
    strict: bool = False
    owner: Lane | None = None
    background: bool = False
    held: Held | None = None
    unanswered: bool = False
    blocked: bool = False
    waited: bool = False
    """The statement that was last let go had to wait."""

    @property
    def busy(self) -> bool:
        return self.held is not None or self.unanswered or self.transaction.open


class Listener:
    """A gate that holds nothing, and learns what a service does by the clock while nobody asks anything of it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.heard: set[str] = set()

    async def admit(self, link: str, connection: int, crossing: Crossing) -> None:
        pass

    def passed(self, link: str, connection: int, crossing: Crossing) -> None:
        sql = crossing.aside.get("sql")
        if link == "db" and crossing.direction == ">" and isinstance(sql, str) and self._reader.of(sql):
            self.heard.add(sql)

    def closed(self, link: str, connection: int) -> None:
        pass


class Turns:
    """The gate on all links, and who decides whose turn it is.

    `order` names lanes, by number: they take the first turns. After that the lane that went last goes on while it can, but
    none of those `asleep` before a turn that it would notice. `together` is how many requests are there from the start.
    """

    def __init__(
        self,
        reader: Reader,
        background: frozenset[str],
        known: Mapping[int, Mapping[str, str | int]],
        witness: Witness,
        tell: Tell,
        flush: Callable[[int], None],
        *,
        order: Sequence[int],
        asleep: frozenset[int],
        together: int,
    ) -> None:
        self._reader, self._background, self._witness = reader, background, witness
        self._tell, self._flush = tell, flush
        self._known = known
        self._order, self._asleep, self._together = order, asleep, together
        self._sessions: dict[int, Session] = {}
        self._lanes: list[Lane] = []
        self._asked: dict[tuple[str, int], Lane] = {}
        self._arriving: list[Lane] = []
        self._calls = 0
        self._called = False
        self._last: Lane | None = None
        self._taken = 0
        self._stirred = asyncio.Event()
        self._open = False
        self.overlaps = 0
        """Turns at which more than one lane was on its way through the database."""

    # The gate

    async def admit(self, link: str, connection: int, crossing: Crossing) -> None:
        if self._open or crossing.direction == "<":
            return
        if link in ASKING and crossing.label is not None:
            await self._arrive(link, connection, crossing.label)
        elif link == "db" and isinstance(sql := crossing.aside.get("sql"), str):
            await self._statement(self._session(connection), sql, crossing.aside.get("values", ()))

    def passed(self, link: str, connection: int, crossing: Crossing) -> None:
        if link == "db":
            self._database(self._session(connection), crossing)
        elif link in ASKING and crossing.direction == "<" and crossing.label and not crossing.label.startswith("1"):
            self._answered(link, connection)
        elif link == "api" and crossing.label:
            self._calls += 1 if crossing.direction == ">" else -1
            self._called = True
        self._stirred.set()

    def closed(self, link: str, connection: int) -> None:
        if link in ASKING:
            self._answered(link, connection)
        elif link == "db" and (session := self._sessions.pop(connection, None)) and session.owner:
            session.owner.sessions.remove(session)
        self._stirred.set()

    def open(self) -> None:
        """Whatever is held goes on, and nothing is held any more."""
        self._open = True
        for lane in (*self._arriving, *self._lanes):
            lane.may_start.set()
        for session in self._sessions.values():
            if session.held is not None:
                session.held.go.set()

    # What comes in

    async def _arrive(self, link: str, connection: int, label: str) -> None:
        lane = Lane(f"{link} {label}", link, connection)
        self._arriving.append(lane)
        self._asked[link, connection] = lane
        self._stirred.set()
        await lane.may_start.wait()

    def _answered(self, link: str, connection: int) -> None:
        lane = self._asked.pop((link, connection), None)
        if lane is not None:
            lane.answered = True

    def _session(self, number: int) -> Session:
        if number not in self._sessions:
            said = self._known.get(number, {})
            session = Session(number, Transaction(self._reader), int(said.get("pid", 0)), "strict" in said)
            self._sessions[number] = session
        return self._sessions[number]

    async def _statement(self, session: Session, sql: str, values: Values) -> None:
        footprint = session.transaction.next(sql, values, strict=session.strict)
        if not session.busy:
            self._hand(session, self._whose())
            session.background = session.owner is None
        if footprint and self._reader.of(sql) and sql in self._background and not session.transaction.touched:
            session.background = True
        if footprint and not session.background:
            if (
                session.unanswered
            ):  # pipelined: the answer to what went before is not to wait for the end of the pipeline
                self._flush(session.number)
            held = session.held = Held(_called(sql), footprint)
            self._stirred.set()
            await held.go.wait()
            session.held = None
        session.transaction.done(sql, values)
        session.unanswered = True

    def _whose(self) -> Lane | None:
        """The lane that a connection works for which begins something now: one that runs, the latest that was let go first."""
        running = [lane for lane in self._lanes if lane.running or (lane.elsewhere and not lane.done)]
        if self._last is not None and (self._last in running or not running):
            return self._last
        return running[-1] if running else None

    def _hand(self, session: Session, lane: Lane | None) -> None:
        if session.owner is not None:
            session.owner.sessions.remove(session)
        session.owner = lane
        if lane is not None:
            lane.sessions.append(session)
            lane.elsewhere = False

    def _database(self, session: Session, crossing: Crossing) -> None:
        session.pid = int(crossing.aside.get("pid", session.pid))
        session.strict = session.strict or "strict" in crossing.aside
        if crossing.direction == "<":
            session.blocked = False  # it answers
            if crossing.label and session.held is not None:
                session.unanswered = False
        if "ready" in crossing.aside:
            session.unanswered = False
            session.transaction.open = crossing.aside["ready"] != "I"

    # Whose turn it is

    async def run(self) -> None:
        """Gather the first requests, start them, and give turns; returns when it is cancelled."""
        await self._until(lambda: len(self._arriving) >= self._together, STUCK_S)
        while True:
            await self._start_arrived()
            enabled = {lane.number: lane for lane in self._lanes if lane.held is not None}
            if enabled:
                await self._turn(enabled)
            else:
                await self._stir(STUCK_S)
            await self._rest()

    async def finish(self, at_most_s: float) -> bool:
        """Wait until the first requests have come and every lane is done; False when that takes too long."""
        return await self._until(
            lambda: (
                len(self._lanes) >= self._together and not self._arriving and all(lane.done for lane in self._lanes)
            ),
            at_most_s,
        )

    async def _start_arrived(self) -> None:
        """Let requests in, one at a time, those with the same name in the order in which they came."""
        while self._arriving:
            lane = min(self._arriving, key=lambda each: each.name)
            self._arriving.remove(lane)
            self._lanes.append(lane)
            lane.number = len(self._lanes)
            self._tell("lane", {"lane": lane.number, "request": lane.name})
            self._last = lane
            lane.may_start.set()
            await self._rest()

    async def _turn(self, enabled: Mapping[int, Lane]) -> None:
        lane = await self._chosen(enabled)
        could = {
            each.number: session.held.footprint
            for each in self._lanes
            if (session := each.held) is not None and session.held is not None
        }
        session = lane.held
        assert session is not None
        assert session.held is not None
        if len([each for each in self._lanes if any(one.busy for one in each.sessions)]) > 1:
            self.overlaps += 1
        self._tell(
            "turn",
            {
                "lane": lane.number,
                "request": lane.name,
                "statement": session.held.label,
                "connection": session.number,
                "could": {str(number): footprint.encode() for number, footprint in could.items()},
            },
        )
        if self._taken >= len(self._order):
            self._asleep = still_asleep(self._asleep, could, lane.number)
        self._taken += 1
        session.waited = False
        self._last = lane
        ends = bool(session.held.footprint.publishes)
        session.held.go.set()
        session.held = None
        session.unanswered = True  # so that it does not count as done before the tap has passed it on
        await self._rest_after(lane, session, frees=ends)

    async def _chosen(self, enabled: Mapping[int, Lane]) -> Lane:
        if self._taken < len(self._order):
            wanted = self._order[self._taken]
            if wanted not in enabled:
                await self._until(lambda: any(lane.number == wanted and lane.held for lane in self._lanes), PATIENCE_S)
            named = next((lane for lane in self._lanes if lane.number == wanted and lane.held), None)
            if named is not None:
                return named
            self._order = ()  # it cannot be followed; whoever reads the turns will see it
        awake = [number for number in enabled if number not in self._asleep] or list(enabled)
        last = self._last.number if self._last is not None else 0
        return enabled[last if last in awake else min(awake)]

    # Coming to rest

    async def _rest_after(self, lane: Lane, session: Session, *, frees: bool) -> None:
        waiting = [each for each in self._sessions.values() if each.blocked]
        await self._rest()
        if frees and waiting:  # some of them may go on by now; the database knows
            for each in waiting:
                each.blocked = False
            await self._rest()
        if session.waited:
            self._tell("waits", {"lane": lane.number})
            if self._taken >= len(self._order):
                self._asleep = (
                    frozenset()
                )  # two that wait may wait for each other: nobody's turn is the same before and after

    async def _rest(self) -> None:
        """Until every lane is held, blocked or done, or waits inside the service; and the provider's callbacks have come."""
        await self._lanes_rest()
        while self._called and self._calls == 0:
            self._called = False
            if not await self._callbacks_came():
                return
            await self._lanes_rest()

    async def _callbacks_came(self) -> bool:
        """A call to the provider may have made it call back: wait until what it sent has arrived."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while await self._witness.callbacks_out() > sum(link == "hook" for link, _ in self._asked):
            if loop.time() > deadline:
                return False
            await self._stir(PROBE_S)
        return True

    async def _lanes_rest(self) -> None:
        loop = asyncio.get_running_loop()
        since = loop.time()
        while running := [lane for lane in self._lanes if lane.running]:
            if await self._stir(PROBE_S):
                since = loop.time()
                continue
            asked = [session for session in self._sessions.values() if session.unanswered and not session.blocked]
            if asked:
                await self._probe(asked)
            idle = loop.time() - since
            for lane in running:
                computing = not any(session.unanswered for session in lane.sessions) and self._calls == 0
                lane.elsewhere = idle > (PATIENCE_S if computing else STUCK_S)

    async def _probe(self, asked: Sequence[Session]) -> None:
        pids = [session.pid for session in self._sessions.values() if session.pid and session.busy]
        waiting = await self._witness.blocked(pids)
        for session in asked:
            if session.unanswered and session.pid in waiting:
                session.blocked = session.waited = True

    async def _stir(self, at_most_s: float) -> bool:
        """Wait until something moves; False when nothing did."""
        self._stirred.clear()
        try:
            async with asyncio.timeout(at_most_s):
                await self._stirred.wait()
        except TimeoutError:
            return False
        return True

    async def _until(self, condition: Callable[[], bool], at_most_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + at_most_s
        while not condition():
            left = deadline - loop.time()
            if left <= 0:
                return False
            await self._stir(left)
        return True


def _called(sql: str) -> str:
    """What a person calls a statement; a SELECT that locks is not like one that does not."""
    locking = LOCKING.search(sql) if label_of(sql).startswith("SELECT") else None
    return f"{label_of(sql)} {locking[0].upper()}" if locking else label_of(sql)
