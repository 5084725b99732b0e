"""What keeps planted bugs honest: each departs from the reference in one thing, claims what there is, and is held to it."""

import inspect
import io
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console
from typing_extensions import override

import harness.invariants
import scenarios
from harness.engines.track_record import CALM, TrackRecord, track_record_plans
from harness.history import History
from harness.plan import Plan
from harness.registry import Registry, load
from harness.run import Run
from harness.scenario import SCENARIOS
from harness.verdict import INVARIANTS, Status, Verdict
from reference_impl import mutants
from reference_impl.mutants import THEMES, Mutant, by_theme, catalogue, changed, mutant, source
from reference_impl.parts import Parts
from reference_impl.states import State, States

load(harness.invariants)
load(scenarios, but=("locustfile",))
MUTANTS = catalogue()

each_mutant = pytest.mark.parametrize("name", MUTANTS)

# At registration


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Registry[Mutant]:
    """An empty registry in the place of the real one."""
    registry: Registry[Mutant] = Registry("mutant")
    monkeypatch.setattr(mutants, "MUTANTS", registry)
    return registry


def plant(part: type) -> type:
    return mutant(caught_by="transitions-are-legal", under="calm", also=("drop",))(part)


class Skips(States):
    """Skips the way, and nobody
    recorded it."""

    @override
    def path(self, current: State, target: State) -> tuple[State, ...]:
        return (target,)


def test_a_mutant_is_registered_under_its_files_name_with_its_claim(registered: Registry[Mutant]) -> None:
    """Its lie is its docstring, on one line."""
    assert plant(Skips) is Skips
    [found] = registered.values()
    assert (found.name, found.part) == ("test-mutant-guards", Skips)
    assert found.lie == "Skips the way, and nobody recorded it."
    assert (found.caught_by, found.under, found.also) == ("transitions-are-legal", "calm", ("drop",))


def test_a_second_mutant_of_one_name_is_refused(registered: Registry[Mutant]) -> None:
    plant(Skips)
    with pytest.raises(ValueError, match="mutant 'test-mutant-guards' is already registered"):
        plant(Skips)
    assert len(registered) == 1


def refused(registered: Registry[Mutant], part: type) -> str:
    with pytest.raises(TypeError) as caught:
        plant(part)
    assert not registered
    return str(caught.value)


def test_a_mutant_that_overrides_nothing_is_refused(registered: Registry[Mutant]) -> None:
    class Idle(States):
        """Does nothing."""

    assert refused(registered, Idle) == "Idle must override exactly one thing States has, not []"


def test_a_mutant_that_overrides_two_things_is_refused(registered: Registry[Mutant]) -> None:
    class Busy(States):
        """Does too much."""

        TARGETS = {}  # noqa: RUF012

        def path(self, current: State, target: State) -> tuple[State, ...]:
            return (target,)

    assert refused(registered, Busy) == "Busy must override exactly one thing States has, not ['TARGETS', 'path']"


def test_a_mutant_of_something_that_its_parent_has_not_is_refused(registered: Registry[Mutant]) -> None:
    """A renamed method would otherwise make a spectator of it."""

    class Renamed(States):
        """Means well."""

        def paht(self, current: State, target: State) -> tuple[State, ...]:
            return (target,)

    assert refused(registered, Renamed) == "Renamed must override exactly one thing States has, not ['paht']"


def test_a_mutant_that_is_the_reference_again_is_refused(registered: Registry[Mutant]) -> None:
    """By its text: that it is another object is no difference."""

    class Same(States):
        """Changes nothing."""

        path = States.path

    class SameValue(States):
        """Changes nothing either."""

        TARGETS = dict(States.TARGETS)  # noqa: RUF012

    assert refused(registered, Same) == "Same.path is the reference's own: the mutant changes nothing"
    assert refused(registered, SameValue) == "SameValue.TARGETS is the reference's own: the mutant changes nothing"


def test_the_mark_of_an_override_is_no_difference() -> None:
    assert not any("@override" in line for line in source(Skips, "path"))
    assert source(Skips, "path")[0].strip().startswith("def path(")


def test_a_mutant_of_no_part_is_refused(registered: Registry[Mutant]) -> None:
    """Nor is a mutant of a mutant one: it would depart in two things."""

    class Parent:
        def path(self) -> int:
            return 1

    class Child(Parent):
        """Stands in for nothing."""

        def path(self) -> int:
            return 2

    class Grandchild(Skips):
        """Skips even more."""

        def path(self, current: State, target: State) -> tuple[State, ...]:
            return ()

    assert refused(registered, Child) == "Child is no direct subclass of a part of the service"
    assert refused(registered, Grandchild) == "Grandchild is no direct subclass of a part of the service"


def test_a_mutant_that_does_not_say_what_it_does_is_refused(registered: Registry[Mutant]) -> None:
    class Silent(States):
        def path(self, current: State, target: State) -> tuple[State, ...]:
            return (target,)

    assert refused(registered, Silent) == "Silent needs a docstring: the bug in one sentence"


def test_a_changed_value_may_say_its_type(registered: Registry[Mutant]) -> None:
    """What it is annotated with is not another thing that it changes."""

    class Forgetful(States):
        """Has never heard of a failure."""

        TARGETS: dict[str, State] = {"captured": State.CREDITED}  # type: ignore[misc]  # noqa: RUF012

    assert changed(Forgetful) == ["TARGETS"]
    plant(Forgetful)
    [found] = registered.values()
    assert "+TARGETS = {'captured': " in found.diff


# Every mutant that there is


@each_mutant
def test_a_mutant_departs_from_the_reference_in_one_thing(name: str) -> None:
    """All else that it has is its parent's very own."""
    part = MUTANTS[name].part
    parent, [attribute] = part.__mro__[1], changed(part)
    own = {each for each in dir(parent) if not (each.startswith("__") and each.endswith("__"))} | {attribute}
    other = {each for each in own if inspect.getattr_static(part, each) is not inspect.getattr_static(parent, each)}
    assert other == {attribute}


@each_mutant
def test_a_diff_shows_that_one_thing(name: str) -> None:
    """Its two sides are named, and differ."""
    planted = MUTANTS[name]
    [attribute] = changed(planted.part)
    lines = planted.diff.splitlines()
    assert lines[0].strip() == f"--- {planted.part.__mro__[1].__name__}.{attribute}"
    assert lines[1].strip() == f"+++ {planted.part.__name__}.{attribute}"
    assert any(line.startswith(("+", "-")) for line in lines[2:])


@each_mutant
def test_a_mutant_takes_the_place_of_its_parent_and_of_nothing_else(name: str) -> None:
    planted, whole = MUTANTS[name], Parts()
    exchanged = [
        (getattr(whole, each.name), getattr(planted.parts, each.name))
        for each in fields(Parts)
        if getattr(whole, each.name) is not getattr(planted.parts, each.name)
    ]
    assert exchanged == [(planted.part.__mro__[1], planted.part)]


@each_mutant
def test_a_claim_names_what_there_is(name: str) -> None:
    """And calm exposes nothing."""
    planted = MUTANTS[name]
    assert planted.caught_by in INVARIANTS
    exposing = (planted.under, *planted.also)
    assert set(exposing) <= set(SCENARIOS) - {CALM}
    assert len(set(exposing)) == len(exposing)


@each_mutant
def test_a_mutant_claims_what_its_scenario_is_about(name: str) -> None:
    planted = MUTANTS[name]
    assert planted.caught_by in SCENARIOS[planted.under].about


@each_mutant
def test_a_lie_is_a_sentence(name: str) -> None:
    assert MUTANTS[name].lie[0].isupper()
    assert MUTANTS[name].lie.endswith(".")


def test_every_mutant_stands_under_one_theme() -> None:
    """And a theme names promises that there are, each once."""
    grouped = [each.name for several in by_theme().values() for each in several]
    assert sorted(grouped) == sorted(MUTANTS)
    assert set(by_theme()) >= set(THEMES)
    promises = [promise for several in THEMES.values() for promise in several]
    assert len(promises) == len(set(promises))
    assert set(promises) <= set(INVARIANTS)


def test_every_mutant_stands_in_the_table_of_mistakes() -> None:
    """And the table names none that is gone."""
    page = (Path(mutants.__file__).parent / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`([a-z]+(?:-[a-z]+)+)`", page)) == set(MUTANTS)


def test_there_are_sixty_mutants_at_least() -> None:
    assert len(MUTANTS) >= 60


def test_every_promise_catches_a_mutant() -> None:
    """One that never fires is decoration."""
    assert {planted.caught_by for planted in MUTANTS.values()} == set(INVARIANTS)


def test_every_scenario_but_calm_exposes_a_mutant() -> None:
    exposing = {name for planted in MUTANTS.values() for name in (planted.under, *planted.also)}
    assert set(SCENARIOS) - exposing == {CALM}


# The track record


@dataclass(frozen=True)
class Claim:
    """A planted bug that need not exist."""

    name: str = "skips"
    lie: str = "Skips the way."
    caught_by: str = "told-the-truth"
    under: str = "drop"
    also: tuple[str, ...] = ("delay",)


def verdict(invariant: str, status: Status) -> Verdict:
    return Verdict(invariant, "It is so.", status, because="nothing to judge" if status is Status.UNKNOWN else "")


def ran(scenario: str, mutant: str | None = "skips", *broken: str, status: Status = Status.HOLDS) -> Run:
    verdicts = (verdict("settles-in-time", status), *(verdict(name, Status.BROKEN) for name in broken))
    return Run(
        plan=Plan(scenario, "What is told.", 7, (), ()),
        target="reference",
        mutant=mutant,
        proxies="embedded",
        versions={},
        started=datetime(2026, 1, 2, tzinfo=UTC),
        took_s=1.0,
        history=History(),
        verdicts=verdicts,
        payments=(),
        again="",
    )


SERVICE = [ran(scenario, None) for scenario in (CALM, "delay", "drop")]
HEALTHY, CAUGHT, EXPOSED = ran(CALM), ran("drop", "skips", "told-the-truth"), ran("delay", "skips", "settles-in-time")


def record(*runs: Run) -> TrackRecord:
    return TrackRecord([Claim()], [*SERVICE, *runs])


def test_a_claim_that_came_true() -> None:
    """Where it is also seen, it may break what it likes."""
    kept = record(HEALTHY, CAUGHT, EXPOSED)
    assert kept.problems() == []
    assert kept.as_claimed


@pytest.mark.parametrize(
    ("runs", "problem"),
    [
        ((CAUGHT, EXPOSED), "skips: calm was not run"),
        ((HEALTHY, EXPOSED), "skips: drop was not run"),
        ((HEALTHY, CAUGHT), "skips: delay was not run"),
        (
            (ran(CALM, "skips", "told-the-truth"), CAUGHT, EXPOSED),
            "skips: calm breaks ['told-the-truth'], and not []",
        ),
        (
            (ran(CALM, status=Status.UNKNOWN), CAUGHT, EXPOSED),
            "skips: not healthy in calm weather: settles-in-time: nothing to judge",
        ),
        ((HEALTHY, ran("drop"), EXPOSED), "skips: drop breaks [], and not ['told-the-truth']"),
        (
            (HEALTHY, ran("drop", "skips", "settles-in-time"), EXPOSED),
            "skips: drop breaks ['settles-in-time'], and not ['told-the-truth']",
        ),
        (
            (HEALTHY, ran("drop", "skips", "told-the-truth", "no-secret-in-logs"), EXPOSED),
            "skips: drop breaks ['no-secret-in-logs', 'told-the-truth'], and not ['told-the-truth']",
        ),
        ((HEALTHY, CAUGHT, ran("delay")), "skips: delay does not expose it"),
        (
            (HEALTHY, CAUGHT, EXPOSED, ran("drop", None, "told-the-truth")),
            "the service itself: drop is broken (told-the-truth)",
        ),
        (
            (HEALTHY, CAUGHT, EXPOSED, ran("drop", None, status=Status.UNKNOWN)),
            "the service itself: drop is unknown (settles-in-time: nothing to judge)",
        ),
    ],
)
def test_each_way_in_which_a_claim_can_fail(runs: tuple[Run, ...], problem: str) -> None:
    """One is found, and said in words."""
    failed = record(*runs)
    assert failed.problems() == [problem]
    assert not failed.as_claimed


def test_another_mutants_run_is_no_proof() -> None:
    """Nor is the service's own."""
    assert record(HEALTHY, ran("drop", "other", "told-the-truth"), EXPOSED).problems() == ["skips: drop was not run"]


def printed(kept: TrackRecord) -> str:
    sink = io.StringIO()
    kept.print(Console(file=sink, width=200))
    return sink.getvalue()


def test_a_track_record_counts_what_was_caught() -> None:
    """And says what was not."""
    assert printed(record(HEALTHY, CAUGHT, EXPOSED)) == "1 of 1 planted bugs caught as claimed\n"
    said = printed(record(HEALTHY, ran("drop"), ran("delay"), ran("drop", None, "told-the-truth")))
    assert said.count("not as claimed") == 3
    assert "skips: delay does not expose it" in said
    assert said.endswith("0 of 1 planted bugs caught as claimed\n")


@pytest.mark.parametrize(("last", "said"), [(EXPOSED, "yes"), (ran("delay"), "**no**")])
def test_the_page_has_a_line_for_each_planted_bug(last: Run, said: str) -> None:
    [line] = [line for line in record(HEALTHY, CAUGHT, last).markdown().splitlines() if line.startswith("| skips")]
    assert line == f"| skips | Skips the way. | told-the-truth | drop | delay | {said} |"


def test_a_track_record_is_made_of_calm_and_of_all_that_claims_to_expose() -> None:
    """On the service itself, and then on each mutant."""
    claims = [
        Claim("one", under="instant-duplicates", also=("dropped-callbacks",)),
        Claim("two", under="instant-duplicates", also=()),
    ]
    jobs = track_record_plans(claims, 7)
    assert [(job.mutant, job.plan.name) for job in jobs] == [
        (None, CALM),
        (None, "dropped-callbacks"),
        (None, "instant-duplicates"),
        ("one", CALM),
        ("one", "instant-duplicates"),
        ("one", "dropped-callbacks"),
        ("two", CALM),
        ("two", "instant-duplicates"),
    ]
    assert {job.plan.seed for job in jobs} == {7}
    assert jobs[0].again.endswith(" run calm --seed 7")
    assert jobs[4].again.endswith(" run instant-duplicates --seed 7 --mutant one")
