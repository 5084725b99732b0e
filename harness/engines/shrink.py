"""The shortest story in which it goes wrong: a plan that was broken, made shorter as long as the same promise stays broken.

What may go, and in which order it is tried, is `harness/shorter.py`. Here each shorter plan is carried out, on one warm
stack, with fresh accounts. The network and the operating system are real, so a plan may break a promise today and keep it
tomorrow. The plan itself is carried out first, `tries` times; a shorter one counts only when in as many tries it is broken
as often (or `needed` times, where that is said): else luck would lead to plans that are short and seldom repeat. What was
seen once remains a finding, also when it is too rare to be made shorter.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path
from random import Random
from typing import TextIO

from harness.engines.suite import Progress, setting
from harness.history import Recorder, write
from harness.plan import Plan, PlanError
from harness.run import Recorded, Run
from harness.runner import carry_out, validate
from harness.shorter import Search, Spent, Weight, flaw, weight
from harness.stack import StackError
from harness.stacks.processes import Processes, processes

TOO_RARE = "it is too rare"
TRIES_FILE = "tries.jsonl"
"""What happened in every try; `history.jsonl` has that of the plan that is left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shrink:
    """What to make shorter, by which promise, how sure to be, and how much to spend. `again` repeats the plan that is left.

    `needed` is None where a shorter plan must be broken as often as the plan itself.
    """

    plan: Plan
    promise: str
    target: Path
    mutant: str | None
    again: str
    dialect: str | None = None
    needed: int | None = None
    tries: int = 5
    tries_max: int = 600
    time_budget_s: float = 300.0

    @property
    def start(self) -> Plan:
        """The plan as it is searched from: about the one promise, so that nothing else has to be judged."""
        story = f"The shortest plan that was found in which {self.promise} is still broken."
        return replace(self.plan, about=(self.promise,), story=story)


@dataclass(slots=True)
class Shrunk:
    """What came of it so far: an interrupted command still has this.

    `run` is the last broken run of `plan`, None while there is none; `times` how often that was broken, and of how many
    tries; `needed` how often a shorter one must be. `ended` says why it is not known that nothing more can go; empty where it is.
    """

    plan: Plan
    run: Run | None = None
    times: tuple[int, int] = (0, 0)
    needed: int = 0
    tried: int = 0
    ended: str = "it was interrupted"

    @property
    def weight(self) -> Weight:
        return weight(self.plan)


Tell = Callable[[Shrunk], None]


async def shrink(order: Shrink, progress: Progress, shrunk: Shrunk, tell: Tell) -> None:
    """Search on a stack of its own, keeping *shrunk* up to date and telling of each shorter plan; writes the history of
    what is left.

    Raises `PlanError` when the plan cannot be carried out as it is. A service that does not come up again ends the search.
    """
    if wrong := flaw(order.plan):
        raise PlanError(f"plan {order.plan.name!r} cannot be made shorter: {wrong}")
    validate(order.plan)
    named = all(operation.kind != "load" for operation in order.plan.operations())
    opening = time.monotonic()
    logs = progress.folder / "logs"
    rng = Random(order.plan.seed)
    async with processes(order.target, logs, rng, mutant=order.mutant, named=named, dialect=order.dialect) as stack:
        progress.spent["stack up"] = time.monotonic() - opening
        progress.remarks = stack.remarks
        await shrink_on(stack, order, progress, shrunk, tell, count(1))
        opening = time.monotonic()
    progress.spent["stack down"] = time.monotonic() - opening


async def shrink_on(
    stack: Processes, order: Shrink, progress: Progress, shrunk: Shrunk, tell: Tell, numbers: Iterator[int]
) -> None:
    """The same on a stack that is up; *numbers* tell its runs apart."""
    with (progress.folder / TRIES_FILE).open("w", encoding="utf-8") as sink, progress.timed("runs"):
        tries = _Tries(order, stack, sink, shrunk, tell, numbers)
        try:
            await tries.search()
        finally:
            if shrunk.run is not None:
                write(shrunk.run.history, progress.folder / "history.jsonl")
                progress.runs.append(shrunk.run)


@dataclass(slots=True)
class _Tries:
    """Carries plans out, and counts."""

    order: Shrink
    stack: Processes
    sink: TextIO
    shrunk: Shrunk
    tell: Tell
    numbers: Iterator[int]
    began: float = field(default_factory=time.monotonic)
    ending: str = ""

    async def search(self) -> None:
        start = self.order.start
        if not await self._first(start):
            return
        search = Search(start, self._broken, _can_be_carried_out)
        await search.run()
        self.shrunk.ended = self.ending

    async def _first(self, start: Plan) -> bool:
        """The plan as it is, as often as may be tried: what is too rare cannot be made shorter."""
        runs = [await self._carry_out(start) for _ in range(self.order.tries)]
        broken = [run for run in runs if self._breaks(run)]
        self.shrunk.needed = len(broken) if self.order.needed is None else self.order.needed
        self._keep(start, broken, len(runs))
        if len(broken) < max(self.shrunk.needed, 1):
            self.shrunk.ended = TOO_RARE
            return False
        return True

    async def _broken(self, plan: Plan) -> bool:
        """As often as is needed, and no more often than can still change the answer."""
        needed = self.shrunk.needed
        broken: list[Run] = []
        for number in range(1, self.order.tries + 1):
            run = await self._try(plan)
            if run is not None and self._breaks(run):
                broken.append(run)
            if len(broken) == needed:
                self._keep(plan, broken, number)
                return True
            if len(broken) + self.order.tries - number < needed:
                break
        return False

    async def _try(self, plan: Plan) -> Run | None:
        """None where this plan cannot be carried out: the provider knows no such mood, say."""
        if self.shrunk.tried >= self.order.tries_max:
            self._spent(f"{self.order.tries_max} tries were made")
        if time.monotonic() - self.began > self.order.time_budget_s:
            self._spent(f"{self.order.time_budget_s:g} s were spent")
        try:
            with suppress(PlanError):
                return await self._carry_out(plan)
        except StackError as error:
            self._spent(f"the stack did not come up again: {error}")
        return None

    async def _carry_out(self, plan: Plan) -> Run:
        self.shrunk.tried += 1
        recorder = Recorder(time.time, self.sink)
        made = setting(self.stack, self.order.mutant, self.order.again)
        return await carry_out(plan, self.stack, f"r{next(self.numbers)}", recorder, made)

    def _breaks(self, run: Run) -> bool:
        return self.order.promise in run.broken

    def _keep(self, plan: Plan, broken: Sequence[Run], tries: int) -> None:
        self.shrunk.plan, self.shrunk.times = plan, (len(broken), tries)
        self.shrunk.run = broken[-1] if broken else None
        self.tell(self.shrunk)

    def _spent(self, why: str) -> None:
        self.ending = why
        raise Spent


def _can_be_carried_out(plan: Plan) -> bool:
    try:
        validate(plan)
    except PlanError:
        return False
    return True


def choose(recorded: Sequence[Recorded], name: str | None, promise: str | None) -> tuple[Recorded, str]:
    """The first broken run, or that of the plan that is named; and the promise, which is its first or the one that is named.

    Raises `PlanError` saying what there is.
    """
    broken = [each for each in recorded if each.broken]
    if not broken:
        raise PlanError("nothing is broken in these runs: there is nothing to make shorter")
    named = [each for each in broken if name in (None, each.plan.name)]
    if not named:
        names = ", ".join(repr(each.plan.name) for each in broken)
        raise PlanError(f"no broken run is of a plan named {name!r}: there are {names}")
    found = [each for each in named if promise in (None, *each.broken)]
    if not found:
        raise PlanError(f"{named[0].plan.name!r} did not break {promise!r}: it broke {', '.join(named[0].broken)}")
    return found[0], promise or found[0].broken[0]
