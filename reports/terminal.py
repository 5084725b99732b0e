"""What a person sees while a suite goes on, and when it is over.

Colour and the progress bar are for terminals only: into a file or a pipe go plain lines. Everything here is first made
as text without a width, so that what a log holds is what a terminal showed.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from harness.history import History
from harness.run import Run, Suite
from harness.verdict import Status, Verdict, Violation
from reports import HARMLESS
from reports.by_dialect import counted
from reports.timeline import Timeline, Window, evidence_only
from reports.words import Phrase, count, duration, phrase, plain

COLOURS = {Status.HOLDS: "green", Status.UNKNOWN: "yellow", Status.BROKEN: "red"}
WORD_WIDTH = 9
VIOLATIONS_MAX = 5
ROWS_MAX = 24
ID_LENGTH_MAX = 24
BLOCKS_MAX = 5
# A command is for copying: it is cut only where nobody would copy it.
COMMAND_MAX = 10_000

_BIG = " " * WORD_WIDTH
_ROW = " " * (WORD_WIDTH + 2)


class Live:
    """Progress of a suite: a line for each finished run and, on a terminal, a bar below them.

    `with Live("sweep", total=240) as live: live.begins(name); live.finished(run)`

    *terse* leaves out the lines of runs that hold, where they are hundreds; *by_dialect* puts a line of its own where the
    runs of another dialect begin.
    """

    def __init__(
        self,
        what: str,
        total: int | None = None,
        console: Console | None = None,
        *,
        terse: bool = False,
        by_dialect: bool = False,
    ) -> None:
        self._console = console or Console()
        self._terse, self._by_dialect = terse, by_dialect
        self._bar = Progress(
            TextColumn("{task.fields[what]}", markup=False),
            BarColumn(bar_width=30, complete_style="cyan", finished_style="cyan"),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[now]}", style="dim", markup=False),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._dialect = ""
        self._task = self._bar.add_task("", total=total, what=plain(what, 30), now="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def expects(self, total: int) -> None:
        """So many runs there will be: known only once the first are made."""
        self._bar.update(self._task, total=total)

    def begins(self, name: str) -> None:
        """Show beside the bar what is going on now."""
        self._bar.update(self._task, now=plain(name, 60))

    def finished(self, run: Run) -> None:
        if self._by_dialect and run.dialect != self._dialect:
            self._console.print(Text(f"in {run.dialect}:"), soft_wrap=True)
        self._dialect = run.dialect
        if not self._terse or run.status is not Status.HOLDS:
            self._console.print(line(run), soft_wrap=True)
        self._bar.advance(self._task)


def print_suite(
    suite: Suite,
    console: Console | None = None,
    *,
    spent: Mapping[str, float] | None = None,
    blocks_max: int = BLOCKS_MAX,
    but: Collection[str] = (),
) -> None:
    """The blocks of the worst runs, at most *blocks_max*, and the closing summary.

    *spent* says where the time went, in seconds by name ("stack", "runs", "reports"). *but* names runs that have no block,
    because another run tells the same story better.
    """
    out = console or Console()
    unhealthy = sorted(
        (run for run in suite.runs if run.status is not Status.HOLDS and run.plan.name not in but),
        key=lambda run: -run.status,
    )
    for run in unhealthy[:blocks_max]:
        out.print(block(run, suite.folder), soft_wrap=True, end="\n\n")
    if rest := unhealthy[blocks_max:]:
        out.print(Text(f"and {count(len(rest), 'run')} more that did not hold, in the report\n"), soft_wrap=True)
    out.print(summary(suite, spent), soft_wrap=True)


def line(run: Run) -> Text:
    """One finished run: its verdict, name, seconds, payments, and what is wrong in a few words."""
    text = _word(run.status, run.status.word)
    text.append(f"{plain(run.plan.name, 60):<40} {run.took_s:6.1f} s   {count(len(run.payments), 'payment'):<13}")
    text.append(plain(_in_short(run)))
    text.rstrip()
    return text


def block(run: Run, folder: Path) -> Text:
    """All that is wrong with one run: the promise, the evidence as a timeline, how to see it again, where to look."""
    title = Text(plain(run.plan.name), style="bold")
    title.append(f"  {plain(run.plan.story)}", style="not bold dim")
    broken = [verdict for verdict in run.verdicts if verdict.status is Status.BROKEN]
    unknown = [verdict for verdict in run.verdicts if verdict.status is Status.UNKNOWN and verdict.weighs]
    lines = [title, Text()]
    for verdict in broken:
        lines += [*_broken(verdict, run.history), Text()]
    width = max((len(verdict.invariant) for verdict in unknown), default=0)
    for verdict in unknown:
        lines += _unknown(verdict, width)
    if run.status is Status.UNKNOWN and not unknown:
        lines.append(_word(Status.UNKNOWN, "UNKNOWN").append("no verdict weighs: nothing was judged"))
    if unknown or not broken:
        lines.append(Text())
    return Text("\n").join([*lines, *_pointers(run.again, folder)])


def summary(suite: Suite, spent: Mapping[str, float] | None = None) -> Text:
    """The verdict of the whole, counted; where the time went; what carried the links; how to have it all again."""
    statuses = Counter(run.status.word for run in suite.runs)
    payments = Counter(payment.verdict for run in suite.runs for payment in run.payments)
    facts = [_counted("run", statuses, [status.word for status in reversed(Status)]), duration(suite.took_s)]
    if payments:
        facts.insert(1, _counted("payment", payments, [word for word, _ in payments.most_common()]))
    first = _word(suite.status, suite.status.word.upper())
    lines = [first.append(plain(" · ".join(facts), 400))]
    lines += [_fact("dialect", said) for said in counted(suite.runs)]
    if spent:
        parts = sorted(spent.items(), key=lambda part: -part[1])
        lines.append(_fact("time", ", ".join(f"{name} {duration(seconds)}" for name, seconds in parts)))
    if proxies := sorted({run.versions.get("proxies", run.proxies) for run in suite.runs}):
        lines.append(_fact("proxies", ", ".join(proxies)))
    return Text("\n").join([*lines, Text(), *_pointers(suite.again, suite.folder)])


def _broken(verdict: Verdict, history: History) -> Iterator[Text]:
    """The first violation in full, some of the others by name: they mostly tell the same story."""
    yield _word(Status.BROKEN, "BROKEN").append(plain(verdict.invariant), style="bold")
    yield Text(_BIG + plain(verdict.promise, 400))
    yield Text()
    for number, violation in enumerate(verdict.violations[:VIOLATIONS_MAX]):
        yield Text(_BIG + plain(violation.says, 400), style="bold")
        if number == 0:
            yield from _timeline(violation, history)
    if rest := len(verdict.violations[VIOLATIONS_MAX:]):
        yield Text(f"{_BIG}and {rest} more like this, in the report", style="dim")


def _unknown(verdict: Verdict, width: int) -> Iterator[Text]:
    """The reason beside the name; the rest of a long one, such as a traceback, below it."""
    first, *rest = verdict.because.rstrip().splitlines() or ["no reason given"]
    text = _word(Status.UNKNOWN, "UNKNOWN").append(f"{plain(verdict.invariant):<{width}}   ")
    yield text.append(plain(first, 400))
    for more in rest:
        yield Text(_ROW + plain(more, 400), style="dim")


def _timeline(violation: Violation, history: History) -> Iterator[Text]:
    timeline = evidence_only(violation, history, ROWS_MAX)
    cells = [_cells(row.seconds, row.event.actor, phrase(row.event)) for row in timeline.rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for index, (row, (seconds, *words)) in enumerate(zip(timeline.rows, cells, strict=True)):
        padded = [seconds.rjust(widths[0]), *(word.ljust(width) for word, width in zip(words, widths[1:], strict=True))]
        text = Text(_ROW + "  ".join(padded) + "  ")
        text.append(_edge(index, timeline, decisive=row.decisive), style="yellow")
        text.rstrip()
        yield text
    if timeline.left_out:
        yield Text(f"{_ROW}{timeline.left_out} more events of evidence, in the report", style="dim")


def _cells(seconds: float, actor: str, said: Phrase) -> tuple[str, ...]:
    return f"{seconds:.3f}", plain(actor), said.what, plain(said.about, ID_LENGTH_MAX), said.detail


def _edge(index: int, timeline: Timeline, *, decisive: bool) -> str:
    """The faults at the right edge of one row, each in a track of its own, then the names of those that begin here."""
    tracks = _tracks(timeline.windows)
    drawn = [
        next((_stroke(window, index) for window in track if window.first <= index <= window.last), " ")
        for track in tracks
    ]
    strokes = "".join(drawn)
    if decisive:
        strokes = f"{strokes.rstrip()} ◀" if strokes.strip() else "◀"
    names = [
        window.fault + (" (never ended)" if window.open else "") for window in timeline.windows if window.first == index
    ]
    return f"{strokes} {', '.join(names)}"


def _stroke(window: Window, index: int) -> str:
    """A fault that never ended has no lower corner."""
    if window.first == window.last:
        return "]"
    return {window.first: "┐", window.last: "│" if window.open else "┘"}.get(index, "│")


def _tracks(windows: Sequence[Window]) -> list[list[Window]]:
    """Windows that overlap stand beside each other; others share a track."""
    tracks: list[list[Window]] = []
    for window in sorted(windows, key=lambda window: window.first):
        free = next((track for track in tracks if track[-1].last < window.first), None)
        if free is None:
            tracks.append([window])
        else:
            free.append(window)
    return tracks


def _in_short(run: Run) -> str:
    if run.status is Status.BROKEN:
        wrong = Counter(payment.verdict for payment in run.payments if payment.verdict not in HARMLESS)
        words = ", ".join(f"{number} {word}" for word, number in wrong.most_common())
        return ", ".join(sorted(run.broken)) + (f" ({words})" if words else "")
    reasons = [
        f"{verdict.invariant}: {next(iter(verdict.because.splitlines()), '')}"
        for verdict in run.verdicts
        if verdict.status is Status.UNKNOWN and verdict.weighs
    ]
    return "; ".join(reasons) if run.status is Status.UNKNOWN else ""


def _counted(noun: str, counts: Mapping[str, int], order: Sequence[str]) -> str:
    total = sum(counts.values())
    said = ", ".join(f"{counts[word]} {word}" for word in order if counts.get(word))
    return f"{count(total, noun)}: {said}" if said else count(total, noun)


def _word(status: Status, word: str) -> Text:
    return Text().append(f"{word:<{WORD_WIDTH}}", style=f"bold {COLOURS[status]}")


def _fact(name: str, value: str) -> Text:
    return Text(_BIG + f"{name:<{WORD_WIDTH}}" + plain(value, 400))


def _pointers(again: str, folder: Path) -> tuple[Text, Text]:
    return Text(f"{'again:':<{WORD_WIDTH}}{plain(again, COMMAND_MAX)}"), Text(
        f"{'look:':<{WORD_WIDTH}}{_near(folder / 'report.html')}"
    )


def _near(path: Path) -> Path:
    """As seen from here, where that is shorter."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
