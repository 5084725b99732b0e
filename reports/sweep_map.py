"""The map of a sweep: for each flow a row for each message, and in it a cell for each way in which it was broken.

Pure layout, as in `timeline.py`: the terminal and the page draw it, each in its own way.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.text import Text

from harness.engines.conversations import conversations
from harness.engines.sweep import FAILURES, Cell, Crossing, Hit, cell_of
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
    """A message, and its cells in the order of the columns; None where nothing was run. `conversation` is the request that
    it belongs to, where the recordings agree on one.
    """

    crossing: Crossing
    marks: tuple[Mark | None, ...]
    conversation: str = ""


@dataclass(frozen=True, slots=True)
class FlowMap:
    flow: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


def only_unreached(suite: Suite) -> bool:
    """Everything was run, and what does not hold was not reached; a calm recording must hold."""
    return not suite.left and all(
        run.status is Status.HOLDS or (run.unreached and cell_of(run.plan) is not None) for run in suite.runs
    )


def maps(suite: Suite) -> Sequence[FlowMap]:
    """One for each flow that was swept; none where the suite is no sweep."""
    marks: dict[str, dict[Crossing, dict[str, Mark]]] = {}
    for number, run in enumerate(suite.runs, 1):
        cell = cell_of(run.plan)
        if cell is not None and cell.second is None:
            marks.setdefault(cell.flow, {}).setdefault(cell.crossing, {})[cell.failure] = _mark(cell, run, number)
    return [_flow_map(flow, rows, _whose(suite, flow)) for flow, rows in marks.items()]


@dataclass(frozen=True, slots=True)
class Pair:
    """Two failures in one run, and what became of it."""

    first: str
    second: str
    mark: Mark


def pairs(suite: Suite) -> Sequence[Pair]:
    """Every run with two failures, in the order in which they were drawn."""
    found = [(number, run, cell_of(run.plan)) for number, run in enumerate(suite.runs, 1)]
    return [
        Pair(f"{cell.flow}: {Hit(cell.crossing, cell.failure)}", str(cell.second), _mark(cell, run, number))
        for number, run, cell in found
        if cell is not None and cell.second is not None
    ]


def _flow_map(flow: str, marks: dict[Crossing, dict[str, Mark]], whose: Mapping[Crossing, str]) -> FlowMap:
    columns = tuple(name for name in FAILURES if any(name in row for row in marks.values()))
    rows = (
        Row(crossing, tuple(row.get(name) for name in columns), whose.get(crossing, ""))
        for crossing, row in marks.items()
    )
    return FlowMap(flow, columns, tuple(rows))


def _whose(suite: Suite, flow: str) -> Mapping[Crossing, str]:
    """Which request each message belongs to, by every calm recording of the flow alike."""
    recorded = [conversations(run.history) for run in suite.runs if run.plan.name == flow]
    first, *others = recorded or [{}]
    return {crossing: said for crossing, said in first.items() if all(each.get(crossing) == said for each in others)}


def _mark(cell: Cell, run: Run, number: int) -> Mark:
    word = "unreached" if run.unreached else run.status.word
    return Mark(word, SIGNS[word], number, str(cell), tuple(sorted(run.broken)))


def text(suite: Suite) -> Text:
    """The maps of all flows, as a terminal shows them, and what their signs mean."""
    found, two = maps(suite), pairs(suite)
    drawn = [*(line for each in found for line in _drawn(each)), *_drawn_pairs(two)]
    return Text("\n").join([*drawn, *_legend(suite, found, two)])


def _drawn_pairs(two: Sequence[Pair]) -> Iterator[Text]:
    """Each first failure once, and below it the second ones."""
    for first, group in groupby(two, key=lambda pair: pair.first):
        yield Text(plain(first, 120), style="bold")
        for pair in group:
            yield Text(f"{pair.mark.sign} ", style=COLOURS[pair.mark.word]) + Text(f"then {plain(pair.second, 120)}")
        yield Text()


def _drawn(each: FlowMap) -> Iterator[Text]:
    names = [plain(f"{row.crossing.title} {row.crossing.nth}", LABEL_MAX) for row in each.rows]
    names_width = max(map(len, names))
    whose = [plain(row.conversation, LABEL_MAX) for row in each.rows]
    width = max(len("edge") + len(_GAP) + names_width, len(each.flow)) + max(
        len(said) + 2 if said else 0 for said in whose
    )
    above, below = zip(*(name.split("-") for name in each.columns), strict=True)
    widths = [max(map(len, words)) for words in zip(above, below, strict=True)]
    for first, heads in ((each.flow, above), ("", below)):
        head = Text(first.ljust(width), style="bold")
        for word, column in zip(heads, widths, strict=True):
            head.append(f"{_GAP}{word:<{column}}", style="not bold dim")
        head.rstrip()
        yield head
    for row, name, said in zip(each.rows, names, whose, strict=True):
        drawn = Text(f"{row.crossing.link:<4}{_GAP}{name:<{names_width}}")
        drawn.append(f"{_GAP}{said}" if said else "", style="dim")
        drawn.pad_right(max(0, width - len(drawn.plain)))
        for mark, column in zip(row.marks, widths, strict=True):
            drawn.append(_GAP)
            drawn.append((mark.sign if mark else " ").ljust(column), style=COLOURS[mark.word] if mark else "")
        drawn.rstrip()
        yield drawn
    yield Text()


def _legend(suite: Suite, found: Sequence[FlowMap], two: Sequence[Pair]) -> Iterator[Text]:
    words = [mark.word for each in found for row in each.rows for mark in row.marks if mark is not None]
    words += [pair.mark.word for pair in two]
    crossings = sum(len(each.rows) for each in found)
    yield Text(f"{count(crossings, 'crossing')}, {count(len(words), 'plan')}: ") + Text(", ").join(
        Text(f"{sign} {word.replace('unreached', 'not reached')} {words.count(word)}", style=COLOURS[word])
        for word, sign in SIGNS.items()
        if word in words
    )
    if again := sum(run.tries > 1 for run in suite.runs):
        yield Text(f"carried out more than once, because what should be broken did not come the first time: {again}")
    if "unreached" in words:
        yield Text(
            "not reached: what should be broken (or what the flow's mood acts on) did not come in that run: nothing is known"
        )
    if any(mark is None for each in found for row in each.rows for mark in row.marks):
        yield Text("blank: does not apply (PostgreSQL is behind the db link alone), or was not asked for")
