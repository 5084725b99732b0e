"""The trials of many mutants, several at once, and where they are kept: `reports/track_record.json`.

A trial waits most of its life, and each has a stack, and so a process, of its own. What was measured before stays until it
is measured again, so that a record may come to be in several sittings.
"""

import multiprocessing
import os
import platform
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from harness.engines.power import ENGINES, Budget, Shortest, Trial, attempt, shorten
from harness.engines.track_record import Planted
from harness.stacks.children import tie_to

SHORTEN = "shorten"
KINDS = (*ENGINES, SHORTEN)


@dataclass(frozen=True, slots=True)
class Failed:
    """A trial that did not come to its end: nothing is known of it, and nothing kept."""

    because: str


Outcome: TypeAlias = Trial | Shortest | Failed | None


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to measure, on that *day*. `engine` may be `shorten`: the scenario's plan is then made shorter."""

    mutant: Planted
    engine: str
    seed: int
    budget: Budget
    day: str

    def carry_out(self) -> Outcome:
        """What comes of it, whatever that is: others are still to be measured."""
        try:
            if self.engine != SHORTEN:
                return replace(attempt(self.mutant, self.engine, self.seed, self.budget), day=self.day)
            shortest = shorten(self.mutant, self.seed, self.budget)
            return replace(shortest, day=self.day) if shortest else None
        except Exception as error:
            return Failed(f"{type(error).__name__}: {error}")


@dataclass(slots=True)
class Measured:
    """All that was measured, and on what, by day."""

    format: Literal[1] = 1
    made_on: dict[str, str] = field(default_factory=dict)
    trials: list[Trial] = field(default_factory=list)
    shortest: list[Shortest] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """What is there; nothing where there is no such file. Raises `ValueError` for what is no record."""
        return _FILE.validate_json(path.read_bytes()) if path.exists() else cls()

    def write(self, path: Path) -> None:
        path.write_bytes(_FILE.dump_json(self, indent=1) + b"\n")

    def add(self, outcome: Outcome) -> None:
        """In the place of what was known of the same trial."""
        if isinstance(outcome, Trial):
            key = (outcome.mutant, outcome.engine, outcome.seed)
            self.trials = [each for each in self.trials if (each.mutant, each.engine, each.seed) != key] + [outcome]
            self.trials.sort(key=lambda each: (each.mutant, each.engine, each.seed))
        elif isinstance(outcome, Shortest):
            others = [each for each in self.shortest if each.mutant != outcome.mutant]
            self.shortest = sorted([*others, outcome], key=lambda each: each.mutant)

    def forget(self, *, but: Sequence[str]) -> None:
        """What was measured of mutants that are no more."""
        self.trials = [each for each in self.trials if each.mutant in but]
        self.shortest = [each for each in self.shortest if each.mutant in but]
        days = {each.day for each in self.trials} | {each.day for each in self.shortest}
        self.made_on = {day: what for day, what in self.made_on.items() if day in days}


_FILE = TypeAdapter(Measured)


def _begin(parent: int, ready: Callable[[], None]) -> None:
    """In each process: it ends with the one that made it, and Ctrl-C is that one's to understand."""
    tie_to(parent, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ready()


def made_of(workers: int) -> str:
    """What it is measured on, in a line, and how busy that is: seconds on a busy machine are longer."""
    named = f"topup-chaos {version('topup-chaos')} · Python {platform.python_version()} · {platform.platform()}"
    busy = f"load {os.getloadavg()[0]:.0f} when it began" if hasattr(os, "getloadavg") else "load unknown"
    return f"{named} · {os.cpu_count()} cores · {workers} at once · {busy}"


def tasks(
    mutants: Sequence[Planted], engines: Sequence[str], seeds: Sequence[int], budget: Budget, day: str
) -> Iterator[Task]:
    """Mutant by mutant, so that whoever stops early has whole lines. A plan is made shorter once, by the first seed."""
    for mutant in mutants:
        for engine in engines:
            for seed in seeds[:1] if engine == SHORTEN else seeds:
                yield Task(mutant, engine, seed, budget, day)


def measure(
    todo: Sequence[Task], workers: int, ready: Callable[[], None], tell: Callable[[Task, Outcome], None]
) -> None:
    """Carry all of it out, so many at once, telling of each as it ends. *ready* is done first in each process.

    Interrupted, what is under way comes to its end, and nothing else is begun.
    """
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=spawning, initializer=_begin, initargs=(os.getpid(), ready)) as pool:
        under_way = {pool.submit(task.carry_out): task for task in todo}
        try:
            for done in as_completed(under_way):
                tell(under_way[done], done.result())
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
