"""The map of a sweep: for each flow a row for each message, and in it a cell for each way in which it was broken.

Pure layout, as in `timeline.py`: the terminal and the page draw it, each in its own way.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.text import Text

from harness.engines.sweep import FAILURES, Cell, Crossing, cell_of
from harness.run import Run, Suite
from harness.verdict import Status
from reports.words import count, plain

LABEL_MAX = 60
_GAP = "  "


@dataclass(frozen=True, slots=True)
class Mark:
    """One cell: what became of its run, in a word and in a sign. `number` is the run's place in the suite."""

    word: str
    sign: str
    number: int
    name: str
    broken: tuple[str, ...] = ()


SIGNS = {"holds": "✓", "broken": "✗", "unknown": "?", "unreached": "–"}
COLOURS = {"holds": "green", "broken": "bold red", "unknown": "bold yellow", "unreached": "yellow"}


@dataclass(frozen=True, slots=True)
class Row:
    """A message, and its cells in the order of the columns; None where nothing was run."""

    crossing: Crossing
    marks: tuple[Mark | None, ...]


@dataclass(frozen=True, slots=True)
class FlowMap:
    flow: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def is_unreached(run: Run) -> bool:
    """Nothing speaks against the run but that the message which it should break (or the flow's mood should) did not come."""
    weighing = [verdict for verdict in run.verdicts if verdict.weighs and verdict.status is not Status.HOLDS]
    return [verdict.invariant for verdict in weighing] == ["faults-bite"]


def only_unreached(suite: Suite) -> bool:
    """Everything was run, and what does not hold was not reached; a calm recording must hold."""
    return not suite.left and all(
        run.status is Status.HOLDS or (is_unreached(run) and cell_of(run.plan) is not None) for run in suite.runs
    )


def maps(suite: Suite) -> Sequence[FlowMap]:
    """One for each flow that was swept; none where the suite is no sweep."""
    marks: dict[str, dict[Crossing, dict[str, Mark]]] = {}
    for number, run in enumerate(suite.runs, 1):
        cell = cell_of(run.plan)
        if cell is not None:
            marks.setdefault(cell.flow, {}).setdefault(cell.crossing, {})[cell.failure] = _mark(cell, run, number)
    return [_flow_map(flow, rows) for flow, rows in marks.items()]


def _flow_map(flow: str, marks: dict[Crossing, dict[str, Mark]]) -> FlowMap:
    columns = tuple(name for name in FAILURES if any(name in row for row in marks.values()))
    rows = (Row(crossing, tuple(row.get(name) for name in columns)) for crossing, row in marks.items())
    return FlowMap(flow, columns, tuple(rows))


def _mark(cell: Cell, run: Run, number: int) -> Mark:
    word = "unreached" if is_unreached(run) else run.status.word
    return Mark(word, SIGNS[word], number, str(cell), tuple(sorted(run.broken)))


def text(suite: Suite) -> Text:
    """The maps of all flows, as a terminal shows them, and what their signs mean."""
    found = maps(suite)
    return Text("\n").join([*(line for each in found for line in _drawn(each)), *_legend(found)])


def _drawn(each: FlowMap) -> Iterator[Text]:
    names = [plain(f"{row.crossing.label} {row.crossing.nth}", LABEL_MAX) for row in each.rows]
    width = max(map(len, (*names, each.flow))) + len("edge") + len(_GAP)
    above, below = zip(*(name.split("-") for name in each.columns), strict=True)
    widths = [max(map(len, words)) for words in zip(above, below, strict=True)]
    for first, heads in ((each.flow, above), ("", below)):
        head = Text(first.ljust(width), style="bold")
        for word, column in zip(heads, widths, strict=True):
            head.append(f"{_GAP}{word:<{column}}", style="not bold dim")
        head.rstrip()
        yield head
    for row, name in zip(each.rows, names, strict=True):
        drawn = Text(f"{row.crossing.link:<4}{_GAP}{name}".ljust(width))
        for mark, column in zip(row.marks, widths, strict=True):
            drawn.append(_GAP)
            drawn.append((mark.sign if mark else " ").ljust(column), style=COLOURS[mark.word] if mark else "")
        drawn.rstrip()
        yield drawn
    yield Text()


def _legend(found: Sequence[FlowMap]) -> Iterator[Text]:
    words = [mark.word for each in found for row in each.rows for mark in row.marks if mark is not None]
    crossings = sum(len(each.rows) for each in found)
    yield Text(f"{count(crossings, 'crossing')}, {count(len(words), 'plan')}: ") + Text(", ").join(
        Text(f"{sign} {word.replace('unreached', 'not reached')} {words.count(word)}", style=COLOURS[word])
        for word, sign in SIGNS.items()
        if word in words
    )
    if "unreached" in words:
        yield Text(
            "not reached: what should be broken (or what the flow's mood acts on) did not come in that run: nothing is known"
        )
    if any(mark is None for each in found for row in each.rows for mark in row.marks):
        yield Text("blank: does not apply (PostgreSQL is behind the db link alone), or was not asked for")
