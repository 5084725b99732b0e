"""The table of requirements in the reference's README is true: it names what there is, and leaves no planted bug out."""

import re
from pathlib import Path

import pytest

import harness.invariants
import scenarios
from harness.registry import load
from harness.scenario import SCENARIOS
from harness.verdict import INVARIANTS
from reference_impl.mutants import catalogue

HOME = Path(__file__).parent.parent.parent / "reference_impl"
NOT_YET = "not yet"

load(harness.invariants)
load(scenarios, but=("locustfile", "flows", "meetings"))
MUTANTS = catalogue()

LINES = re.findall(r"^\| (R\d+) \|(.*)\|$", (HOME / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
ROWS = {id: [cell.strip() for cell in cells.split("|")] for id, cells in LINES}
each_row = pytest.mark.parametrize("id", ROWS)


def named(id: str, column: int) -> list[str]:
    """The names in a cell; none where it says that it is not there yet."""
    cell = ROWS[id][column]
    assert cell, f"{id}: an empty cell says nothing; write {NOT_YET!r}"
    names = re.findall(r"`([^`]+)`", cell)
    assert names or cell == NOT_YET, f"{id}: name something in backticks, or write {NOT_YET!r}"
    return names


def test_each_requirement_has_one_row() -> None:
    assert [id for id, _ in LINES] == [f"R{n}" for n in range(1, 27)]


@each_row
def test_a_row_names_what_there_is(id: str) -> None:
    """Files, scenarios, promises and planted bugs; and what is missing stands in words in the last column."""
    assert [name for name in named(id, 1) if not (HOME / name).exists()] == []
    for column, registered in ((2, SCENARIOS), (3, INVARIANTS), (4, MUTANTS)):
        assert [name for name in named(id, column) if name not in registered] == []
    assert ROWS[id][5]
    if NOT_YET in ROWS[id][1:5]:
        assert ROWS[id][5] != "–", f"{id}: say in the last column what is missing"


@each_row
def test_a_planted_bug_is_caught_by_its_row(id: str) -> None:
    """By a promise, and under a scenario, that stand beside it."""
    for name in named(id, 4):
        assert MUTANTS[name].caught_by in named(id, 3), f"{id}: {name} is caught by {MUTANTS[name].caught_by}"
        assert MUTANTS[name].under in named(id, 2), f"{id}: {name} is caught under {MUTANTS[name].under}"


def test_no_planted_bug_is_without_a_requirement() -> None:
    assert set(MUTANTS) - {name for id in ROWS for name in named(id, 4)} == set()
