"""Explore: have Hypothesis tell stories, carry each out on a warm stack, and stop at the first that is broken.

Hypothesis does not shrink here. Its shrinker believes one answer for each example and calls a story that is broken only
sometimes flaky; `harness/engines/shrink.py` tries each plan as often as it takes to be believed. So the first broken plan
ends the exploration, stands in a report at once, and is then replayed and made shorter there.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any

from harness.engines.explore.kept import TRIES, Kept
from harness.engines.explore.machine import TopUpMachine, tell_stories
from harness.engines.suite import Job, Order, Progress, Watcher, carry_out_one
from harness.plan import Plan
from harness.run import Run
from harness.stacks.processes import Processes, processes
from harness.verdict import Status

EXAMPLES_MAX = 1_000_000


class Enough(BaseException):
    """Ends an exploration from inside an example. No `Exception`, which Hypothesis would take for a finding."""


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
    """Tell stories and carry them out until one is broken or the budget is spent. *numbers* tell the runs of one stack apart.

    Hypothesis is not asynchronous: it has a thread of its own, which waits for each plan to be carried out here.
    """
    numbers = numbers or count(1)
    with (progress.folder / "history.jsonl").open("w", encoding="utf-8") as sink:

        async def one(plan: Plan) -> Run:
            job = Job(plan, asked.again(plan), asked.mutant, asked.dialect)
            return await carry_out_one(job, stack, next(numbers), sink)

        machine = type("Exploration", (asked.machine,), {"speech": await stack.provider.speech()})
        teller = _Teller(asked, machine, progress, watcher, asyncio.get_running_loop(), one)
        telling = asyncio.ensure_future(asyncio.to_thread(teller.tell))
        try:
            with progress.timed("runs"):
                await asyncio.shield(telling)
        finally:
            teller.stop()
            await asyncio.wait([telling], timeout=30)
    if teller.error is not None:
        raise teller.error


class _Teller:
    """The thread in which Hypothesis tells stories, and its way to the loop in which they are carried out."""

    def __init__(
        self,
        asked: Explore,
        machine: type[TopUpMachine],
        progress: Progress,
        watcher: Watcher,
        loop: asyncio.AbstractEventLoop,
        one: Callable[[Plan], Any],
    ) -> None:
        self._asked, self._progress, self._watcher, self._loop, self._one = asked, progress, watcher, loop, one
        self._machine: type[TopUpMachine] = type(
            machine.__name__, (machine,), {"carry_out": staticmethod(self._tell_one)}
        )
        self._stopped = threading.Event()
        self._under_way: concurrent.futures.Future[Run] | None = None
        self.error: Exception | None = None
        self._began, self._told = time.monotonic(), 0

    def tell(self) -> None:
        try:
            self._tell_what_was_kept()
            tell_stories(self._machine, Random(self._asked.order.seed), self._asked.examples or EXAMPLES_MAX)
        except Enough:
            return
        except Exception as error:  # a rule's own, in a machine that somebody wrote
            self.error = error

    def stop(self) -> None:
        self._stopped.set()
        if self._under_way is not None:
            self._under_way.cancel()

    def _tell_what_was_kept(self) -> None:
        """What holds so often has been mended, and is forgotten."""
        kept = self._asked.kept
        if kept is None or not self._asked.reuse:
            return
        for plan in kept.plans():
            for _ in range(TRIES):
                self._carry_out(plan)
            kept.forget(plan)

    def _tell_one(self, plan: Plan) -> None:
        if self._asked.examples is not None and self._told >= self._asked.examples:
            raise Enough
        self._told += 1
        self._carry_out(plan)

    def _carry_out(self, plan: Plan) -> None:
        if self._stopped.is_set() or self._late():
            raise Enough
        self._watcher.begins(plan.name)
        self._under_way = asyncio.run_coroutine_threadsafe(self._one(plan), self._loop)
        try:
            run = self._under_way.result()
        except concurrent.futures.CancelledError:
            raise Enough from None
        except Exception as error:
            self.error = error  # the stack's or the plan's, and no finding about the service
            raise Enough from error
        self._progress.runs.append(run)
        self._watcher.finished(run)
        if run.status is Status.BROKEN:
            if self._asked.kept is not None:
                self._asked.kept.keep(plan)
            self._asked.found()
            raise Enough

    def _late(self) -> bool:
        return self._asked.time_s is not None and time.monotonic() - self._began > self._asked.time_s
