"""Where callbacks go: the receivers that are registered, each with keys of its own and with what it wants to hear of."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from fake_provider.news import News


class State(StrEnum):
    """Nothing is sent to a receiver that is disabled; one that is deleted is not even shown."""

    ENABLED = "enabled"
    DISABLED = "disabled"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One receiver. The keys sign: with each of them, or with the first where a dialect has room for one signature only.
    `outgoing` are those that still do until a time, on the payload's clock; `retired` those that no longer do. `news` is what
    it wants to hear of; None: everything.
    """

    url: str
    keys: Sequence[str] = field(repr=False)
    outgoing: Sequence[str] = field(default=(), repr=False)
    until: datetime | None = None
    retired: Sequence[str] = field(default=(), repr=False)
    news: frozenset[News] | None = None
    state: State = State.ENABLED

    def signing(self, now: datetime) -> Sequence[str]:
        """The keys that sign at that time, the newest first."""
        return (*self.keys, *self.outgoing) if self._overlaps(now) else self.keys

    def past(self, now: datetime) -> Sequence[str]:
        """The keys that no longer sign at that time."""
        return self.retired if self._overlaps(now) else (*self.outgoing, *self.retired)

    def rotated(self, key: str, now: datetime, until: datetime) -> "Door":
        """The same receiver with a new key, beside which those that sign now still do until that time."""
        return replace(self, keys=(key,), outgoing=self.signing(now), until=until, retired=self.past(now))

    def _overlaps(self, now: datetime) -> bool:
        return self.until is not None and now < self.until

    def wants(self, news: News) -> bool:
        return self.state is State.ENABLED and (self.news is None or news in self.news)


class Doors:
    """All receivers, each at an address of its own, in the order in which they were registered. There always is a first."""

    def __init__(self, first: Door) -> None:
        self._doors = {first.url: first}

    @property
    def first(self) -> Door:
        return next(iter(self._doors.values()))

    @property
    def newest(self) -> Door:
        """The one that was registered last and is enabled; the first where none is."""
        return next((door for door in reversed(list(self)) if door.state is State.ENABLED), self.first)

    def at(self, url: str) -> Door:
        """The one at that address, deleted or not: what was sent there before was signed with its keys."""
        return self._doors[url]

    def put(self, door: Door) -> None:
        """Register it, or change the one at its address. One that was deleted and comes back is the newest."""
        if door.url in self._doors and self._doors[door.url].state is State.DELETED:
            del self._doors[door.url]
        self._doors[door.url] = door

    def is_enabled(self, url: str) -> bool:
        return url in self._doors and self._doors[url].state is State.ENABLED

    def __contains__(self, url: object) -> bool:
        return any(door.url == url for door in self)

    def __iter__(self) -> Iterator[Door]:
        return iter([door for door in self._doors.values() if door.state is not State.DELETED])

    def recalled(self, earlier: "Doors") -> "Doors":
        """As they were in an earlier life. The first is at the address that this life was started with, and has the keys that
        this life was started with, unless they are ones that it had before and rotated.
        """
        before = earlier._doors.get(self.first.url)
        known = before is not None and {*self.first.keys} <= {*before.keys, *before.outgoing, *before.retired}
        found = Doors(before if before is not None and known else self.first)
        for url, door in earlier._doors.items():
            found._doors.setdefault(url, door)
        return found
