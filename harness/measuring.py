"""`topup-chaos mutants --engine …`: which engine catches which planted bug, measured and kept."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from harness.engines.measure import KINDS, Failed, Measured, Outcome, Task, made_of, measure, tasks
from harness.engines.power import Budget, Shortest, Trial
from harness.engines.suite import NAME
from harness.engines.track_record import Planted
from harness.run import Run
from reports.heat_map import HEADING, HeatMap, markdown, page

AGAIN = f"{NAME} mutants --seeds 3{''.join(f' --engine {name}' for name in KINDS)}"
FILE, PAGE, MAP = "track_record.json", "track_record.md", "track_record.html"


def measure_power(
    mutants: Sequence[Planted],
    themes: Mapping[str, Sequence[Planted]],
    *,
    engines: Sequence[str],
    seeds: Sequence[int],
    budget: Budget,
    workers: int,
    folder: Path,
    today: date,
    ready: Callable[[], None],
    console: Console,
) -> int:
    """Measure, and write the record after each trial, so that an interrupted command has kept what it knows.

    Returns how many trials did not come to their end.
    """
    day = today.isoformat()
    todo = list(tasks(mutants, engines, seeds, budget, day))
    measured = Measured.read(folder / FILE)
    measured.made_on[day] = made_of(workers)
    failed: list[Task] = []

    def tell(task: Task, outcome: Outcome) -> None:
        if isinstance(outcome, Failed):
            failed.append(task)
        measured.add(outcome)
        measured.forget(but=[each.name for several in themes.values() for each in several])
        measured.write(folder / FILE)
        console.print(f"{task.mutant.name:<32} {task.engine:<11} {_said(outcome)}", highlight=False, soft_wrap=True)

    try:
        measure(todo, workers, ready, tell)
    finally:
        render(folder, HeatMap.of(themes, measured))
    return len(failed)


def keep_claims(
    mutants: Sequence[Planted], runs: Sequence[Run], themes: Mapping[str, Sequence[Planted]], folder: Path, today: date
) -> None:
    """What came of the claims is what the suite has to show: each mutant under its scenario, and how long that took."""
    measured, day = Measured.read(folder / FILE), today.isoformat()
    under = {mutant.name: mutant.under for mutant in mutants}
    for run in runs:
        if run.mutant is not None and under.get(run.mutant) == run.plan.name:
            by, seconds = tuple(sorted(run.broken)), run.took_s if run.broken else None
            measured.add(Trial(run.mutant, "suite", run.plan.seed, by, run.plan.name, seconds, 1, day=day))
    measured.made_on.setdefault(day, made_of(1))
    measured.write(folder / FILE)
    render(folder, HeatMap.of(themes, measured))


def _said(outcome: Outcome) -> str:
    match outcome:
        case Trial(seconds=float(seconds), by=by, tried=tried):
            return f"{', '.join(by)} in {seconds:.1f} s, after {tried}"
        case Trial(word=word, why=why):
            return f"{word}: {why}" if why else word
        case Shortest(steps=steps, of=of, repeats=(broken, tries)):
            return f"{of} → {steps} steps, broken in {broken} of {tries}"
        case Failed(because):
            return f"not measured: {because}"
        case None:
            return "was not broken this time, so nothing was made shorter"


def render(folder: Path, heat: HeatMap) -> None:
    """The page, and the section of the track record, in the place of what was there before."""
    (folder / MAP).write_text(page(heat, AGAIN), encoding="utf-8")
    record = folder / PAGE
    before = record.read_text(encoding="utf-8") if record.exists() else ""
    record.write_text(with_section(before, markdown(heat)), encoding="utf-8")


def with_section(record: str, section: str) -> str:
    """*record*, with *section* at its end in the place of the one that it had."""
    kept = record.partition(HEADING)[0].rstrip()
    return f"{kept}\n\n{section}" if kept else section
