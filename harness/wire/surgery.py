"""Surgery on one message of a link: which one is meant, when, what is done at that moment, and what becomes of it then."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from harness.wire.framing import Crossing

Point: TypeAlias = Literal["before", "after"]
Then: TypeAlias = Literal["cut", "pass"]


@dataclass(frozen=True, slots=True)
class Patient:
    """The message under the knife, as an act sees it.

    `over` is set when whoever ordered the surgery has had enough: what holds the message until then lets go. `again` delivers
    the same bytes a second time, on a connection of its own, and swallows the answer; it says whether one came.
    """

    over: asyncio.Event
    again: Callable[[], Awaitable[bool]]


Act: TypeAlias = Callable[[Patient], Awaitable[object]]


@dataclass(slots=True, eq=False)
class Surgery:
    """What to do to one crossing.

    *Which*: `label` must begin the crossing's label; with `of`, the crossing must be of a transaction of that name (the empty
    one: of none); with `writes`, it must write or end a transaction that wrote. `since` names a link and the beginning of a
    label that must have crossed first; of what matches from then on, the `nth` is meant.

    *When*: `point` is `before` it is delivered, or `after` it was delivered and answered, before the answer is passed on.

    *What*: `act` is awaited, and the message (or its answer) and all that follows it on that connection wait with it. `then`
    says what comes next: the connection is `cut` on both sides, so that the message never arrives (or has happened, and
    nobody heard); or the message (or its answer) may `pass`. An act that waits for somebody's word is how a message is
    held until it is released. `did` is the word for all that in a history.

    `hit` names the crossing once it is chosen; `struck` is set when the act begins, `finished` when all of it is done, or
    when the connection ended before it could be; then both are.
    """

    link: str
    label: str
    point: Point
    writes: bool = False
    since: tuple[str, str] | None = None
    act: Act | None = None
    nth: int = 1
    of: str | None = None
    then: Then = "cut"
    did: str = "cut"
    matched: int = field(default=0, init=False)
    armed: bool = field(default=False, init=False)
    hit: str | None = field(default=None, init=False)
    struck: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    over: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    finished: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        self.armed = self.since is None

    def notice(self, link: str, label: str) -> None:
        """Something crossed: perhaps what this surgery was waiting for."""
        if self.since and link == self.since[0] and label.startswith(self.since[1]):
            self.armed = True

    def meets(self, crossing: Crossing) -> None:
        """Count a crossing of its own link, if it is of the kind that is meant."""
        self.matched += self._matches(crossing)

    def wants(self, crossing: Crossing) -> bool:
        """Is this the one, now that it has been counted? Or a later one, where another surgery had the n-th."""
        return self.hit is None and self.matched >= self.nth and self._matches(crossing)

    async def operate(self, again: Callable[[], Awaitable[bool]]) -> None:
        """Do what is to be done at the moment that was chosen."""
        self.struck.set()
        if self.act is not None:
            await self.act(Patient(self.over, again))

    def end(self) -> None:
        """It is done, or can no more be done."""
        self.struck.set()
        self.finished.set()

    def _matches(self, crossing: Crossing) -> bool:
        return (
            self.armed
            and crossing.direction == ">"
            and crossing.label is not None
            and crossing.label.startswith(self.label)
            and (self.of is None or crossing.facts.get("of", "") == self.of)
            and (not self.writes or bool(crossing.facts.get("writes")))
        )
