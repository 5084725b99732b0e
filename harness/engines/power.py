"""Which engine catches a planted bug, and how fast: one trial is one engine let loose on one mutant, until something breaks.

Each engine is given what somebody would give it who does not know what is planted: its own way of looking, a seed, and so
many seconds. The suite alone is told where to look, by the mutant's own claim, since to tell that is what the claim is for.
A trial ends with the first promise that is broken, whichever it is. Its seconds are those of looking: from the first plan's
beginning to the end of the plan that was broken, on a stack that is up.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from harness.engines.explore.engine import Explore, explore
from harness.engines.fuzz.bench import Stopped, Wanted
from harness.engines.fuzz.command import Receiver, examine
from harness.engines.interleave import Interleave
from harness.engines.shrink import Shrink, Shrunk
from harness.engines.shrink import shrink as shrink_plan
from harness.engines.suite import Job, Order, Progress, begin, carry_out_all
from harness.engines.sweep import RECORDINGS, Sweep, cell_of
from harness.engines.track_record import Planted
from harness.flow import FLOWS
from harness.meeting import MEETINGS
from harness.plan import Plan
from harness.run import Run
from harness.scenario import SCENARIOS
from harness.shorter import weight
from harness.verdict import Status

ENGINES = ("suite", "sweep", "interleave", "explore", "fuzz")
PREEMPTIONS = 2
"""Most races need no more, and the orders that have more are too many for the seconds that a trial has."""

BALANCES_AND_ANSWERS = (
    "only-real-payments-credit",
    "hostile-input-is-refused",
    "no-secret-in-logs",
    "credited-at-most-once",
    "credit-matches-payment",
    "settles-in-time",
)
"""The promises that show in what an examination sees: a balance, the answer to a callback, a log."""
GOES_BACK = ("reversed-once", "refunded-at-most-once")


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of one engine on one mutant. `seconds` are None where nothing was broken; `by` are the promises that were,
    or the rules of an examination, and `where` the plan; `tried` counts plans, or an examination's callbacks. `why` says why
    there was nothing to try, empty where there was; `budget_s` how long it might have taken.
    """

    mutant: str
    engine: str
    seed: int
    by: tuple[str, ...] = ()
    where: str = ""
    seconds: float | None = None
    tried: int = 0
    why: str = ""
    budget_s: float = 0.0
    day: str = ""

    @property
    def caught(self) -> bool:
        return self.seconds is not None

    @property
    def word(self) -> str:
        return "not applicable" if self.why else "caught" if self.caught else "not caught"


@dataclass(frozen=True, slots=True)
class Shortest:
    """The plan by which the suite caught it, made shorter; `repeats` of so many tries, as many as were made of each plan."""

    mutant: str
    steps: int
    of: int
    repeats: tuple[int, int]
    ended: str
    day: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one trial may spend, in seconds; the suite's is one scenario, and needs none."""

    target: Path
    seconds: float


class _Found(Exception):
    """Ends a trial from inside an engine: somebody saw what was looked for."""


@dataclass(slots=True)
class _Look:
    """Watches runs, and ends the trial at the first that is broken."""

    began: float | None = None
    runs: int = 0
    found: Run | None = None
    took_s: float = 0.0

    def begins(self, name: str) -> None:
        if self.began is None:
            self.began = time.monotonic()

    def finished(self, run: Run) -> None:
        self.runs += 1
        if run.status is Status.BROKEN:
            self.found, self.took_s = run, time.monotonic() - (self.began or 0.0)
            raise _Found


def not_applicable(mutant: Planted, engine: str) -> str:
    """Why an engine has no way to that bug; empty where it has one."""
    forges = any(operation.kind == "forge" for operation in SCENARIOS[mutant.under].plan(0).operations())
    if engine in ("sweep", "interleave") and forges:
        return "it forges nothing"
    if engine == "fuzz" and mutant.caught_by not in BALANCES_AND_ANSWERS:
        return "it sees balances and answers to callbacks only"
    return ""


def attempt(mutant: Planted, engine: str, seed: int, budget: Budget) -> Trial:
    """One trial, on a stack of its own. What an engine raises about the stack is raised."""
    if why := not_applicable(mutant, engine):
        return Trial(mutant.name, engine, seed, why=why)
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        return replace(_ENGINES[engine](mutant, seed, budget, Path(folder)), budget_s=budget.seconds)


def _seen(mutant: Planted, engine: str, seed: int, look: _Look) -> Trial:
    if look.found is None:
        return Trial(mutant.name, engine, seed, tried=look.runs)
    run = look.found
    return Trial(mutant.name, engine, seed, tuple(sorted(run.broken)), run.plan.name, look.took_s, look.runs)


def _carry_out(order: Order, look: _Look) -> Progress:
    progress = begin(order)
    with suppress(_Found):
        asyncio.run(carry_out_all(order, progress, look))
    return progress


def _order(name: str, seed: int, budget: Budget, out: Path, jobs: Sequence[Job], **more: Any) -> Order:
    return Order(name=name, jobs=jobs, target=budget.target, seed=seed, again="", out=out, **more)


def _suite(mutant: Planted, seed: int, budget: Budget, out: Path) -> Trial:
    look = _Look()
    job = Job(SCENARIOS[mutant.under].plan(seed), "", mutant.name)
    _carry_out(_order("suite", seed, budget, out, [job]), look)
    return _seen(mutant, "suite", seed, look)


def _sweep(mutant: Planted, seed: int, budget: Budget, out: Path) -> Trial:
    """One flow, in an order of chance: its cells are more than the seconds suffice for, and none is to come first."""
    look = _Look()
    flow = "top-up-refunded" if mutant.caught_by in GOES_BACK else "top-up-paid"
    sweep = Sweep(flows=[FLOWS[flow]], seed=seed, options="", mutant=mutant.name)
    made: list[Job] = []

    def cells(runs: Sequence[Run]) -> Sequence[Job]:
        if made:
            return []
        made.extend(sweep.jobs([run for run in runs[:RECORDINGS] if cell_of(run.plan) is None]))
        Random(seed).shuffle(made)
        return made

    _carry_out(_order("sweep", seed, budget, out, sweep.recordings(), then=cells, time_budget_s=budget.seconds), look)
    return _seen(mutant, "sweep", seed, look)


def _interleave(mutant: Planted, seed: int, budget: Budget, out: Path) -> Trial:
    look = _Look()
    asked = Interleave(list(MEETINGS.values()), seed, lambda *_: "", mutant.name, PREEMPTIONS)
    more = {"then": asked.further, "unfinished": asked.unfinished, "time_budget_s": budget.seconds}
    _carry_out(_order("interleave", seed, budget, out, asked.first(), **more), look)
    return _seen(mutant, "interleave", seed, look)


def _explore(mutant: Planted, seed: int, budget: Budget, out: Path) -> Trial:
    look = _Patient()
    order = _order("explore", seed, budget, out, [], drawn=True)
    asked = Explore(
        order=order, mutant=mutant.name, examples=None, time_s=budget.seconds, again=lambda _: "", found=lambda: None
    )
    asyncio.run(explore(asked, begin(order), look))
    return _seen(mutant, "explore", seed, look)


class _Patient(_Look):
    """Exploring ends by itself with the first broken story."""

    def finished(self, run: Run) -> None:
        try:
            super().finished(run)
        except _Found:
            return


def _fuzz(mutant: Planted, seed: int, budget: Budget, out: Path) -> Trial:
    """The whole catalogue, until something is found; no more is drawn than the seconds suffice for."""
    found: list[str] = []

    def tell(said: str) -> None:
        if said.startswith("FOUND "):
            found.append(said.removeprefix("FOUND ").partition(":")[0])
            raise Stopped("something was found")

    receiver = Receiver(place=None, dialect=None, claims={}, target=budget.target, mutant=mutant.name)
    wanted = Wanted(where="reference", seed=seed, again="", generated=1000, time_budget_s=budget.seconds)
    examination = asyncio.run(examine(receiver, wanted, out, tell))
    if not found:
        return Trial(mutant.name, "fuzz", seed, tried=examination.sent)
    return Trial(mutant.name, "fuzz", seed, (found[0],), "", examination.took_s, examination.sent)


_ENGINES: Mapping[str, Callable[[Planted, int, Budget, Path], Trial]] = {
    "suite": _suite,
    "sweep": _sweep,
    "interleave": _interleave,
    "explore": _explore,
    "fuzz": _fuzz,
}


def shorten(mutant: Planted, seed: int, budget: Budget, tries: int = 3) -> Shortest | None:
    """The scenario that catches it, made shorter; None where it did not catch it this time."""
    plan: Plan = SCENARIOS[mutant.under].plan(seed)
    wanted = Shrink(
        plan=plan,
        promise=mutant.caught_by,
        target=budget.target,
        mutant=mutant.name,
        again="",
        tries=tries,
        time_budget_s=budget.seconds,
    )
    with tempfile.TemporaryDirectory(prefix="power-") as folder:
        progress = begin(_order("shrink", seed, budget, Path(folder), []))
        shrunk = Shrunk(plan)
        asyncio.run(shrink_plan(wanted, progress, shrunk, lambda _: None))
    if shrunk.run is None:
        return None
    return Shortest(mutant.name, weight(shrunk.plan).steps, weight(plan).steps, shrunk.times, shrunk.ended)
