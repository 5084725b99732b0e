"""For a service's own test suite: a stack that stays up while tests run, and what they write to break it.

The pytest plugin hands the stack out as the fixture `stack`. Tests are not asynchronous and the stack is, so it lives in a
thread with a loop of its own: between two calls its links pass on what a test's own client says.
"""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from io import StringIO
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis.stateful import initialize, precondition, rule
from rich.console import Console

from harness.cli import load_everything
from harness.engines.explore.engine import Explore, explore_on
from harness.engines.explore.kept import Kept
from harness.engines.explore.machine import TopUpMachine
from harness.engines.explore.told import Told
from harness.engines.explore.writing import Nobody
from harness.engines.shrink import Shrink, Shrunk, choose, shrink_on
from harness.engines.suite import NAME, RUNS, Job, Order, Progress, begin, carry_out_one, impossible
from harness.faults import FAULTS
from harness.plan import Plan, Scalar
from harness.provider import ProviderControl
from harness.run import Run, Suite, recorded
from harness.scenario import MONEY, Draft, Scenario, Tell, scenario
from harness.stacks.children import keep_children
from harness.stacks.processes import Processes, processes
from harness.target import Target, read
from harness.verdict import Status
from reports import write_all
from reports.steps import told
from reports.terminal import block

__all__ = ["Draft", "NotHeld", "TopUpMachine", "WarmStack", "initialize", "precondition", "rule", "scenario"]


class NotHeld(AssertionError):
    """A promise was broken, or could not be judged. The message has the evidence, and the command that repeats it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which stack is to be up. `kept` is the folder of kept findings, the cache's where it is None."""

    target: Path
    seed: int
    mutant: str | None = None
    out: Path = RUNS
    kept: Path | None = None


class Provider:
    """The provider of a stack that is up, for tests that are not asynchronous. `control` has all that it can be asked."""

    def __init__(self, portal: BlockingPortal, control: ProviderControl) -> None:
        self._portal, self.control = portal, control

    @contextmanager
    def mood(self, mood: str, **args: Scalar) -> Iterator[Callable[[], int]]:
        """The provider is in a mood while the block runs; yields a function that says how much it has touched."""
        id = self._portal.call(self.control.begin_mood, mood, args)
        try:
            yield lambda: self._portal.call(self.control.mood_touched, id)
        finally:
            self._portal.call(self.control.end_mood, id)

    def payments_of(self, reference: str) -> list[str]:
        """The payments that carry this reference, oldest first."""
        return self._portal.call(self.control.payments_of, reference)

    def pay(self, payment: str) -> None:
        """The customer pays at the provider's page."""
        self._portal.call(self.control.pay, payment)

    def decline(self, payment: str) -> None:
        self._portal.call(self.control.decline, payment)

    def give_back(self, payment: str, amount_minor: int = 0) -> None:
        """Refund at the provider itself; all that is left where the amount is 0."""
        self._portal.call(self.control.give_back, payment, amount_minor)

    def forge(self, forgery: str, payment: str) -> int | None:
        """Somebody who is not the provider reports a payment; what was answered, None where nothing was."""
        status = self._portal.call(self.control.forge, forgery, payment, {}).get("status")
        return None if status is None else int(status)

    def release(self) -> None:
        """Let go the callbacks that a mood holds back."""
        self._portal.call(self.control.release)

    def play_out(self) -> None:
        """Let all callbacks run their whole schedule on the test clock, attempt by attempt."""
        self._portal.call(self.control.play_out)


class WarmStack:
    """A stack that is up while the block runs. Plans are carried out on it one after another, each on fresh accounts."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.target: Target = read(wanted.target)
        self.runs: list[Run] = []
        self._numbers = count(1)

    def __enter__(self) -> Self:
        load_everything()
        wanted = self.wanted
        self._progress = begin(self._order("pytest"))
        with ExitStack() as opening:
            self._portal = opening.enter_context(start_blocking_portal())
            self._portal.call(keep_children)
            history = self._progress.folder / "history.jsonl"
            self._sink = opening.enter_context(history.open("w", encoding="utf-8"))
            stack = processes(wanted.target, self._progress.folder / "logs", Random(wanted.seed), mutant=wanted.mutant)
            self._up: Processes = opening.enter_context(self._portal.wrap_async_context_manager(stack))
            self._opened = opening.pop_all()
        self.provider = Provider(self._portal, self._up.provider)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._opened.__exit__(kind, error, at)
        self._write()

    @property
    def url(self) -> str:
        """Where a client finds the service: through the link `edge`, whose faults it feels."""
        return f"http://{self._up.links['edge'].url}"

    @property
    def asked_by(self) -> Mapping[str, str]:
        """The headers that say who asks: a client of the test's own sends them too."""
        return self._up.target.asked_by()

    @property
    def folder(self) -> Path:
        """Where the reports are."""
        return self._progress.folder

    def fault(self, name: str, **args: Scalar) -> AbstractContextManager[Callable[[], int]]:
        """Something is broken while the block runs, as in `with stack.fault("latency", link="edge", ms=200):`.

        Yields a function that says how much it has touched. Raises `UnknownName` naming the faults that there are.
        """
        return self._fault(FAULTS[name].begin(self._up, **args))

    def carry_out(self, plan: Plan, again: str = "") -> Run:
        """Carry a plan out and judge it; the run has the verdicts. *again* is the command that repeats it."""
        job = Job(plan, again or self._replay(self.folder, plan), self.wanted.mutant)
        run = self._portal.call(carry_out_one, job, self._up, next(self._numbers), self._sink)
        self.runs.append(run)
        return run

    def holds(self, plan: Plan, *, times: int = 1, again: str = "") -> None:
        """Raises `NotHeld` unless every promise holds, each time."""
        __tracebackhide__ = True
        for _ in range(times):
            run = self.carry_out(plan, again)
            if run.status is not Status.HOLDS:
                self._write()
                raise NotHeld(_text(run, self.folder))

    def tell(self, story: Tell, *about: str, seed: int | None = None) -> None:
        """Tell a story of one's own, between a calm top-up before and one after it, and hold the service to it.

        *about* names promises beside those about money that must find something to judge.
        """
        __tracebackhide__ = True
        name = story.__name__.replace("_", "-")
        made = Scenario(name, " ".join((story.__doc__ or name).split()), (*MONEY, *about), story)
        self.holds(made.plan(self.wanted.seed if seed is None else seed))

    def impossible(self, plan: Plan) -> str | None:
        """Why a plan cannot be carried out in the dialect of this target; None when it can."""
        return self._portal.call(impossible, plan, self._up)

    def explore(
        self,
        machine: type[TopUpMachine] = TopUpMachine,
        *,
        examples: int | None = None,
        time_s: float | None = None,
        seed: int | None = None,
        shorten_s: float = 60.0,
    ) -> Suite:
        """Stories that nobody wrote, until one is broken or the budget is spent (20 where none is given); first those that
        were kept of earlier explorations.

        Raises `NotHeld` when one is broken (it is replayed and made shorter first) or when nothing was proved.
        """
        __tracebackhide__ = True
        seed = self.wanted.seed if seed is None else seed
        if examples is None and time_s is None:
            examples = 20
        wanted, order = self.wanted, replace(self._order("explore"), seed=seed, drawn=True)
        progress = begin(order)
        asked = Explore(
            order=order,
            mutant=wanted.mutant,
            examples=examples,
            time_s=time_s,
            again=lambda plan: self._replay(progress.folder, plan),
            machine=machine,
            kept=Kept(wanted.kept, self.target.name, wanted.mutant, None),
            reuse=True,
        )
        self._portal.call(explore_on, self._up, asked, progress, Nobody(), self._numbers)
        done = replace(order, jobs=[Job(run.plan, "") for run in progress.runs])
        suite = progress.suite(replace(done, searched=lambda: Told.of(progress.runs).lines()))
        write_all(suite)
        if suite.status is Status.BROKEN:
            raise NotHeld("\n".join([_text(suite.runs[-1], suite.folder), "", *self._shortest(suite, shorten_s)]))
        if suite.status is Status.UNKNOWN:
            raise NotHeld("\n".join(["nothing was proved:", *suite.searched, f"look: {suite.folder / 'report.html'}"]))
        return suite

    def _shortest(self, suite: Suite, budget_s: float) -> Sequence[str]:
        """Replay what was found and make it shorter; what is to be said of that."""
        found, by = choose(recorded(suite.folder), None, None)
        order = replace(self._order("shrink"), jobs=[Job(found.plan, "", found.mutant)], seed=found.plan.seed)
        progress, shrunk, replays = begin(order), Shrunk(found.plan), list[tuple[int, int]]()
        wanted = Shrink(
            plan=found.plan,
            promise=by,
            target=self.wanted.target,
            mutant=found.mutant,
            again=f"{self._replay(progress.folder)} --times 10",
            time_budget_s=budget_s,
        )
        self._portal.call(
            shrink_on, self._up, wanted, progress, shrunk, lambda so_far: replays.append(so_far.times), self._numbers
        )
        write_all(progress.suite(replace(order, again=wanted.again)))
        lines = [f"seen in {broken} of {of} replays; what was seen once happened" for broken, of in replays[:1]]
        if shrunk.run is not None:
            broken, of = shrunk.times
            lines += [f"as short as it got, broken in {broken} of {of}:", *(f"  {step}" for step in told(shrunk.plan))]
            lines += [f"again: {wanted.again}"]
        return lines

    @contextmanager
    def _fault(self, begun: Any) -> Iterator[Callable[[], int]]:
        with self._portal.wrap_async_context_manager(begun) as touched:
            yield lambda: self._portal.call(touched)

    def _order(self, name: str) -> Order:
        wanted = self.wanted
        return Order(name=name, jobs=[], target=wanted.target, seed=wanted.seed, again="pytest", out=wanted.out)

    def _replay(self, folder: Path, plan: Plan | None = None) -> str:
        words = [NAME, "replay", os.path.relpath(folder), *([plan.name] if plan else [])]
        return shlex.join([*words, "--target", os.path.relpath(self.wanted.target)])

    def _write(self) -> None:
        if self.runs:
            jobs = [Job(run.plan, "") for run in self.runs]
            done = Progress(self.folder, self._progress.started, self._progress.began, self.runs)
            write_all(done.suite(replace(self._order("pytest"), jobs=jobs)))


def _text(run: Run, folder: Path) -> str:
    """What a terminal shows of a run that did not hold."""
    console = Console(file=StringIO(), width=200, color_system=None)
    console.print(block(run, folder), soft_wrap=True)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue().rstrip()
