"""Plans in, a suite out: one stack, many runs, everything written down as it happens."""

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from itertools import chain, groupby
from pathlib import Path
from random import Random
from typing import Protocol, TextIO

from harness.history import Recorder
from harness.plan import Plan
from harness.run import Run, Suite
from harness.runner import Setting, carry_out
from harness.stacks.processes import Processes, processes

RUNS = Path("reports/runs")
NAME = "topup-chaos"

# What is told of each of these. Not every provider has disputes.
MOOD = "mood"
DISPUTES = {"dispute": "dispute.opened", "win": "dispute.won", "lose": "dispute.lost"}


def program() -> str:
    """What to type for this program to run again from here: its name where the path finds it, else where it lies."""
    called = Path(sys.argv[0])
    found = shutil.which(NAME)
    if called.name != NAME or (found and Path(found).samefile(called)):
        return NAME
    return shlex.quote(os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called))


def today() -> date:
    """The day by which a record is kept, in UTC."""
    return datetime.now(UTC).date()


@dataclass(frozen=True, slots=True)
class Job:
    """A plan, the mutant that it is carried out on (None for the service itself), and the command that repeats it.

    `dialect` is how callbacks are to be written; None leaves it to the target. Jobs of one dialect stand together.
    `tries` says how often it is carried out, at most, until what it should break comes by: until then nothing was tried.
    """

    plan: Plan
    again: str
    mutant: str | None = None
    dialect: str | None = None
    tries: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one command wants done. `time_budget_s` is None where there is no bound; `named` is false under load, and
    `weather` where no plan asks for any.

    `then` makes further jobs out of all runs so far, again and again until it makes none; they are carried out on the same
    stacks. `unfinished` counts what was meant to be done and is not even a job yet, `searched` says how far a search went.
    `workers` says on how many stacks side by side; `drawn`, that the plans are chance's.
    """

    name: str
    jobs: Sequence[Job]
    target: Path
    seed: int
    again: str
    out: Path = RUNS
    time_budget_s: float | None = None
    named: bool = True
    weather: bool = True
    workers: int = 1
    then: Callable[[Sequence[Run]], Sequence[Job]] | None = None
    unfinished: Callable[[], int] = lambda: 0
    searched: Callable[[], Sequence[str]] = lambda: ()
    drawn: bool = False


class Watcher(Protocol):
    """Told of progress."""

    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


@dataclass(slots=True)
class Progress:
    """What is done so far: an interrupted command still has this. `spent` says where the time went, in seconds."""

    folder: Path
    started: datetime
    began: float = field(default_factory=time.monotonic)
    runs: list[Run] = field(default_factory=list)
    spent: dict[str, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    left_out: list[str] = field(default_factory=list)
    more: int | None = None
    """How many jobs came of the first ones, so far; None while that is not known."""

    def is_over(self, order: Order) -> bool:
        """Whether the time is up in which further runs may begin."""
        return order.time_budget_s is not None and time.monotonic() - self.began > order.time_budget_s

    def spend(self, name: str, since: float) -> None:
        self.spent[name] = self.spent.get(name, 0.0) + time.monotonic() - since

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.spend(name, began)

    def suite(self, order: Order) -> Suite:
        return Suite(
            name=order.name,
            started=self.started,
            took_s=time.monotonic() - self.began,
            runs=tuple(self.runs),
            folder=self.folder,
            again=order.again,
            left=self._asked(order) - len(self.runs) - len(self.left_out),
            left_out=tuple(self.left_out),
            searched=tuple(order.searched()),
            drawn=order.drawn,
        )

    def _asked(self, order: Order) -> int:
        """How many runs were asked for. Jobs that were not even made are one at least."""
        further = 0 if order.then is None else 1 if self.more is None else self.more
        return len(order.jobs) + further + order.unfinished()


def begin(order: Order) -> Progress:
    """A folder of its own for this command: `<when>-<what>`, with a number where two begin in one second."""
    started = datetime.now(UTC)
    name = f"{started.astimezone():%Y%m%d-%H%M%S}-{order.name}"
    for number in range(1, 1000):
        folder = order.out / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return Progress(folder, started)
    raise FileExistsError(f"{order.out / name} and 999 more exist: clear out {order.out}")


async def carry_out_all(order: Order, progress: Progress, watcher: Watcher) -> None:
    """Carry out every job of *order*, adding to *progress*: on one warm stack, or on one for each dialect asked for.

    The history is on disk while it happens.
    """
    with (progress.folder / "history.jsonl").open("w", encoding="utf-8") as sink:
        every = chain.from_iterable(rounds(order, progress, lambda: progress.runs))
        for dialect, jobs in groupby(every, lambda job: job.dialect):
            await _carry_out_in(dialect, jobs, order, progress, watcher, sink)
            if progress.is_over(order):
                return


async def _carry_out_in(
    dialect: str | None, jobs: Iterator[Job], order: Order, progress: Progress, watcher: Watcher, sink: TextIO
) -> None:
    """Carry out the jobs of one dialect, on a stack that speaks it."""
    first = next(jobs)
    serving = first.mutant
    logs = progress.folder / "logs" / (dialect or "")
    opening = time.monotonic()
    async with processes(
        order.target,
        logs,
        Random(order.seed),
        mutant=serving,
        named=order.named,
        dialect=dialect,
        weather=order.weather,
    ) as stack:
        progress.spend("stack up", opening)
        progress.remarks = stack.remarks
        for job in chain([first], jobs):
            if progress.is_over(order):
                return
            if why := await impossible(job.plan, stack):
                progress.left_out.append(why)
                continue
            if job.mutant != serving:
                with progress.timed("service restarts"):
                    await stack.serve(job.mutant)
                serving = job.mutant
            watcher.begins(job.plan.name)
            with progress.timed("runs"):
                run = await carry_out_one(job, stack, len(progress.runs) + 1, sink)
            progress.runs.append(run)
            watcher.finished(run)
        opening = time.monotonic()
    progress.spend("stack down", opening)


async def impossible(plan: Plan, stack: Processes) -> str | None:
    """Why *plan* cannot be carried out on *stack*: what its target or its dialect lacks, by name; None when it can."""
    lacking = sorted({lack for begin in plan.faults() if (lack := stack.target.lacks(begin.fault))})
    if lacking:
        return f"{plan.name}: {stack.target.name} has no {' and no '.join(lacking)}"
    operations = plan.operations()
    forged = {str(operation.args["forgery"]) for operation in operations if operation.kind == "forge"}
    told = {DISPUTES[operation.kind] for operation in operations if operation.kind in DISPUTES}
    moods = {str(begin.args["mood"]) for begin in plan.faults() if begin.fault == MOOD}
    if not forged and not told and not moods:
        return None
    speech = await stack.provider.speech()
    missing = [f"no forgery {name}" for name in sorted(forged - speech.forgeries)]
    missing += [f"no mood {name}" for name in sorted(moods - speech.moods)]
    missing += [f"no word for {event}" for event in sorted(told - speech.events)]
    return f"{plan.name}: {stack.target.callbacks.dialect} has {', '.join(missing)}" if missing else None


async def carry_out_one(job: Job, stack: Processes, number: int, sink: TextIO) -> Run:
    """Carry out the job of that number on a stack that serves what it is for, its history written to *sink*.

    A try in which a fault met nothing, and in which nothing else was amiss, is forgotten when there is another.
    """
    made = setting(stack, job.mutant, job.again)
    begins = sink.tell() if job.tries > 1 else 0
    for tried in range(1, job.tries + 1):
        if tried > 1:
            sink.seek(begins)
            sink.truncate()
        name = f"r{number}" if tried == 1 else f"r{number}x{tried}"
        run = await carry_out(job.plan, stack, name, Recorder(time.time, sink), made)
        if not run.unreached:
            break
    return replace(run, tries=tried)


def rounds(order: Order, progress: Progress, runs: Callable[[], Sequence[Run]]) -> Iterator[Sequence[Job]]:
    """The jobs of *order*, then those that it makes of the *runs* so far, until it makes no more."""
    yield order.jobs
    while order.then is not None and (further := order.then(runs())):
        progress.more = (progress.more or 0) + len(further)
        yield further
    progress.more = progress.more or 0


def setting(stack: Processes, mutant: str | None, again: str) -> Setting:
    """What a run on this stack is carried out on."""
    versions = {
        "topup-chaos": version("topup-chaos"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **stack.versions,
    }
    return Setting(stack.target.name, mutant, versions, again, stack.target.callbacks.dialect)
