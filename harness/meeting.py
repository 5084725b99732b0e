"""A meeting: requests that are on their way through the service at the same time.

It is told like a scenario, and says itself where the requests meet. One plan tells it several times, with accounts of its own
each time; what differs is the order in which the requests take their turns at the database.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from random import Random

from harness.plan import Begin, End, Plan, Wait
from harness.registry import Registry, name_of
from harness.scenario import MONEY, Draft

IN_ORDER = "in-order"
BACKGROUND_S = 5.0


@dataclass(frozen=True, slots=True)
class Order:
    """Which request takes which turn, by number: `lanes` the first ones; then those `asleep` go last."""

    lanes: tuple[int, ...] = ()
    asleep: frozenset[int] = frozenset()

    def __str__(self) -> str:
        return " ".join(map(str, self.lanes))


class MeetingDraft(Draft):
    """A draft in which requests meet once."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.order = Order()
        self.meetings: list[str] = []

    def background_heard(self) -> None:
        """Wait until it is known what the service does by the clock."""
        self._add(Wait("background-heard", BACKGROUND_S))

    @contextmanager
    def meeting(self, together: int = 2) -> Iterator[None]:
        """The stretch in which requests take turns; *together* of them are there from the start."""
        id = self._next("m")
        asleep = " ".join(map(str, sorted(self.order.asleep)))
        self._add(Begin(id, IN_ORDER, {"order": str(self.order), "asleep": asleep, "together": together}))
        self.meetings.append(id)
        yield
        self._add(End(id))


Tell = Callable[[MeetingDraft], None]


@dataclass(frozen=True, slots=True)
class Meeting:
    """A named meeting; `plan(seed, orders)` tells it once for each order."""

    name: str
    story: str
    tell: Tell

    def plan(self, seed: int, orders: Sequence[Order], name: str) -> Plan:
        """A calm top-up before and another after, as in every scenario.

        After the first one the service is listened to: what it does by the clock then, it does with something to do.
        """
        draft = MeetingDraft(Random(seed))
        draft.paid()
        draft.background_heard()
        for draft.order in orders:
            self.tell(draft)
        draft.paid()
        if len(draft.meetings) != len(orders):
            raise ValueError(f"meeting {self.name!r} says `with draft.meeting():` not exactly once")
        return Plan(name, self.story, seed, draft.steps(), MONEY)


MEETINGS: Registry[Meeting] = Registry("meeting")


def meeting(tell: Tell) -> Tell:
    """Register a meeting under its file's name; its docstring says who meets."""
    story = " ".join((tell.__doc__ or "").split())
    if not story:
        raise TypeError(f"{tell.__name__} needs a docstring: who meets whom")
    name = name_of(tell.__module__)
    MEETINGS.add(name, Meeting(name, story, tell))
    return tell
