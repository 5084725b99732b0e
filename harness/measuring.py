"""`topup-chaos mutants --engine …`: which engine catches which planted bug, measured and kept."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path

from rich.console import Console

from harness.engines.measure import Failed, Measured, Outcome, Task, made_of, measure, tasks
from harness.engines.power import Budget, Shortest, Trial
from harness.engines.track_record import Planted
from reports.heat_map import HEADING, HeatMap, markdown, page

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
    again: str,
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
        render(folder, HeatMap.of(themes, measured), again)
    return len(failed)


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


def render(folder: Path, heat: HeatMap, again: str) -> None:
    """The page, and the section of the track record, in the place of what was there before."""
    (folder / MAP).write_text(page(heat, again), encoding="utf-8")
    record = folder / PAGE
    before = record.read_text(encoding="utf-8") if record.exists() else ""
    record.write_text(with_section(before, markdown(heat)), encoding="utf-8")


def with_section(record: str, section: str) -> str:
    """*record*, with *section* at its end in the place of the one that it had."""
    kept = record.partition(HEADING)[0].rstrip()
    return f"{kept}\n\n{section}" if kept else section


def section_of(record: Path) -> str:
    """What of a track record was measured, to be kept when the rest of it is made anew; empty where there is none."""
    if not record.exists():
        return ""
    _, heading, section = record.read_text(encoding="utf-8").partition(HEADING)
    return heading + section
