"""The story of one violation: which events to show, in which order, on which lane, inside which faults.

Pure layout: the terminal and the page draw it, each in its own way.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from harness.history import Event, History
from harness.verdict import Violation
from reports.words import fault_name

ROWS_MAX = 40
LANES = ("client", "service", "provider", "database")
CLIENT, SERVICE, PROVIDER, DATABASE = range(4)

_MISCREDITED = frozenset({"doubled", "phantom", "wrong amount", "wrong account", "reversed twice", "wrongly reversed"})
_FAULTS = frozenset({"fault-began", "fault-ended"})
_BLOWS = frozenset({"surgery", "node"})
# Who asks and who is asked on each link.
_ENDS = {"edge": (CLIENT, SERVICE), "api": (SERVICE, PROVIDER), "hook": (PROVIDER, SERVICE), "db": (SERVICE, DATABASE)}
_NODES = {"service": SERVICE, "postgres": DATABASE, "provider": PROVIDER}
_ACTORS = {"client": CLIENT, "service": SERVICE, "provider": PROVIDER}
# Operations that go to the provider itself and not to the service.
_AT_PROVIDER = frozenset({"pay", "decline", "give_back", "dispute", "win", "lose", "advance", "release"})
# A service may stamp its entries with a clock of its own; such a time is believed only near the run.
_CLOCK_SLACK_S = 5.0


@dataclass(frozen=True, slots=True)
class Row:
    """One event: seconds since the run began, where it is drawn, and whether it is part of the evidence."""

    event: Event
    seconds: float
    evidence: bool
    decisive: bool


@dataclass(frozen=True, slots=True)
class Window:
    """A fault from its first row to its last, both inside; `open` where the history has no end of it."""

    fault: str
    first: int
    last: int
    open: bool


@dataclass(frozen=True, slots=True)
class Timeline:
    rows: tuple[Row, ...]
    windows: tuple[Window, ...]
    left_out: int


@dataclass(frozen=True, slots=True)
class Place:
    """The lane of an event's mark, None for what concerns all; and from which lane to which it goes, if it does."""

    dot: int | None
    line: tuple[int, int] | None = None


def story(violation: Violation, history: History, rows_max: int = ROWS_MAX) -> Timeline:
    """The evidence, everything else about the same payment and top-up, and every blow dealt; at most *rows_max*.

    With what was written to the database while a callback about the payment waited for its answer.
    """
    related = _related(violation, history)
    evidence = set(violation.evidence)
    waits = _waits(history, related)
    wanted = [
        e for e in history if e in evidence or e.kind in _FAULTS | _BLOWS or related(e) or _written_meanwhile(e, waits)
    ]
    return _timeline(violation, _once(wanted, evidence), history, rows_max)


def _waits(history: History, related: Callable[[Event], bool]) -> Sequence[tuple[float, float]]:
    """From when to when each related callback waited for its answer; one without an answer waits for nobody."""
    answered = {event.get("delivery"): event.at for event in history.of("answer")}
    return [
        (event.at, answered[event.get("delivery")])
        for event in history.of("delivery")
        if related(event) and event.get("delivery") in answered
    ]


def _written_meanwhile(event: Event, waits: Iterable[tuple[float, float]]) -> bool:
    if event.kind != "crossing" or event.get("link") != "db" or event.get("direction") != ">":
        return False
    tells = event.get("writes") or "▸ COMMIT" in str(event["label"])
    return bool(tells) and any(began <= event.at <= ended for began, ended in waits)


def evidence_only(violation: Violation, history: History, rows_max: int = ROWS_MAX) -> Timeline:
    """The evidence, and the edges of those faults that no evidence falls into, so that each fault is seen."""
    if not violation.evidence:
        return Timeline((), (), 0)
    moment = _clock(history)
    moments = [moment(event) for event in violation.evidence]
    edges = [
        edge
        for began, ended in _spans(history)
        if not any(began.at <= at <= (ended.at if ended else at) for at in moments)
        for edge in (began, ended)
        if edge is not None
    ]
    return _timeline(violation, [*violation.evidence, *edges], history, rows_max)


def place(event: Event) -> Place:
    """Where an event is drawn: on the lane of who tells of it, with a line to the other end where there is one."""
    match event.kind:
        case "crossing" | "surgery" if (ends := _ENDS.get(str(event.get("link")))) is not None:
            asks, asked = ends
            return Place(asked, (asked, asks) if event.get("direction") == "<" else (asks, asked))
        case "node" if (lane := _NODES.get(str(event.get("node")))) is not None:
            return Place(lane)
        case "invoked" | "answered":
            other = PROVIDER if event.get("operation") in _AT_PROVIDER else SERVICE
            return Place(CLIENT, (CLIENT, other) if event.kind == "invoked" else (other, CLIENT))
        case "delivery":
            return Place(PROVIDER, (PROVIDER, SERVICE))
        case "answer":
            return Place(PROVIDER, (SERVICE, PROVIDER))
        case _:
            return Place(_ACTORS.get(event.actor))


def _timeline(violation: Violation, events: Sequence[Event], history: History, rows_max: int) -> Timeline:
    evidence = set(violation.evidence)
    moment = _clock(history)
    decisive = _decisive(violation, moment)
    kept = _kept(events, evidence, moment, rows_max)
    rows = tuple(
        Row(event, moment(event) - history.start, event in evidence, event == decisive)
        for event in sorted(kept, key=moment)
    )
    return Timeline(rows, tuple(_windows(rows, history)), len(events) - len(kept))


def _decisive(violation: Violation, moment: Callable[[Event], float]) -> Event | None:
    """Where the promise broke: the last credit where one is wrong, otherwise what the evidence ends with."""
    credits = [event for event in violation.evidence if event.kind == "entry"]
    if credits and violation.verdict in _MISCREDITED:
        return max(credits, key=moment)
    return violation.evidence[-1] if violation.evidence else None


def _kept(
    events: Sequence[Event], evidence: set[Event], moment: Callable[[Event], float], rows_max: int
) -> Sequence[Event]:
    """The most telling events: evidence, then faults, then blows, then what is nearest to the evidence in time."""
    if len(events) <= rows_max:
        return events
    moments = [moment(event) for event in evidence]

    def rank(event: Event) -> tuple[int, float]:
        importance = 0 if event in evidence else 1 if event.kind in _FAULTS else 2 if event.kind in _BLOWS else 3
        # Of too much evidence the latest is kept: it is where the promise breaks.
        nearness = -moment(event) if not importance else min((abs(moment(event) - at) for at in moments), default=0.0)
        return importance, nearness

    return sorted(events, key=rank)[:rows_max]


def _once(events: Iterable[Event], evidence: set[Event]) -> list[Event]:
    """The service's books are read twice; what stands in both readings is shown once, as the evidence has it."""
    shown = {_record(event) for event in evidence} - {None}
    kept = []
    for event in events:
        record = _record(event)
        if event not in evidence and record is not None:
            if record in shown:
                continue
            shown.add(record)
        kept.append(event)
    return kept


def _record(event: Event) -> object:
    """What identifies one line of a book, or None for an event that is not one."""
    if event.kind == "entry" and event.get("entry") is not None:
        return ("entry", event["entry"])
    if event.kind == "transition":
        return ("transition", *(str(event.get(fact)) for fact in ("top_up", "from", "to", "cause", "written")))
    return None


def _related(violation: Violation, history: History) -> Callable[[Event], bool]:
    """Tells whether an event is about the payment of the violation, its top-up, or an operation that made it."""
    payments = {violation.payment} if violation.payment else _named(violation.evidence, "payment")
    about = [*violation.evidence, *(event for event in history if _named((event,), "payment") & payments)]
    top_ups = _named(about, "top_up", "reference")

    def names(event: Event) -> bool:
        return bool(_named((event,), "payment") & payments or _named((event,), "top_up", "reference") & top_ups)

    asked = history.of("invoked", "answered")
    operations = _named(filter(names, asked), "id")
    return lambda event: names(event) or (event.kind in ("invoked", "answered") and event.get("id") in operations)


def _named(events: Iterable[Event], *facts: str) -> set[str]:
    """What these facts name. A service may answer anything in their place; only names are followed."""
    return {value for event in events for fact in facts if isinstance(value := event.get(fact), str)}


def _spans(history: History) -> list[tuple[Event, Event | None]]:
    ended = {event.get("id"): event for event in history.of("fault-ended")}
    return [(began, ended.get(began.get("id"))) for began in history.of("fault-began")]


def _windows(rows: Sequence[Row], history: History) -> Iterable[Window]:
    for began, ended in _spans(history):
        start, end = began.at - history.start, ended.at - history.start if ended else float("inf")
        inside = [index for index, row in enumerate(rows) if start <= row.seconds <= end]
        if inside:
            yield Window(fault_name(began), inside[0], inside[-1], open=ended is None)


def _clock(history: History) -> Callable[[Event], float]:
    """When an event happened: when the service wrote it down, where that is known, and not when its book was read."""
    earliest = history.start - _CLOCK_SLACK_S
    latest = max((event.at for event in history), default=0.0) + _CLOCK_SLACK_S

    def moment(event: Event) -> float:
        written = event.get("written")
        return written if isinstance(written, int | float) and earliest <= written <= latest else event.at

    return moment
