"""Verdicts by dialect: a row for each plan, a column for each dialect that it was carried out in."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.run import Run, Suite
from harness.verdict import Status


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one plan in one dialect; `number` is the run's place in the suite, from 1."""

    number: int
    status: Status


@dataclass(frozen=True, slots=True)
class Table:
    """`rows` are the plans in the order of their first run; a cell is None where there was no run of it."""

    dialects: Sequence[str]
    rows: Mapping[str, Sequence[Cell | None]]


def table(suite: Suite) -> Table | None:
    """None unless the suite ran in several dialects. Of several runs of one plan in one dialect, the worst stands here."""
    dialects = list(dict.fromkeys(run.dialect for run in suite.runs if run.dialect))
    if len(dialects) < 2:
        return None
    found: dict[str, dict[str, Cell]] = {}
    for number, run in enumerate(suite.runs, 1):
        row = found.setdefault(run.plan.name, {})
        if run.dialect not in row or row[run.dialect].status < run.status:
            row[run.dialect] = Cell(number, run.status)
    return Table(dialects, {name: [row.get(dialect) for dialect in dialects] for name, row in found.items()})


def counted(runs: Sequence[Run]) -> Sequence[str]:
    """One line for each dialect: how many of its runs ended in which word. None where there is one dialect only."""
    dialects = list(dict.fromkeys(run.dialect for run in runs if run.dialect))
    if len(dialects) < 2:
        return []
    return [f"{dialect}: {_words([run for run in runs if run.dialect == dialect])}" for dialect in dialects]


def _words(runs: Sequence[Run]) -> str:
    statuses = Counter(run.status for run in runs)
    return ", ".join(f"{statuses[status]} {status.word}" for status in reversed(Status) if statuses[status])
