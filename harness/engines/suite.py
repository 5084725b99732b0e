"""Plans in, a suite out: one stack, many runs, everything written down as it happens."""

import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Protocol

from harness.history import Recorder
from harness.plan import Plan
from harness.run import Run, Suite
from harness.runner import Setting, carry_out
from harness.stacks.processes import Processes, processes

RUNS = Path("reports/runs")
NAME = "topup-chaos"


def program() -> str:
    """What to type for this program to run again from here: its name where the path finds it, else where it lies."""
    called = Path(sys.argv[0])
    found = shutil.which(NAME)
    if called.name != NAME or (found and Path(found).samefile(called)):
        return NAME
    return shlex.quote(os.path.relpath(called) if called.is_relative_to(Path.cwd()) else str(called))


@dataclass(frozen=True, slots=True)
class Job:
    """A plan, the mutant that it is carried out on (None for the service itself), and the command that repeats it."""

    plan: Plan
    again: str
    mutant: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What one command wants done. `time_budget_s` is None where there is no bound; `named` is false under load.

    `then` makes further jobs out of the runs of `jobs`; they are carried out on the same stack.
    """

    name: str
    jobs: Sequence[Job]
    target: Path
    seed: int
    again: str
    out: Path = RUNS
    time_budget_s: float | None = None
    named: bool = True
    then: Callable[[Sequence[Run]], Sequence[Job]] | None = None


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
    more: int | None = None
    """How many jobs came of the first ones; None while that is not known."""

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            self.spent[name] = self.spent.get(name, 0.0) + time.monotonic() - began

    def suite(self, order: Order) -> Suite:
        return Suite(
            name=order.name,
            started=self.started,
            took_s=time.monotonic() - self.began,
            runs=tuple(self.runs),
            folder=self.folder,
            again=order.again,
            left=self._asked(order) - len(self.runs),
        )

    def _asked(self, order: Order) -> int:
        """How many runs were asked for. Jobs that were not even made are one at least."""
        further = 0 if order.then is None else 1 if self.more is None else self.more
        return len(order.jobs) + further


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
    """Carry out every job of *order* on one warm stack, adding to *progress*. The history is on disk while it happens."""
    serving = order.jobs[0].mutant if order.jobs else None
    logs = progress.folder / "logs"
    opening = time.monotonic()
    async with processes(order.target, logs, Random(order.seed), mutant=serving, named=order.named) as stack:
        progress.spent["stack up"] = time.monotonic() - opening
        progress.remarks = stack.remarks
        with (progress.folder / "history.jsonl").open("w", encoding="utf-8") as sink:
            for number, job in enumerate(_jobs(order, progress), 1):
                if order.time_budget_s is not None and time.monotonic() - progress.began > order.time_budget_s:
                    return
                if job.mutant != serving:
                    with progress.timed("service restarts"):
                        await stack.serve(job.mutant)
                    serving = job.mutant
                watcher.begins(job.plan.name)
                with progress.timed("runs"):
                    recorder = Recorder(time.time, sink)
                    run = await carry_out(job.plan, stack, f"r{number}", recorder, _setting(job, stack))
                progress.runs.append(run)
                watcher.finished(run)
        opening = time.monotonic()
    progress.spent["stack down"] = time.monotonic() - opening


def _jobs(order: Order, progress: Progress) -> Iterator[Job]:
    """The jobs of *order*, then those that it makes of their runs."""
    yield from order.jobs
    if order.then is not None:
        further = order.then(progress.runs)
        progress.more = len(further)
        yield from further


def _setting(job: Job, stack: Processes) -> Setting:
    versions = {
        "topup-chaos": version("topup-chaos"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        **stack.versions,
    }
    return Setting(stack.target.name, job.mutant, versions, job.again)
