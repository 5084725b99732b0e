"""Every single failure, everywhere: one plan for each message of a calm run and each fault that applies to it.

SQLite tests itself by failing the n-th I/O, for every n; this does so to a whole distributed payment, from outside. A flow is
recorded calm; each request and each statement that crossed a link is addressed by what a person would call it and by its
number (`db COMMIT 2`), counted from where the swept part begins; then it is broken, once in every way.

A service does things by the clock too, and opens connections when it likes. What is not in every one of the calm recordings is
such background, and is left out. Where a message that was in all of them does not come in the run that should break it,
that run is unknown, by the rule that a fault must touch something.
"""

import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

from harness.engines.suite import Job, program
from harness.flow import FLOWS, SWEPT, Blow, Flow
from harness.history import Event, History
from harness.plan import Begin, Plan
from harness.run import Run
from harness.wire.framing import ARROWS

RECORDINGS = 2
LINKS = ("edge", "api", "hook", "db")

# An id in a path is another one in each run: the label of such a request ends where the first id begins.
_ID = re.compile(r"/(?!v\d+(?:/|$))[^/\s]*\d[^/\s]*(?:/.*)?$")


@dataclass(frozen=True, slots=True)
class Crossing:
    """One message of a flow: the *nth* on its link, since the swept part began, whose label begins like this."""

    link: str
    label: str
    nth: int

    def __str__(self) -> str:
        return f"{self.link} {self.label} {self.nth}"


@dataclass(frozen=True, slots=True)
class Failure:
    """One way to break a message: the fault, what it is told beside the message, and the links that it applies to."""

    name: str
    fault: str
    args: Mapping[str, str]
    links: tuple[str, ...] = LINKS

    def at(self, crossing: Crossing) -> Blow:
        return Blow(self.fault, {**self.args, "link": crossing.link, "label": crossing.label, "nth": crossing.nth})


FAILURES: Mapping[str, Failure] = {
    failure.name: failure
    for failure in (
        Failure("cut-before", "cut-at", {"point": "before"}),
        Failure("cut-after", "cut-at", {"point": "after"}),
        Failure("kill-before", "kill-at", {"node": "service", "point": "before"}),
        Failure("kill-after", "kill-at", {"node": "service", "point": "after"}),
        Failure("postgres-before", "kill-at", {"node": "postgres", "point": "before"}, links=("db",)),
        Failure("postgres-after", "kill-at", {"node": "postgres", "point": "after"}, links=("db",)),
    )
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One plan of a sweep, as its place on the map."""

    flow: str
    crossing: Crossing
    failure: str

    def __str__(self) -> str:
        return f"{self.flow}: {self.crossing}, {self.failure}"


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
        histories: dict[str, list[History]] = {flow.name: [] for flow in self.flows}
        for run in recorded:
            histories[run.plan.name].append(run.history)
        return [
            Job(self._plan(cell), self._again(cell), self.mutant)
            for flow in self.flows
            for cell in self.cells(flow.name, histories[flow.name])
        ]

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

    def _plan(self, cell: Cell) -> Plan:
        return FLOWS[cell.flow].plan(self.seed, FAILURES[cell.failure].at(cell.crossing), str(cell))

    def _again(self, cell: Cell) -> str:
        where = f"--crossing {shlex.quote(str(cell.crossing))} --fault {cell.failure}"
        return f"{program()} sweep {cell.flow} {where}{self.options}"


def common_crossings(recordings: Sequence[History]) -> list[Crossing]:
    """The crossings that were in every one of them, in the order of the first."""
    first, *others = [list(crossings(history)) for history in recordings] or [[]]
    return [crossing for crossing in first if all(crossing in other for other in others)]


def crossings(history: History) -> Iterator[Crossing]:
    """The requests and statements that crossed any link while the swept part went on, as a surgery would count them."""
    labels: dict[str, list[str]] = {link: [] for link in LINKS}
    for event in _swept_part(history):
        link = event["link"]
        label = event["label"].removeprefix(f"{link} {ARROWS['>']} ")
        labels[link].append(label)
        start = stable(label)
        yield Crossing(link, start, sum(each.startswith(start) for each in labels[link]))


def stable(label: str) -> str:
    """The beginning of a label that is the same in each run.

    >>> stable("GET /v1/payments/pay_82e2f728/captures"), stable("POST /v1/top-ups"), stable("COMMIT")
    ('GET /v1/payments/', 'POST /v1/top-ups', 'COMMIT')
    """
    return _ID.sub("/", label)


def _swept_part(history: History) -> Iterator[Event]:
    inside = False
    for event in history.of("fault-began", "fault-ended", "crossing"):
        if event.kind != "crossing":
            inside = event.kind == "fault-began" if event["id"] == SWEPT else inside
        elif inside and event["direction"] == ">":
            yield event


def cell_of(plan: Plan) -> Cell | None:
    """The place on the map of a plan; None for a calm recording, and for a plan of no sweep."""
    blow = next((begin for begin in plan.faults() if begin.id == SWEPT), None)
    failure = _failure_of(blow) if blow is not None else None
    if blow is None or failure is None:
        return None
    crossing = Crossing(str(blow.args["link"]), str(blow.args["label"]), int(blow.args["nth"]))
    return Cell(plan.name.partition(":")[0], crossing, failure)


def _failure_of(blow: Begin) -> str | None:
    return next(
        (
            name
            for name, failure in FAILURES.items()
            if failure.fault == blow.fault and failure.args.items() <= dict(blow.args).items()
        ),
        None,
    )
