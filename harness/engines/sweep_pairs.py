"""Two failures in one run: the second hits what came after the first.

Which two belong together nobody knows beforehand: what is left to be broken is seen only in a run with the first failure. So
some cells of the single sweep are drawn and carried out, each with a while of business after it, in which clients and
provider try again; of the messages that crossed after the blow some are drawn, and each is broken in a plan with both.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from harness.engines.suite import Job
from harness.engines.sweep import FAILURES, Crossing, Hit, Sweep, cell_of, numbered
from harness.flow import SECOND, SWEPT
from harness.history import History
from harness.run import Run

BUDGET = 60
PER_FIRST = 4
"""So many second failures are drawn for each first one."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pairs:
    """The plans of a sweep with two failures, at most *budget* of them, drawn by the sweep's seed."""

    sweep: Sweep
    budget: int = BUDGET

    def firsts(self, recorded: Sequence[Run]) -> Sequence[Job]:
        """Some of the single failures, each watched for what comes after it."""
        count = max(1, self.budget // (1 + PER_FIRST))
        drawn = self._drawn(list(self.sweep.all_cells(recorded)), count, "first")
        return [self.sweep.job(cell, watched=True) for cell in drawn]

    def seconds(self, runs: Sequence[Run]) -> Sequence[Job]:
        """For each of them, some failures of what came after it."""
        watched = [(cell, run) for run in runs if (cell := cell_of(run.plan)) is not None]
        jobs = [
            self.sweep.job(replace(cell, second=hit))
            for cell, run in watched
            for hit in self._drawn(self._hits(run.history), PER_FIRST, str(cell))
        ]
        return jobs[: max(0, self.budget - len(watched))]

    def _hits(self, history: History) -> Sequence[Hit]:
        return [
            Hit(crossing, failure)
            for crossing in after_the_blow(history)
            for failure in self.sweep.failures
            if crossing.link in FAILURES[failure].links
        ]

    def _drawn(self, choices: Sequence[T], count: int, what: str) -> Sequence[T]:
        rng = Random(f"{self.sweep.seed}, {what}")
        return rng.sample(choices, min(count, len(choices)))


def after_the_blow(history: History) -> Iterator[Crossing]:
    """What crossed once the first failure had been dealt, numbered from where both were scheduled; not what it was dealt to."""
    dealt = next(iter(history.of("surgery")), None)
    blow = next((event for event in history.of("fault-began") if event["id"] == SWEPT), None)
    if dealt is None or blow is None:
        return
    same = (blow["args"]["label"], blow["args"]["nth"])
    for event, crossing in numbered(history, SECOND):
        if event.at > dealt.at and (crossing.label, crossing.nth) != same:
            yield crossing
