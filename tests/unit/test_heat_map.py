"""Which engine catches what: what is kept of trials, and what is said of them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

import scenarios
from harness.engines.measure import SHORTEN, Budget, Failed, Measured, tasks
from harness.engines.power import ENGINES, Shortest, Trial, not_applicable
from harness.measuring import with_section
from harness.registry import load
from reports.heat_map import HEADING, Cell, HeatMap, markdown, page

load(scenarios, but=("locustfile",))


@dataclass(frozen=True)
class Claim:
    name: str = "skips"
    lie: str = "Skips the way."
    caught_by: str = "told-the-truth"
    under: str = "dropped-callbacks"
    also: tuple[str, ...] = ()


def trial(engine: str = "suite", seed: int = 1, seconds: float | None = 1.5, *by: str, mutant: str = "skips") -> Trial:
    return Trial(mutant, engine, seed, by or ("told-the-truth",) if seconds else (), "calm", seconds, 3, budget_s=20)


def cell(*trials: Trial) -> Cell:
    return Cell(trials, "told-the-truth")


@pytest.mark.parametrize(
    ("trials", "said", "shade"),
    [
        ((), "", "blank"),
        ((trial(),), "1.5 s", "caught-1"),
        ((trial(seconds=1.0),), "1.0 s", "caught-0"),
        ((trial(seconds=60.0),), "60.0 s", "caught-4"),
        ((trial(seconds=None),), "not in 20 s", "missed"),
        ((trial(seed=1, seconds=2.0), trial(seed=2, seconds=9.0), trial(seed=3, seconds=4.0)), "4.0 s", "caught-2"),
        ((trial(seed=1, seconds=2.0), trial(seed=2, seconds=None)), "2.0 s (1 of 2)", "caught-1"),
        ((Trial("skips", "fuzz", 1, why="it sees no such thing"),), "n/a", "idle"),
    ],
)
def test_a_cell_says_no_more_than_was_tried(trials: tuple[Trial, ...], said: str, shade: str) -> None:
    """The median of those that caught it, how many of them did, and else how long was tried."""
    assert (cell(*trials).said, cell(*trials).shade) == (said, shade)


def test_a_cell_names_another_promise_that_was_broken_instead() -> None:
    assert cell(trial()).otherwise == ""
    assert cell(trial("suite", 1, 1.0, "told-the-truth", "settles-in-time")).otherwise == ""
    assert cell(trial("suite", 1, 1.0, "settles-in-time")).otherwise == "settles-in-time"


def measured(*trials: Trial) -> Measured:
    found = Measured(made_on={"2026-01-02": "a machine"})
    for each in trials:
        found.add(each)
    return found


def test_a_trial_that_is_made_again_takes_the_place_of_the_first() -> None:
    """Of the same mutant, engine and seed; a failed one takes nobody's."""
    found = measured(trial(seconds=1.0), trial(seed=2, seconds=2.0), trial(seconds=9.0))
    found.add(Failed("the stack did not come up"))
    found.add(Shortest("skips", 4, 17, (3, 3), ""))
    found.add(Shortest("skips", 3, 17, (3, 3), ""))

    assert [(each.seed, each.seconds) for each in found.trials] == [(1, 9.0), (2, 2.0)]
    assert [each.steps for each in found.shortest] == [3]


def test_what_was_measured_of_mutants_that_are_gone_is_forgotten() -> None:
    found = measured(trial(mutant="gone"), trial())
    found.forget(but=["skips"])

    assert [each.mutant for each in found.trials] == ["skips"]
    assert found.made_on == {}


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    """And an empty one is read where there is none."""
    found = measured(trial(), trial("fuzz", 1, None))
    found.add(Shortest("skips", 4, 17, (3, 3), "20 s were spent"))
    found.write(tmp_path / "record.json")

    assert Measured.read(tmp_path / "record.json") == found
    assert Measured.read(tmp_path / "none.json") == Measured()


def test_the_map_counts_what_was_tried_and_what_was_not() -> None:
    found = measured(trial(), trial("fuzz", 1, None), trial("explore", 1, 40.0))
    heat = HeatMap.of({"lost": [Claim(), Claim("other")]}, found)
    said = list(heat.summary())

    assert said[:4] == [
        "1 of 1 planted bugs that were tried were caught by at least one engine",
        "1 were not tried",
        "suite: 1 of 1 that it was tried on, half of them within 1.5 s",
        "explore: 1 of 1 that it was tried on, half of them within 40.0 s",
    ]
    assert said[4] == "fuzz: 0 of 1 that it was tried on"
    assert "its scenario takes at most 2 s (the aim) for 1 of 1, and at worst 1.5 s" in said


def test_the_section_of_the_track_record_is_replaced_and_kept() -> None:
    """Whatever stands before it stays."""
    heat = HeatMap.of({"lost": [Claim()]}, measured(trial()))
    once = with_section("# Track record\n\nfirst\n", markdown(heat))

    assert with_section(once, markdown(heat)) == once
    assert once.startswith("# Track record\n\nfirst\n\n" + HEADING)
    assert "| skips | 1.5 s |  |  |  |  |  |" in once


def test_the_page_shows_every_mutant_and_hides_no_markup() -> None:
    heat = HeatMap.of({"lost": [Claim(lie="<b>Skips.</b>")]}, measured(trial()))
    html = page(heat, "topup-chaos mutants")

    assert '<span class="heat caught-1"' in html
    assert "&lt;b&gt;Skips." in html and "<b>Skips." not in html


@pytest.mark.parametrize(
    ("claim", "idle"),
    [
        (Claim(), {"fuzz"}),
        (Claim(caught_by="credited-at-most-once", under="duplicate-callbacks"), set()),
        (Claim(caught_by="only-real-payments-credit", under="forged-unsigned"), {"sweep", "interleave"}),
    ],
    ids=["what is said", "what is credited", "what is forged"],
)
def test_an_engine_is_not_blamed_for_what_it_cannot_do(claim: Claim, idle: set[str]) -> None:
    assert {engine for engine in ENGINES if not_applicable(claim, engine)} == {*idle}


def test_plans_are_made_shorter_once_however_many_seeds_there_are() -> None:
    """And the lines of a record come whole, one after another."""
    budget = Budget(target=Path("target.toml"), seconds=20)
    todo = [
        (task.mutant.name, task.engine, task.seed)
        for task in tasks([Claim("a"), Claim("b")], ["suite", SHORTEN], [1, 2], budget, "")
    ]

    assert todo == [
        ("a", "suite", 1), ("a", "suite", 2), ("a", SHORTEN, 1),
        ("b", "suite", 1), ("b", "suite", 2), ("b", SHORTEN, 1),
    ]  # fmt: skip
