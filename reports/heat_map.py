"""Mutant by engine: caught or not, how fast, and in how few steps. As Markdown for the repository, and as a page with colours."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from harness.engines.measure import Measured
from harness.engines.power import ENGINES, Shortest, Trial
from harness.engines.track_record import Planted
from reports.html import environment

HEADING = "## Which engine catches it, and how fast"
SHADES = (1.0, 2.0, 5.0, 15.0)
"""Seconds up to which a cell has the first, the second, the third and the fourth shade."""
SCENARIO_AIM_S, ANY_AIM_S = 2.0, 30.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One engine on one mutant, over all seeds. `seconds` is the median of those that caught it, None where none did."""

    trials: tuple[Trial, ...]
    claimed: str

    @property
    def caught(self) -> int:
        return sum(trial.caught for trial in self.trials)

    @property
    def seconds(self) -> float | None:
        return median(trial.seconds for trial in self.trials if trial.seconds is not None) if self.caught else None

    @property
    def shade(self) -> str:
        """How the page draws it: by its seconds, `missed`, `idle` where it does not apply, `blank` where it was not tried."""
        if self.seconds is not None:
            return f"caught-{sum(self.seconds > bound for bound in SHADES)}"
        return "blank" if not self.trials else "idle" if self.trials[0].why else "missed"

    @property
    def said(self) -> str:
        """In a few characters. Of several seeds, how many caught it stands beside the median, unless all did."""
        if self.seconds is None:
            budget = max((trial.budget_s for trial in self.trials), default=0)
            return {"blank": "", "idle": "n/a", "missed": f"not in {budget:g} s"}[self.shade]
        share = "" if self.caught == len(self.trials) else f" ({self.caught} of {len(self.trials)})"
        return f"{self.seconds:.1f} s{share}"

    @property
    def otherwise(self) -> str:
        """What was broken, where the promise that the mutant claims was not among it."""
        others = {name for trial in self.trials if trial.caught and self.claimed not in trial.by for name in trial.by}
        return ", ".join(sorted(others))

    @property
    def told(self) -> str:
        """All of it, for whoever looks closer."""
        if self.shade == "idle":
            return self.trials[0].why
        lines = (
            f"seed {each.seed}: {each.word}, {', '.join(each.by)} {each.where} {_tried(each)}".replace("  ", " ")
            for each in self.trials
        )
        return "\n".join(lines)


def _tried(trial: Trial) -> str:
    return f"after {trial.tried} {'callbacks' if trial.engine == 'fuzz' else 'plans'}"


@dataclass(frozen=True, slots=True)
class Row:
    """One mutant, its cells in the order of the engines."""

    mutant: Planted
    cells: tuple[Cell, ...]
    shortest: Shortest | None

    @property
    def caught(self) -> bool:
        return any(cell.caught for cell in self.cells)

    @property
    def best_s(self) -> float | None:
        """The median of the engine that is fastest."""
        return min((cell.seconds for cell in self.cells if cell.seconds is not None), default=None)

    @property
    def steps(self) -> str:
        return f"{self.shortest.of} → {self.shortest.steps}" if self.shortest else ""


@dataclass(frozen=True, slots=True)
class HeatMap:
    """The rows under their themes."""

    themes: Mapping[str, Sequence[Row]]
    made_on: Mapping[str, str]

    @classmethod
    def of(cls, themes: Mapping[str, Sequence[Planted]], measured: Measured) -> "HeatMap":
        return cls(
            {theme: [_row(mutant, measured) for mutant in mutants] for theme, mutants in themes.items()},
            measured.made_on,
        )

    @property
    def rows(self) -> Sequence[Row]:
        return [row for rows in self.themes.values() for row in rows]

    def summary(self) -> Iterator[str]:
        """What it comes to, claiming no more than was tried."""
        rows = self.rows
        tried = [row for row in rows if any(cell.trials for cell in row.cells)]
        yield f"{sum(row.caught for row in tried)} of {len(tried)} planted bugs that were tried were caught by at least one engine"
        if len(tried) < len(rows):
            yield f"{len(rows) - len(tried)} were not tried"
        for engine, cells in self._columns():
            applies = [cell for cell in cells if cell.shade not in ("blank", "idle")]
            seconds = [cell.seconds for cell in applies if cell.seconds is not None]
            if applies:
                half = f", half of them within {median(seconds):.1f} s" if seconds else ""
                yield f"{engine}: {len(seconds)} of {len(applies)} that it was tried on{half}"
        yield from self._aims()

    def _columns(self) -> Iterator[tuple[str, list[Cell]]]:
        for number, engine in enumerate(ENGINES):
            yield engine, [row.cells[number] for row in self.rows]

    def _aims(self) -> Iterator[str]:
        suite = [cell.seconds for cell in dict(self._columns())["suite"] if cell.seconds is not None]
        fastest = [row.best_s for row in self.rows if row.best_s is not None]
        for what, seconds, aim in (("scenario", suite, SCENARIO_AIM_S), ("fastest engine", fastest, ANY_AIM_S)):
            if seconds:
                within = sum(each <= aim for each in seconds)
                held = f"its {what} takes at most {aim:g} s (the aim) for {within} of {len(seconds)}"
                yield f"{held}, and at worst {max(seconds):.1f} s"
        shorter = [row.shortest for row in self.rows if row.shortest]
        if shorter:
            now, before = median(each.steps for each in shorter), median(each.of for each in shorter)
            yield f"{len(shorter)} plans were made shorter: from {before:g} steps to {now:g}, in the median"


def _row(mutant: Planted, measured: Measured) -> Row:
    of = [trial for trial in measured.trials if trial.mutant == mutant.name]
    cells = tuple(Cell(tuple(each for each in of if each.engine == engine), mutant.caught_by) for engine in ENGINES)
    shortest = next((each for each in measured.shortest if each.mutant == mutant.name), None)
    return Row(mutant, cells, shortest)


def markdown(heat: HeatMap) -> str:
    """The section of the track record."""
    lines = [HEADING, "", *(f"- {line}." for line in heat.summary()), ""]
    lines += [f"Measured on {day}: {what}." for day, what in sorted(heat.made_on.items())]
    head = f"| planted bug | {' | '.join(ENGINES)} | steps |"
    for theme, rows in heat.themes.items():
        lines += ["", f"### {theme.capitalize()}", "", head, "|" + "---|" * (len(ENGINES) + 2)]
        lines += [
            f"| {row.mutant.name} | {' | '.join(_in_a_table(c) for c in row.cells)} | {row.steps} |" for row in rows
        ]
    return "\n".join(lines) + "\n"


def _in_a_table(cell: Cell) -> str:
    return f"{cell.said}, by {cell.otherwise}" if cell.otherwise else cell.said


def page(heat: HeatMap, again: str) -> str:
    """The heat map as a page of its own."""
    return environment().get_template("heat_map.html").render(heat=heat, engines=ENGINES, again=again)
