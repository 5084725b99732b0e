"""`report.html`: the page that people are sent. One file that needs nothing else: no network, no script.

This module decides what is said, and in which order; `page.html` and `timeline.html` how it is marked up, `page.css`
how it looks. Everything that comes out of a run is escaped by the template engine, without exception.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.history import Event
from harness.run import PaymentVerdict, Run, Suite
from harness.verdict import Status, Verdict, Violation
from reports import HARMLESS, by_dialect, renderer
from reports.orders_table import Table, table
from reports.sweep_map import maps, pairs
from reports.timeline import LANES, Place, Row, Timeline, place, story
from reports.words import count, duration, legible, money, plain, sentence

RIGHT = ("exact", "reversed")
# A timeline is about one payment; what tells it from others stands above, and whole in the facts of each row.
ID_LENGTH_MAX = 16


@renderer(file="report.html")
def render(suite: Suite) -> str:
    """The whole page. Worst runs first; a run that holds is one folded line."""
    page = environment().get_template("page.html")
    runs = sorted((_run(number, run) for number, run in enumerate(suite.runs, 1)), key=lambda view: -view.run.status)
    return page.render(
        suite=suite,
        explanation=explanation(suite),
        facts=_facts(suite),
        maps=maps(suite),
        by_dialect=by_dialect.table(suite),
        pairs=pairs(suite),
        runs=runs,
        promises=_promises(suite),
        lanes=LANES,
        mutants_differ=len({run.mutant for run in suite.runs}) > 1,
        dialects_differ=len({run.dialect for run in suite.runs}) > 1,
        Status=Status,
    )


def explanation(suite: Suite) -> str:
    """The verdict of the whole in a sentence or two, claiming no more than it shows."""
    if suite.status is Status.BROKEN:
        broken = [run for run in suite.runs if run.status is Status.BROKEN]
        promises = sorted({name for run in broken for name in run.broken})
        payments = _by_word(payment for run in broken for payment in run.payments if payment.verdict not in HARMLESS)
        became = f" Payments: {payments}." if payments else ""
        return f"{_these(broken, suite).capitalize()} broke a promise: {', '.join(promises)}.{became}"
    if suite.status is Status.UNKNOWN:
        if not suite.runs:
            return "Nothing was run, so nothing is shown."
        unknown = [run for run in suite.weighing if run.status is Status.UNKNOWN]
        if not unknown and not suite.left:
            return "Nothing was seen to break, but nothing was proved either: no story held, or no fault bit."
        if not unknown:
            return f"Nothing was seen to break, but {count(suite.left, 'run')} of those asked for were not made."
        return f"Nothing was seen to break, but {_these(unknown, suite)} could not be judged. Unknown is not a pass."
    payments = _by_word(payment for run in suite.runs for payment in run.payments)
    return f"Every promise that was put to the test held, in {count(len(suite.weighing), 'run')}." + (
        f" Payments: {payments}." if payments else ""
    )


@dataclass(frozen=True, slots=True)
class Mark:
    """One row of a drawn timeline. Columns are lanes counted from 0; `line` is a pair of them and its direction."""

    row: Row
    seconds: str
    says: str
    facts: Sequence[tuple[str, str]]
    dot: int | None
    line: tuple[int, int] | None
    towards: str
    unheard: bool
    # Faults that were already going on in the first row, and so have no row that says that they begin.
    within: Sequence[str]


@dataclass(frozen=True, slots=True)
class ViolationView:
    violation: Violation
    timeline: Timeline
    marks: Sequence[Mark]


@dataclass(frozen=True, slots=True)
class BrokenView:
    verdict: Verdict
    violations: Sequence[ViolationView]


@dataclass(frozen=True, slots=True)
class RunView:
    """A run as the page shows it. `number` is its place in the suite, and its address on the page."""

    number: int
    run: Run
    payments: Sequence[PaymentVerdict]
    payments_said: str
    all_right: bool
    broken: Sequence[BrokenView]
    unknown: Sequence[Verdict]
    weighing: Sequence[Verdict]
    weightless: Sequence[Verdict]
    orders: Table | None


def _run(number: int, run: Run) -> RunView:
    weighing = sorted((verdict for verdict in run.verdicts if verdict.weighs), key=lambda verdict: -verdict.status)
    return RunView(
        number,
        run,
        payments=sorted(run.payments, key=lambda payment: payment.verdict in RIGHT),
        payments_said=_by_word(run.payments),
        all_right=all(payment.verdict in RIGHT for payment in run.payments),
        broken=[_broken(verdict, run) for verdict in run.verdicts if verdict.status is Status.BROKEN],
        unknown=[verdict for verdict in weighing if verdict.status is Status.UNKNOWN],
        weighing=weighing,
        weightless=[verdict for verdict in run.verdicts if not verdict.weighs],
        orders=table(run),
    )


def _broken(verdict: Verdict, run: Run) -> BrokenView:
    return BrokenView(verdict, [_violation(violation, run) for violation in verdict.violations])


def _violation(violation: Violation, run: Run) -> ViolationView:
    timeline = story(violation, run.history)
    return ViolationView(violation, timeline, list(_marks(timeline)))


def _marks(timeline: Timeline) -> Iterator[Mark]:
    for index, row in enumerate(timeline.rows):
        at, event = place(row.event), row.event
        begins = [window.fault for window in timeline.windows if window.first == index]
        yield Mark(
            row,
            seconds=f"{row.seconds:.3f}",
            says=sentence(event, id_length_max=ID_LENGTH_MAX),
            facts=[(plain(name), plain(value, 2000)) for name, value in _told(event)],
            dot=at.dot,
            line=(min(at.line), max(at.line)) if at.line else None,
            towards=_towards(at),
            unheard=_is_unheard(event),
            within=[] if event.kind == "fault-began" else begins,
        )


def _is_unheard(event: Event) -> bool:
    """An answer that was waited for and never came. An outcome that is known was told in some other way."""
    waited = event.kind == "answer" or (event.kind == "answered" and event.get("outcome") == "unknown")
    return waited and event.get("status") is None


def _towards(at: Place) -> str:
    """Which way the line goes, and whether its head has to keep clear of the mark."""
    if at.line is None:
        return ""
    way = "right" if at.line[0] < at.line[1] else "left"
    return f"{way} arriving" if at.line[1] == at.dot else way


def _told(event: Event) -> Iterator[tuple[str, str]]:
    """All of an event, as `history.jsonl` has it; `at` is what finds it there."""
    yield "at", f"{event.at:.6f}"
    yield "actor", event.actor
    yield "kind", event.kind
    yield from ((str(name), str(value)) for name, value in event.facts.items())


def _facts(suite: Suite) -> Mapping[str, str]:
    """What one must know to have the same suite again, and what one would ask first."""
    runs = suite.runs
    different: dict[str, Iterable[str | None]] = {
        "when": (f"{suite.started:%Y-%m-%d %H:%M:%S} {suite.started.tzname() or ''}".rstrip(),),
        "took": (duration(suite.took_s),),
        "target": (run.target for run in runs),
        "dialect": (run.dialect for run in runs),
        "mutant": (run.mutant for run in runs),
        "seed": (str(run.plan.seed) for run in runs),
        "proxies": (run.proxies for run in runs),
    }
    # A version says more than a name; where there are both under one name it takes its place.
    different |= {name: [run.versions.get(name) for run in runs] for run in runs for name in run.versions}
    return {name: said for name, values in different.items() if (said := _first_few(values))}


def _first_few(values: Iterable[str | None]) -> str:
    different = [value for value in dict.fromkeys(values) if value]
    return ", ".join(different[:3]) + (f" and {len(different) - 3} more" if len(different) > 3 else "")


def _promises(suite: Suite) -> Mapping[str, str]:
    return {verdict.invariant: verdict.promise for run in suite.runs for verdict in run.verdicts}


def _these(runs: Sequence[Run], suite: Suite) -> str:
    return "the run" if len(suite.runs) == 1 else f"{len(runs)} of {len(suite.runs)} runs"


def _by_word(payments: Iterable[PaymentVerdict]) -> str:
    return ", ".join(f"{number} {word}" for word, number in Counter(each.verdict for each in payments).most_common())


def _legible(value: Any) -> Any:
    """What the page prints: a character that turns text around, or that no page may hold, is spelt out."""
    return legible(value, allowed="\n\t") if type(value) is str else value


@cache
def environment() -> Environment:
    """What every page is made with: whatever is put in is escaped."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        finalize=_legible,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(duration=duration, money=money, count=count)
    return made
