"""Explore: have Hypothesis tell stories, carry each out on a warm stack, and stop at the first that is broken.

Hypothesis does not shrink here. Its shrinker believes one answer for each example and calls a story that is broken only
sometimes flaky; `harness/engines/shrink.py` tries each plan as often as it takes to be believed. So the first broken plan
ends the exploration, stands in a report at once, and is then replayed and made shorter there.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, count, islice
from random import Random

from harness.engines.explore.kept import TRIES, Kept
from harness.engines.explore.machine import TopUpMachine, stories
from harness.engines.side_by_side import Foreman, Service, with_a_crew
from harness.engines.suite import Job, Order, Progress, Watcher, carry_out_one
from harness.plan import Plan
from harness.provider import Speech
from harness.run import Run
from harness.stacks.processes import Processes, processes
from harness.verdict import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Explore:
    """How long to explore: *time_s* None is no bound but *examples*. `again` makes the command that repeats one story.

    What is found is put into `kept`, if there is one; what was kept there is told first where `reuse` says so. `found` is
    called as soon as something is broken.
    """

    order: Order
    mutant: str | None
    examples: int | None
    time_s: float | None
    again: Callable[[Plan], str]
    found: Callable[[], None] = lambda: None
    dialect: str | None = None
    machine: type[TopUpMachine] = TopUpMachine
    kept: Kept | None = None
    reuse: bool = False


async def explore(asked: Explore, progress: Progress, watcher: Watcher) -> None:
    """Explore on a stack of its own; *progress* has what was done."""
    opening = time.monotonic()
    order, logs = asked.order, progress.folder / "logs"
    async with processes(order.target, logs, Random(order.seed), mutant=asked.mutant, dialect=asked.dialect) as stack:
        progress.spend("stack up", opening)
        progress.remarks = stack.remarks
        await explore_on(stack, asked, progress, watcher)
        opening = time.monotonic()
    progress.spend("stack down", opening)


async def explore_on(
    stack: Processes, asked: Explore, progress: Progress, watcher: Watcher, numbers: Iterator[int] | None = None
) -> None:
    """Tell stories and carry them out until one is broken or the budget is spent. *numbers* tell the runs of one stack apart."""
    numbers = numbers or count(1)
    telling = Telling(asked, watcher)
    with (progress.folder / "history.jsonl").open("w", encoding="utf-8") as sink, progress.timed("runs"):
        for job in telling.jobs(await stack.provider.speech()):
            telling.begins(job.plan.name)
            run = await carry_out_one(job, stack, next(numbers), sink)
            progress.runs.append(run)
            telling.finished(run)


def explore_side_by_side(asked: Explore, progress: Progress, watcher: Watcher) -> bool:
    """Explore on `order.workers` stacks; true when it was interrupted.

    The stories and their order are those of one stack. Once one is broken no other is begun; those that are under way are
    carried to their end, and more than one may be broken.
    """
    telling = Telling(asked, watcher)

    def work(foreman: Foreman) -> None:
        foreman.all(telling.jobs(foreman.speech()), foreman.crew)

    return with_a_crew(asked.order, Service(asked.mutant, asked.dialect), progress, telling, work)


@dataclass(slots=True)
class Telling:
    """The stories of one exploration, and what is learnt from the runs that come of them: a watcher in front of another."""

    asked: Explore
    watcher: Watcher
    is_broken: bool = False
    _held: Counter[str] = field(default_factory=Counter)
    """How often each story that was kept has held."""

    def jobs(self, speech: Speech) -> Iterator[Job]:
        """A story for each time that one is asked for, drawn then: until one is broken or the budget is spent."""
        asked, began = self.asked, time.monotonic()
        machine = type("Exploration", (asked.machine,), {"speech": speech})
        new = islice(stories(machine, Random(asked.order.seed)), asked.examples)
        for plan in chain(self._kept(), new):
            if self.is_broken or (asked.time_s is not None and time.monotonic() - began > asked.time_s):
                return
            yield Job(plan, asked.again(plan), asked.mutant, asked.dialect)

    def begins(self, name: str) -> None:
        self.watcher.begins(name)

    def finished(self, run: Run) -> None:
        self.watcher.finished(run)
        kept = self.asked.kept
        if run.status is Status.BROKEN:
            self.is_broken = True
            if kept is not None:
                kept.keep(run.plan)
            self.asked.found()
        elif kept is not None and run.plan.name in self._held:
            self._held[run.plan.name] += 1
            if self._held[run.plan.name] == TRIES:  # it has been mended
                kept.forget(run.plan)

    def _kept(self) -> Iterator[Plan]:
        """What was found before, each as often as it takes to see a race again."""
        kept = self.asked.kept
        if kept is None or not self.asked.reuse:
            return
        for plan in kept.plans():
            self._held[plan.name] = 0
            for _ in range(TRIES):
                yield plan
