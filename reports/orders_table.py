"""The order in which concurrent requests took their turns, as a table: a column for each request, a row for each turn.

Pure layout, as in `timeline.py`: the terminal and the page draw it, each in its own way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from harness.engines.interleave import Interleave, Search
from harness.history import Event, History
from harness.meeting import IN_ORDER
from harness.run import Run, Suite
from harness.verdict import Status
from reports.words import count, duration, plain

WIDTH_MAX = 44
_GAP = "   "


@dataclass(frozen=True, slots=True)
class Turn:
    """One row: the request whose turn it was (its column, from 0), the statement, and what came of it if not an answer."""

    column: int
    statement: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """The turns of one meeting. `requests` are the heads of the columns."""

    requests: tuple[str, ...]
    turns: tuple[Turn, ...]


def table(run: Run) -> Table | None:
    """The turns of a run in which requests met once; None for a run in which they did not, or several times."""
    meetings = [begin for begin in run.plan.faults() if begin.fault == IN_ORDER]
    if len(meetings) != 1 or not run.history.of("turn"):
        return None
    requests = {event["lane"]: event["request"] for event in run.history.of("lane")}
    columns = {lane: column for column, lane in enumerate(sorted(requests))}
    turns = [Turn(columns[event["lane"]], event["statement"], remark) for event, remark in _with_remarks(run.history)]
    return Table(tuple(requests[lane] for lane in sorted(requests)), tuple(turns))


def _with_remarks(history: History) -> Iterator[tuple[Event, str]]:
    """Each turn, and whether its statement waited or was refused before its request's next turn."""
    events = history.of("turn", "waits", "crossing", "fault-ended").events
    for at, event in enumerate(events):
        if event.kind != "turn":
            continue
        remarks: list[str] = []
        for later in events[at + 1 :]:
            if later.kind == "turn" and later["lane"] == event["lane"]:
                break
            if later.kind == "waits" and later["lane"] == event["lane"] and not remarks:
                remarks.append("waits")
            if later.kind == "crossing" and later["link"] == "db" and later["connection"] == event["connection"]:
                said = later["label"].partition("◂ ")[2]
                if said.startswith("ERROR"):
                    remarks.append(said)
        yield event, ", ".join(remarks)


def text(asked: Interleave, suite: Suite) -> Text:
    """What a terminal shows: the table of each order that broke a promise, then how far each meeting was searched."""
    lines: list[Text] = []
    for run in suite.runs:
        found = table(run) if run.status is Status.BROKEN else None
        if found is not None:
            lines += [Text(plain(run.plan.name, 200), style="bold"), *drawn(found), Text()]
    return Text("\n").join([*lines, *searches(asked.searches), Text()])


def drawn(each: Table) -> Iterator[Text]:
    cells = [plain(_cell(turn), WIDTH_MAX) for turn in each.turns]
    widths = [
        max(
            [
                len(plain(request, WIDTH_MAX)),
                *(len(cell) for turn, cell in zip(each.turns, cells, strict=True) if turn.column == column),
            ]
        )
        for column, request in enumerate(each.requests)
    ]
    numbers = len(str(len(cells)))
    head = Text(" " * numbers)
    for number, (request, width) in enumerate(zip(each.requests, widths, strict=True), 1):
        head.append(f"{_GAP}{number} {plain(request, WIDTH_MAX):<{width}}", style="bold")
    yield head
    for number, (turn, cell) in enumerate(zip(each.turns, cells, strict=True), 1):
        before = sum(len(_GAP) + 2 + width for width in widths[: turn.column])
        row = Text(f"{number:>{numbers}}", style="dim").append(f"{' ' * before}{_GAP}  ")
        yield row.append(cell, style="yellow" if turn.remark else "default")


def _cell(turn: Turn) -> str:
    return f"{turn.statement}  ({turn.remark})" if turn.remark else turn.statement


def searches(each: Sequence[Search]) -> Iterator[Text]:
    """How far the orders of each meeting were searched, a line for each."""
    width = max((len(search.meeting.name) for search in each), default=0)
    for search in each:
        orders = search.orders
        rate = f"{orders.tried / search.seconds:.0f} a second" if search.seconds else ""
        facts = [count(orders.tried, "order") + " tried", f"{orders.pruned} pruned"]
        if orders.repeated:
            facts.append(f"{orders.repeated} of them like an earlier one")
        if orders.beyond:
            facts.append(f"{orders.beyond} branches beyond the bound of preemptions")
        if orders.lost:
            facts.append(f"{orders.lost} could not be followed")
        facts += [part for part in (duration(search.seconds), rate) if part]
        yield Text(f"{search.meeting.name:<{width}}  ").append(_word(search)).append(" · ".join(facts))


def _word(search: Search) -> Text:
    if search.found:
        return Text(f"{'broken':<14}", style="bold red")
    if search.orders.exhausted:
        return Text(f"{'exhausted':<14}", style="green")
    if search.orders.waiting or search.orders.lost:
        return Text(f"{'not exhausted':<14}", style="bold yellow")
    return Text(f"{'within bound':<14}", style="green")
