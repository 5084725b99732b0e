"""What happened, in order. Everything else is computed from this.

A history is written while the run goes on, one JSON object a line, so that a run that was killed leaves what it saw.
Each line is `{"at": …, "actor": …, "kind": …, **facts}`; `at` is seconds since the Unix epoch on this machine's clock,
the one clock that all processes of a stack share.

Who speaks, and of what (the vocabulary that invariants and reports read):

| actor | kinds |
|---|---|
| `harness` | `plan`, `phase`, `fault-began`, `fault-ended`, `crossing`, `surgery`, `wait` |
| `harness` | of turns given to concurrent requests: `lane` (a request), `turn`, `waits` (for a lock) |
| `harness` | `start` (of another process of the service, with settings that do not belong together) |
| `harness` | `not-offered` (by this target), `load`, `settled`, `audited` |
| `harness` | of the audit: `looked` (from then on it reads the books), `book-unread`, `log-scanned`, `secret-in-log` |
| `harness` | `notified`: what a customer was told without asking |
| `client` | `invoked`, `answered`; `assault` (what an attacker saw, whose request no honest client sends) |
| `provider` | what its own book says: `payment`, `delivery`, `answer`, `gave-up` |
| `service` | what it says of itself: `ledger-read`, `entry`, `balance`, `transition`, `discrepancy` |
| `service` | the same, when a plan makes it look: `finding`, `audit-line`, `review` |
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TextIO, overload

_JSON = json.JSONEncoder(default=str)


class HistoryError(ValueError):
    """What was read is not a history; the message says where and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened. `event["payment"]` reads a fact; `event.get("payment")` one that may be missing."""

    at: float
    actor: str
    kind: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, fact: str) -> Any:
        return self.facts[fact]

    def __hash__(self) -> int:
        return hash((self.at, self.actor, self.kind))

    def get(self, fact: str, default: Any = None) -> Any:
        return self.facts.get(fact, default)

    def to_json(self) -> str:
        return _JSON.encode({"at": round(self.at, 6), "actor": self.actor, "kind": self.kind, **self.facts})

    @classmethod
    def from_json(cls, line: str) -> "Event":
        """Raises `ValueError` when the line is not JSON, `HistoryError` when it is not an event."""
        facts = json.loads(line)
        if not isinstance(facts, dict):
            raise HistoryError(f"an event is a JSON object, this is {type(facts).__name__}")
        try:
            at, actor, kind = facts.pop("at"), facts.pop("actor"), facts.pop("kind")
        except KeyError as missing:
            raise HistoryError(f"an event needs {missing}") from None
        return cls(at=at, actor=actor, kind=kind, facts=facts)


@dataclass(frozen=True, slots=True)
class History(Sequence[Event]):
    """All events of one run, immutable."""

    events: tuple[Event, ...] = ()
    _kinds: dict[str, list[int]] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Where the events of each kind stand; made when it is first asked, for it is asked a hundred times about each run."""

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | Sequence[Event]:
        return self.events[index]

    def __len__(self) -> int:
        return len(self.events)

    @property
    def start(self) -> float:
        """When the first event happened; 0.0 for an empty history."""
        return self.events[0].at if self.events else 0.0

    def of(self, *kinds: str) -> "History":
        """The events of these kinds."""
        if not self._kinds:
            for number, event in enumerate(self.events):
                self._kinds.setdefault(event.kind, []).append(number)
        found = [self._kinds.get(kind, ()) for kind in set(kinds)]
        numbers = found[0] if len(found) == 1 else sorted(chain.from_iterable(found))
        return History(tuple([self.events[number] for number in numbers]))

    def where(self, wanted: Callable[[Event], bool]) -> "History":
        return History(tuple(filter(wanted, self.events)))

    def by(self, fact: str) -> Iterator[tuple[Any, "History"]]:
        """Groups of events with the same value of *fact*, in order of first appearance; events without it are left out."""
        groups: dict[Any, list[Event]] = defaultdict(list)
        for event in self.events:
            if event.get(fact) is not None:
                groups[event[fact]].append(event)
        return ((key, History(tuple(events))) for key, events in groups.items())

    @classmethod
    def merged(cls, *streams: Iterable[Event]) -> "History":
        """One history out of what several processes wrote, in order of time."""
        return cls(tuple(sorted((event for stream in streams for event in stream), key=lambda event: event.at)))


class Recorder:
    """Writes a history while it happens. Events of other processes are added with their own time."""

    def __init__(self, clock: Callable[[], float], sink: TextIO | None = None) -> None:
        self._clock, self._sink, self._events = clock, sink, list[Event]()

    def record(self, actor: str, kind: str, /, **facts: Any) -> Event:
        event = Event(at=self._clock(), actor=actor, kind=kind, facts=facts)
        self.add(event)
        return event

    def add(self, event: Event) -> None:
        self._events.append(event)
        if self._sink is not None:
            self._sink.write(event.to_json() + "\n")

    def ago(self, seconds: float) -> float:
        """The time of a moment so many seconds ago, on the clock of this history."""
        return round(self._clock() - seconds, 6)

    def flush(self) -> None:
        if self._sink is not None:
            self._sink.flush()

    def history(self) -> History:
        return History.merged(self._events)


def write(history: History, path: Path) -> None:
    path.write_text("".join(event.to_json() + "\n" for event in history), encoding="utf-8")


def read(path: Path) -> History:
    """Raises `HistoryError` naming file and line when a line is not an event."""
    events = []
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                events.append(Event.from_json(line))
            except ValueError as error:
                raise HistoryError(f"{path}:{number}: {error}") from None
    return History(tuple(events))
