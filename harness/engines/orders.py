"""Which orders of held statements are worth trying: each that somebody could tell from those tried, and few others.

Dynamic partial-order reduction with source sets and sleep sets (Abdulla, Aronsson, Jonsson and Sagonas, "Optimal Dynamic Partial
Order Reduction", 2014). Two turns whose footprints do not meet may be swapped, and nobody can tell. So an order that was tried
stands for all that come of such swaps; where two turns do meet and could have been taken the other way round, that is tried
too. Nothing is assumed about the service: who could go on at each point, and what that touches, is read from what happened.

Orders with fewer preemptions (a request is left though it could go on) come first: most races need one or two, and stories
with few are the easiest to read (Musuvathi and Qadeer, "Iterative Context Bounding", 2007).
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from harness.wire.footprint import Footprint, still_asleep

Lane = int
Prefix = tuple[Lane, ...]
TRIES = 3
"""How often an order is asked for that is not followed, before it is given up."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A point at which one of the lanes went on: which could have, what each was about to do, and which it was.

    `waited` is true when it had to wait for a lock. Two that wait meet, whatever for: they may wait for each other, and whom
    a deadlock costs its transaction hangs on their order.
    """

    could: Mapping[Lane, Footprint]
    chosen: Lane
    waited: bool = False

    def __hash__(self) -> int:
        return hash((tuple(self.could), self.chosen))

    def meets(self, other: "Moment") -> bool:
        """Could anybody tell which of the two turns came first?"""
        return (self.waited and other.waited) or self.could[self.chosen].meets(other.could[other.chosen])


Trace = Sequence[Moment]


@dataclass(frozen=True, slots=True)
class Asked:
    """An order to try: these lanes first, one turn each; from there on as it comes, but none that is `asleep` before a turn
    that it would notice: what it would do is tried elsewhere.
    """

    lanes: Prefix = ()
    asleep: frozenset[Lane] = frozenset()


@dataclass(slots=True)
class Point:
    """What is known of one place in the tree of orders: who could go on there, who sleeps, and who was asked to go on."""

    could: Mapping[Lane, Footprint]
    asleep: frozenset[Lane]
    begun: list[Lane]
    preemptions: int


@dataclass(slots=True)
class Orders:
    """What is still to be tried of one meeting, and what was. `bound` is the most preemptions; None is any number."""

    bound: int | None = None
    tried: int = 0
    repeated: int = 0
    """Orders that were followed and turned out to be like an earlier one."""
    lost: int = 0
    """Orders that could not be followed."""
    beyond: int = 0
    """Orders left out because they have more preemptions than the bound."""
    _waiting: list[tuple[int, int, int, Asked]] = field(default_factory=lambda: [(0, 0, 0, Asked())])
    _points: dict[Prefix, Point] = field(default_factory=dict)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _strays: dict[Asked, int] = field(default_factory=dict)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def pruned(self) -> int:
        """Branches that were not taken, because nobody could tell what would come of them from what was tried."""
        return sum(len(point.could) - len(point.begun) for point in self._points.values())

    @property
    def exhausted(self) -> bool:
        """Every order that somebody could tell from another was tried."""
        return not (self._waiting or self.lost or self.beyond)

    def take(self, at_most: int) -> list[Asked]:
        """The next orders to try, those with the fewest preemptions first; each must be given back to `learn`."""
        return [heapq.heappop(self._waiting)[-1] for _ in range(min(at_most, len(self._waiting)))]

    def learn(self, asked: Asked, trace: Trace) -> None:
        """What happened when *asked* was tried; what should be tried because of it is then waiting."""
        lanes = tuple(moment.chosen for moment in trace)
        if lanes[: len(asked.lanes)] != asked.lanes:
            self._stray(asked)
            return
        self.tried += 1
        known = self._walk(asked, trace)
        for turn, other in races(trace):
            if turn < known:
                self._reverse(trace, lanes, turn, other)

    def _walk(self, asked: Asked, trace: Trace) -> int:
        """Remember every point on the way; how many there were until all that could go on was asleep."""
        asleep: frozenset[Lane] = frozenset()
        prefix: Prefix = ()
        preemptions = 0
        for at, moment in enumerate(trace):
            last = prefix[-1] if prefix else None
            if at == len(asked.lanes) and not (at and trace[at - 1].waited):
                asleep = asked.asleep
            if at >= len(asked.lanes) and moment.chosen in asleep:
                self.repeated += 1
                return at
            point = self._points.setdefault(prefix, Point(moment.could, asleep, [], preemptions))
            if moment.chosen not in point.begun:
                point.begun.append(moment.chosen)
            preemptions += last is not None and last != moment.chosen and last in moment.could
            asleep = frozenset() if moment.waited else still_asleep(asleep, moment.could, moment.chosen)
            prefix = (*prefix, moment.chosen)
        return len(trace)

    def _reverse(self, trace: Trace, lanes: Prefix, turn: int, other: int) -> None:
        """The turns *turn* and *other* met, and could have come the other way round: have that tried."""
        point = self._points[lanes[:turn]]
        first = initials(trace, turn, other)
        if first & set(point.begun):
            return
        could = first & point.could.keys()
        wanted = [lanes[other]] if lanes[other] in could else sorted(could)[:1] or sorted(point.could)
        for lane in wanted:
            self._ask(point, lanes[:turn], lane)

    def _ask(self, point: Point, prefix: Prefix, lane: Lane) -> None:
        if lane in point.begun:
            return
        asleep = still_asleep(point.asleep | set(point.begun), point.could, lane)
        point.begun.append(lane)
        if lane in point.asleep:
            return
        left = bool(prefix) and prefix[-1] != lane and prefix[-1] in point.could
        preemptions = point.preemptions + left
        if self.bound is not None and preemptions > self.bound:
            self.beyond += 1
        else:
            self._wait(Asked((*prefix, lane), asleep), preemptions)

    def _stray(self, asked: Asked) -> None:
        """*asked* was not followed: something else than the order differed. It is tried again, and at last given up."""
        self._strays[asked] = self._strays.get(asked, 0) + 1
        if self._strays[asked] < TRIES:
            self._wait(asked, preemptions=0)
        else:
            self.lost += 1

    def _wait(self, asked: Asked, preemptions: int) -> None:
        heapq.heappush(self._waiting, (preemptions, len(asked.lanes), next(self._numbers), asked))


def races(trace: Trace) -> Iterator[tuple[int, int]]:
    """Pairs of turns of different lanes that meet, with nothing between them that comes of the one and leads to the other."""
    before = happens_before(trace)
    for later, moment in enumerate(trace):
        for earlier in range(later):
            if trace[earlier].chosen == moment.chosen or not moment.meets(trace[earlier]):
                continue
            between = range(earlier + 1, later)
            if not any(earlier in before[each] and each in before[later] for each in between):
                yield earlier, later


def happens_before(trace: Trace) -> list[set[int]]:
    """For each turn, those that it could not have come before: of its own lane, those that it meets, and what let it go on.

    A lane that could not go on at some moment and could at the next was let go by the turn between: a lock was released, a
    callback was sent.
    """
    before: list[set[int]] = []
    for at, moment in enumerate(trace):
        mine: set[int] = set()
        for earlier in reversed(range(at)):
            if earlier in mine:
                continue
            other = trace[earlier]
            same = other.chosen == moment.chosen
            let_go = moment.chosen not in other.could and moment.chosen in trace[earlier + 1].could
            if same or let_go or moment.meets(other):
                mine |= before[earlier] | {earlier}
        before.append(mine)
    return before


def initials(trace: Trace, turn: int, other: int) -> set[Lane]:
    """The lanes that could go first at *turn* on a way to *other* that does without *turn*."""
    before = happens_before(trace)
    after = [at for at in range(turn + 1, len(trace)) if at < other and turn not in before[at]]
    after.append(other)
    first: dict[Lane, int] = {}
    for at in after:
        first.setdefault(trace[at].chosen, at)
    return {lane for lane, at in first.items() if not before[at] & {each for each in after if each < at}}
