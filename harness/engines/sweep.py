"""Every single failure, everywhere: one plan for each message of a calm run and each fault that applies to it.

SQLite tests itself by failing the n-th I/O, for every n; this does so to a whole distributed payment, from outside. A flow is
recorded calm; each request and each statement that crossed a link is addressed by what a person would call it and by its
number (`db COMMIT 2`), counted from where the swept part begins; then it is broken, once in every way.

A service does things by the clock too, and opens connections when it likes. What is not in every one of the calm recordings is
such background, and is left out. Where a message that was in all of them does not come in the run that should break it, the
plan is carried out again, a few times; a run in which it never came is unknown, by the rule that a fault must touch something.
"""

import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from harness.engines.suite import Job, program
from harness.flow import FLOWS, SECOND, SWEPT, Blow, Flow
from harness.history import Event, History
from harness.plan import Begin, Plan, Scalar
from harness.run import Run
from harness.wire.framing import ARROWS

RECORDINGS = 3
TRIES = 5
"""So often a plan is carried out until the message that it should break comes by: one of two that race for the same row may
find nothing left to do, and then nothing is known.
"""
LINKS = ("edge", "api", "hook", "db")
HTTP = ("edge", "api", "hook")
"""Where whoever waits too long asks again, on another connection, so that what was late or frozen meets its successor. On a
connection to a database nothing overtakes: a late statement is a slow one.
"""
DELAY_MS = 600
"""Later than a service with little patience waits for an answer: it has asked again when the first request arrives."""

_WRITTEN = re.compile(r"^(edge|api|hook|db) (.*?)(?: \((\S+)\))? (\d+)$")

# An id in a path is another one in each run: the label of such a request ends where the first id begins.
_ID = re.compile(r"/(?!v\d+(?:/|$))[^/\s]*\d[^/\s]*(?:/.*)?$")


@dataclass(frozen=True, slots=True)
class Crossing:
    """One message of a flow: the *nth* on its link, since the swept part began, whose label begins like this, and that is
    of a transaction of that name (or of none).
    """

    link: str
    label: str
    nth: int
    of: str = ""

    @property
    def title(self) -> str:
        return f"{self.label} ({self.of})" if self.of else self.label

    def __str__(self) -> str:
        return f"{self.link} {self.title} {self.nth}"

    @classmethod
    def read(cls, text: str) -> "Crossing":
        """The one that is written so. Raises `ValueError` when it is none."""
        found = _WRITTEN.match(text)
        if found is None:
            raise ValueError(f"{text!r} is no message: one is written like `db COMMIT (claims) 2`")
        link, label, of, nth = found.groups()
        return cls(link, label, int(nth), of or "")


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to break a message: the fault, what it is told beside the message, and the links that it applies to."""

    name: str
    fault: str
    args: Mapping[str, Scalar]
    links: tuple[str, ...] = LINKS

    def at(self, crossing: Crossing) -> Blow:
        where: dict[str, Scalar] = {
            "link": crossing.link,
            "label": crossing.label,
            "of": crossing.of,
            "nth": crossing.nth,
        }
        return Blow(self.fault, {**self.args, **where})


FAILURES: Mapping[str, Failure] = {
    failure.name: failure
    for failure in (
        Failure("cut-before", "cut-at", {"point": "before"}),
        Failure("cut-after", "cut-at", {"point": "after"}),
        Failure("stall-before", "stall-at", {"point": "before"}),
        Failure("stall-after", "stall-at", {"point": "after"}),
        Failure("delay-before", "delay-at", {"point": "before", "ms": DELAY_MS}, links=HTTP),
        Failure("twice-after", "twice-at", {}, links=HTTP),
        Failure("kill-before", "kill-at", {"node": "service", "point": "before"}),
        Failure("kill-after", "kill-at", {"node": "service", "point": "after"}),
        Failure("pause-before", "pause-at", {"node": "service", "point": "before"}, links=HTTP),
        Failure("provider-before", "kill-at", {"node": "provider", "point": "before"}, links=("api", "hook")),
        Failure("provider-after", "kill-at", {"node": "provider", "point": "after"}, links=("api", "hook")),
        Failure("postgres-before", "kill-at", {"node": "postgres", "point": "before"}, links=("db",)),
        Failure("postgres-after", "kill-at", {"node": "postgres", "point": "after"}, links=("db",)),
    )
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One plan of a sweep, as its place on the map: a message and how it was broken; where there are two, also the second."""

    flow: str
    crossing: Crossing
    failure: str
    second: "Hit | None" = None

    def __str__(self) -> str:
        return f"{self.flow}: {self.crossing}, {self.failure}" + (f"; then {self.second}" if self.second else "")


@dataclass(frozen=True, slots=True)
class Hit:
    """A message, and how it is broken."""

    crossing: Crossing
    failure: str

    def __str__(self) -> str:
        return f"{self.crossing}, {self.failure}"

    @classmethod
    def read(cls, text: str) -> "Hit":
        """The one that is written so. Raises `ValueError` when it is none."""
        crossing, _, failure = text.rpartition(", ")
        if failure not in FAILURES:
            raise ValueError(f"{failure!r} is no failure: one is written like `db COMMIT (claims) 2, cut-after`")
        return cls(Crossing.read(crossing), failure)

    def blow(self) -> Blow:
        return FAILURES[self.failure].at(self.crossing)


@dataclass(frozen=True, slots=True)
class Shard:
    """The part of a sweep that one machine of several does. A cell is in the same part wherever it is asked."""

    number: int = 1
    of: int = 1

    def __contains__(self, cell: Cell) -> bool:
        return crc32(str(cell).encode()) % self.of == self.number - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What to sweep. `options` are those that every command which repeats a part of it needs."""

    flows: Sequence[Flow]
    seed: int
    options: str
    mutant: str | None = None
    links: Sequence[str] = LINKS
    failures: Sequence[str] = tuple(FAILURES)
    crossing: str | None = None
    shard: Shard = Shard()

    def recordings(self) -> list[Job]:
        """Each flow in calm weather, several times."""
        return [
            Job(flow.plan(self.seed), f"{program()} sweep {flow.name}{self.options}", self.mutant)
            for flow in self.flows
            for _ in range(RECORDINGS)
        ]

    def jobs(self, recorded: Iterable[Run]) -> list[Job]:
        """One for each crossing that was in every recording of its flow, and each failure."""
        return [self.job(cell) for cell in self.all_cells(recorded)]

    def all_cells(self, recorded: Iterable[Run]) -> Iterator[Cell]:
        """What there is to break, flow by flow, by what was recorded."""
        histories: dict[str, list[History]] = {flow.name: [] for flow in self.flows}
        for run in recorded:
            histories[run.plan.name].append(run.history)
        for flow in self.flows:
            yield from self.cells(flow.name, histories[flow.name])

    def job(self, cell: Cell, *, watched: bool = False) -> Job:
        """The plan of a cell; *watched*, it goes on for as long as one with a second failure would."""
        first = FAILURES[cell.failure].at(cell.crossing)
        second = cell.second.blow() if cell.second else Blow() if watched else None
        plan = FLOWS[cell.flow].plan(self.seed, first, str(cell), second)
        where = f"--crossing {shlex.quote(str(cell.crossing))} --fault {cell.failure}"
        then = f" --second {shlex.quote(str(cell.second))}" if cell.second else ""
        again = f"{program()} sweep {cell.flow} {where}{then}{self.options}"
        return Job(plan, again, self.mutant, tries=TRIES)

    def narrowed(self) -> list[str]:
        """The options that make this sweep no more than a part of the whole."""
        links = [f"--link {link}" for link in self.links if len(self.links) < len(LINKS)]
        failures = [f"--fault {failure}" for failure in self.failures if len(self.failures) < len(FAILURES)]
        crossing = [f"--crossing {shlex.quote(self.crossing)}"] if self.crossing else []
        shard = [f"--shard {self.shard.number}/{self.shard.of}"] if self.shard.of > 1 else []
        return [*links, *failures, *crossing, *shard]

    def cells(self, flow: str, recordings: Sequence[History]) -> list[Cell]:
        return [
            cell
            for crossing in common_crossings(recordings)
            if crossing.link in self.links and f"{crossing} ".startswith(f"{self.crossing} " if self.crossing else "")
            for failure in self.failures
            if crossing.link in FAILURES[failure].links
            if (cell := Cell(flow, crossing, failure)) in self.shard
        ]


def common_crossings(recordings: Sequence[History]) -> list[Crossing]:
    """The crossings that were in every one of them, in the order of the first."""
    first, *others = [list(crossings(history)) for history in recordings] or [[]]
    return [crossing for crossing in first if all(crossing in other for other in others)]


def crossings(history: History) -> Iterator[Crossing]:
    """The requests and statements that crossed any link while the swept part went on, as a surgery would count them."""
    return (crossing for _, crossing in numbered(history, SWEPT))


def numbered(history: History, fault: str) -> Iterator[tuple[Event, Crossing]]:
    """The same while *fault* lasted, each with its event."""
    seen: dict[tuple[str, str], list[str]] = defaultdict(list)
    for event in _while(history, fault):
        link, of = event["link"], str(event.get("of", ""))
        label = event["label"].removeprefix(f"{link} {ARROWS['>']} ").removesuffix(f" ({of})")
        alike = seen[link, of]
        alike.append(label)
        start = stable(label)
        yield event, Crossing(link, start, sum(each.startswith(start) for each in alike), of)


def stable(label: str) -> str:
    """The beginning of a label that is the same in each run.

    >>> stable("GET /v1/payments/pay_82e2f728/captures"), stable("POST /v1/top-ups"), stable("COMMIT")
    ('GET /v1/payments/', 'POST /v1/top-ups', 'COMMIT')
    """
    return _ID.sub("/", label)


def _while(history: History, fault: str) -> Iterator[Event]:
    inside = False
    for event in history.of("fault-began", "fault-ended", "crossing"):
        if event.kind != "crossing":
            inside = event.kind == "fault-began" if event["id"] == fault else inside
        elif inside and event["direction"] == ">" and not event.get("beside"):
            yield event


def cell_of(plan: Plan) -> Cell | None:
    """The place on the map of a plan; None for a calm recording, and for a plan of no sweep."""
    blows = {begin.id: begin for begin in plan.faults()}
    first, second = (_dealt(blows.get(id)) for id in (SWEPT, SECOND))
    return Cell(plan.name.partition(":")[0], first.crossing, first.failure, second) if first is not None else None


def _dealt(blow: Begin | None) -> Hit | None:
    failure = _failure_of(blow) if blow is not None else None
    if blow is None or failure is None:
        return None
    args = blow.args
    crossing = Crossing(str(args["link"]), str(args["label"]), int(args.get("nth", 1)), str(args.get("of", "")))
    return Hit(crossing, failure)


def _failure_of(blow: Begin) -> str | None:
    return next(
        (
            name
            for name, failure in FAILURES.items()
            if failure.fault == blow.fault and failure.args.items() <= dict(blow.args).items()
        ),
        None,
    )
