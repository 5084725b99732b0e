"""The harness's own power: every planted bug must be healthy in calm weather, and caught by what claims to catch it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from rich.console import Console

from harness.engines.suite import Job, program
from harness.run import Run
from harness.scenario import SCENARIOS
from harness.verdict import Status

CALM = "calm"


class Planted(Protocol):
    """A planted bug: what it is, which invariant must catch it, and under which scenario."""

    @property
    def name(self) -> str: ...
    @property
    def lie(self) -> str: ...
    @property
    def caught_by(self) -> str: ...
    @property
    def under(self) -> str: ...
    @property
    def also(self) -> tuple[str, ...]: ...


def track_record_plans(mutants: Sequence[Planted], seed: int) -> list[Job]:
    """For the service itself, and for each mutant: calm, and every scenario that claims to expose it."""
    exposing = sorted({mutant.under for mutant in mutants} | {name for mutant in mutants for name in mutant.also})
    jobs = [_job(name, seed, None) for name in (CALM, *exposing)]
    for mutant in mutants:
        jobs += [_job(name, seed, mutant.name) for name in (CALM, mutant.under, *mutant.also)]
    return jobs


def _job(scenario: str, seed: int, mutant: str | None) -> Job:
    option = f" --mutant {mutant}" if mutant else ""
    return Job(SCENARIOS[scenario].plan(seed), f"{program()} run {scenario} --seed {seed}{option}", mutant)


@dataclass(slots=True)
class TrackRecord:
    """What came of it. `as_claimed` is true when the service holds everywhere and every mutant is caught as it claims."""

    mutants: Sequence[Planted]
    runs: list[Run] = field(default_factory=list)
    _console: Console | None = None

    def watch(self, console: Console) -> "TrackRecord":
        self._console = console
        return self

    def begins(self, name: str) -> None:
        """Nothing to say before it is over."""

    def finished(self, run: Run) -> None:
        self.runs.append(run)
        if self._console is not None:
            who = run.mutant or "(the service itself)"
            found = ", ".join(sorted(run.broken)) or run.status.word
            line = f"{who:<36} {run.plan.name:<28} {found} ({run.took_s:.1f} s)"
            self._console.print(line, highlight=False, soft_wrap=True)

    @property
    def as_claimed(self) -> bool:
        return not self.problems()

    def problems(self) -> list[str]:
        """Every claim that did not come true, in words."""
        unrun = [] if any(run.mutant is None for run in self.runs) else ["the service itself: was not run"]
        problems = unrun + [
            f"the service itself: {run.plan.name} is {run.status.word} ({', '.join(sorted(run.broken)) or _why(run)})"
            for run in self.runs
            if run.mutant is None and run.status is not Status.HOLDS
        ]
        return problems + [problem for mutant in self.mutants for problem in self._problems_of(mutant)]

    def _problems_of(self, mutant: Planted) -> list[str]:
        problems = []
        for scenario in (CALM, mutant.under, *mutant.also):
            run = self._run(mutant, scenario)
            expected = frozenset[str]() if scenario == CALM else frozenset({mutant.caught_by})
            if run is None:
                problems.append(f"{mutant.name}: {scenario} was not run")
            elif scenario in (CALM, mutant.under) and run.broken != expected:
                problems.append(f"{mutant.name}: {scenario} breaks {sorted(run.broken)}, and not {sorted(expected)}")
            elif scenario != CALM and not run.broken:
                problems.append(f"{mutant.name}: {scenario} does not expose it")
            elif scenario == CALM and run.status is not Status.HOLDS:
                problems.append(f"{mutant.name}: not healthy in calm weather: {_why(run)}")
        return problems

    def _run(self, mutant: Planted, scenario: str) -> Run | None:
        return next((run for run in self.runs if run.mutant == mutant.name and run.plan.name == scenario), None)

    def print(self, console: Console) -> None:
        problems = self.problems()
        caught = len(self.mutants) - len({problem.partition(":")[0] for problem in problems} - {"the service itself"})
        for problem in problems:
            console.print(f"[red]not as claimed[/red]  {problem}", highlight=False, soft_wrap=True)
        console.print(f"{caught} of {len(self.mutants)} planted bugs caught as claimed", highlight=False)

    def markdown(self) -> str:
        """The page that is committed: its diff is read when a change to the harness loses power."""
        lines = [
            "# Track record",
            "",
            "Made by `topup-chaos mutants`. Each planted bug looks healthy in `calm`, and is caught by exactly the",
            "invariant named, under the scenario named. A change to the harness is not complete until all still are.",
            "",
            "| planted bug | what it does | caught by | under | also seen in | as claimed |",
            "|---|---|---|---|---|---|",
        ]
        wrong = {problem.partition(":")[0] for problem in self.problems()}
        for mutant in self.mutants:
            said = "**no**" if mutant.name in wrong else "yes"
            also = ", ".join(mutant.also)
            lines.append(f"| {mutant.name} | {mutant.lie} | {mutant.caught_by} | {mutant.under} | {also} | {said} |")
        return "\n".join(lines) + "\n"


def _why(run: Run) -> str:
    return "; ".join(
        f"{verdict.invariant}: {verdict.because}"
        for verdict in run.verdicts
        if verdict.weighs and verdict.status is Status.UNKNOWN
    )
