"""Stories that Hypothesis tells: which plans they are, what an exploration comes to, what is written of a finding."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pytest

from harness.cli import load_everything
from harness.engines.explore.engine import Explore, Telling
from harness.engines.explore.kept import TRIES, Kept
from harness.engines.explore.machine import TopUpMachine, stories
from harness.engines.explore.told import Told
from harness.engines.explore.trouble import KINDS, MOODS, SURGERY
from harness.engines.explore.writing import as_scenario, as_test
from harness.engines.suite import Order
from harness.history import Event, History
from harness.plan import Begin, Do, End, Operation, Plan, decode, encode
from harness.provider import Speech
from harness.registry import Registry
from harness.run import Run, Suite
from harness.runner import validate
from harness.scenario import Draft
from harness.shorter import flaw
from harness.verdict import Status, Verdict
from reports import junit
from reports.html import explanation

load_everything()
EXAMPLES = 50
MOODY: set[object] = {mood["mood"] for mood in MOODS}


def told(number: int, examples: int = EXAMPLES, machine: type[TopUpMachine] = TopUpMachine) -> list[Plan]:
    """The plans of one exploration, none of them carried out."""
    return list(islice(stories(machine, Random(number)), examples))


@pytest.fixture(scope="module")
def plans() -> list[Plan]:
    return told(7)


def test_the_same_seed_tells_the_same_stories(plans: list[Plan]) -> None:
    """To the byte; and another seed tells others."""
    assert [plan.to_json() for plan in told(7)] == [plan.to_json() for plan in plans]
    assert [plan.to_json() for plan in told(8, 3)] != [plan.to_json() for plan in plans]


def test_every_story_is_a_plan_like_any_other(plans: list[Plan]) -> None:
    """It can be carried out, written down, read again and made shorter."""
    assert len(plans) >= EXAMPLES
    assert len({plan.seed for plan in plans}) > 0.8 * len(plans)
    for plan in plans:
        validate(plan)
        assert not flaw(plan)
        assert decode(encode(plan)) == plan


def test_every_fault_ends_and_no_two_have_a_hand_on_the_same_thing(plans: list[Plan]) -> None:
    """Else healing one would heal the other, and neither would be what the story says."""
    for plan in plans:
        held: dict[str, set[object]] = {}
        for step in plan.steps:
            if isinstance(step, Begin):
                mine = {step.args[name] for name in ("link", "node", "mood") if name in step.args}
                assert not any(mine & others for others in held.values())
                others = {place for places in held.values() for place in places}
                assert "provider" not in mine or not others & MOODY  # a mood begins and ends at a provider that lives
                assert "provider" not in others or not mine & MOODY
                held[step.id] = mine
            elif isinstance(step, End):
                del held[step.id]
        assert not held


def test_the_rules_reach_every_kind_of_fault_and_volleys(plans: list[Plan]) -> None:
    """What no story has in it is not explored."""
    faults = {begin.fault for plan in plans for begin in plan.faults()}
    nodes = {str(begin.args["node"]) for plan in plans for begin in plan.faults() if begin.fault == "kill"}
    kinds = {operation.kind for plan in plans for operation in plan.operations()}

    assert {"latency", "kill", "pause", "refuse", "mood", *SURGERY} <= faults
    assert nodes == {"service", "postgres", "provider"}
    assert {"forge", "advance", "refund", "reconcile", "release", "decline", "status"} <= kinds
    assert {"give_back", "dispute"} <= kinds and {"win", "lose"} & kinds
    assert any(len(step.operations) > 1 for plan in plans for step in plan.steps if isinstance(step, Do))


def test_the_swarm_switches_whole_kinds_off() -> None:
    """In every exploration some stories have no mood at all, and others hardly anything else."""
    weights: list[dict[str, int]] = []

    class Weighed(TopUpMachine):
        def teardown(self) -> None:
            super().teardown()
            weights.append(self.weights)

    told(1, machine=Weighed)

    for kind in KINDS:
        assert {0, 10} <= {each[kind] for each in weights}


PLAN = Plan("explored-1", "A story.", 1, (Begin("x1", "mood", {"mood": "drop"}), End("x1")), ())


def a_run(*verdicts: tuple[str, Status], touched: int = 1) -> Run:
    ended = Event(at=0.0, actor="harness", kind="fault-ended", facts={"id": "x1", "fault": "mood", "touched": touched})
    return Run(
        plan=PLAN,
        target="reference",
        mutant=None,
        proxies="",
        versions={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        took_s=0.0,
        history=History.merged([ended]),
        verdicts=tuple(Verdict(name, "", status) for name, status in verdicts),
        payments=(),
        again="",
    )


def suite_of(*runs: Run) -> Suite:
    started = datetime(2026, 1, 1, tzinfo=UTC)
    return Suite(name="explore", started=started, took_s=1.0, runs=runs, folder=Path(), again="again", drawn=True)


IDLE = a_run(("faults-bite", Status.UNKNOWN), touched=0)
HELD = a_run(("told-the-truth", Status.HOLDS))
UNREAD = a_run(("books-are-read", Status.UNKNOWN))
BROKEN = a_run(("told-the-truth", Status.BROKEN), ("books-are-read", Status.UNKNOWN))


@pytest.mark.parametrize(
    ("runs", "status"),
    [
        ([HELD, IDLE], Status.HOLDS),
        ([IDLE], Status.UNKNOWN),
        ([], Status.UNKNOWN),
        ([HELD, UNREAD], Status.UNKNOWN),
        ([a_run(("told-the-truth", Status.HOLDS), touched=0)], Status.UNKNOWN),
        ([HELD, UNREAD, BROKEN], Status.BROKEN),
    ],
    ids=["an idle fault", "idle faults only", "nothing", "an unread book", "nothing bit", "one broken"],
)
def test_what_an_exploration_comes_to(runs: list[Run], status: Status) -> None:
    """An idle fault alone spoils nothing; an exploration in which nothing bit or nothing was judged is unknown."""
    assert suite_of(*runs).status is status


def test_what_was_not_drawn_by_chance_is_not_forgiven() -> None:
    """A plan that somebody wrote and that proved nothing is unknown, and so is its suite."""
    assert replace(suite_of(HELD, IDLE), drawn=False).status is Status.UNKNOWN


def test_a_story_that_proved_nothing_is_skipped_and_not_passed() -> None:
    """In JUnit; and the page does not count it among what held."""
    suite = suite_of(HELD, HELD, IDLE)

    assert 'tests="3" failures="0" errors="0" skipped="1"' in junit.render(suite)
    assert "held, in 2 runs" in explanation(suite)
    assert "nothing was proved" in explanation(suite_of(IDLE))


def test_a_run_that_is_unknown_for_two_reasons_is_not_forgiven() -> None:
    """Only where the plan alone is to blame."""
    both = a_run(("faults-bite", Status.UNKNOWN), ("books-are-read", Status.UNKNOWN))

    assert (IDLE.unproved, both.unproved, HELD.unproved) == (True, False, False)


def test_the_summary_counts_what_bit_by_kind_and_what_did_not() -> None:
    lines = Told.of([HELD, HELD, IDLE]).lines()

    assert lines[0] == "3 examples · 6 steps · 2 faults that bit, 1 not"
    assert lines[1] == "bit: mood drop 2"
    assert lines[2].startswith("1 example unknown")


STORY = Plan(
    "found",
    "Found.",
    3,
    (
        Do((Operation(id="a1", kind="open_account", currency="EUR", args={"customer": "someone"}),)),
        Begin("x2", "mood", {"mood": "duplicate"}),
        Do((Operation(id="t3", kind="top_up", about="a1", amount_minor=100, currency="EUR", method="card", key="t3"),)),
        End("x2"),
    ),
    ("credited-at-most-once",),
)


def test_what_is_kept_is_a_plan_of_one_service_mutant_and_dialect(tmp_path: Path) -> None:
    """A finding on a planted bug is none on the service itself."""
    kept = Kept(tmp_path, "reference", "a-mutant", None)
    kept.keep(STORY)

    assert Kept(tmp_path, "reference", "a-mutant", None).plans() == [STORY]
    for others in (("reference", None, None), ("reference", "a-mutant", "stripe"), ("other", "a-mutant", None)):
        assert Kept(tmp_path, *others).plans() == []
    kept.forget(STORY)
    assert kept.plans() == []


def test_a_kept_plan_that_can_no_longer_be_carried_out_is_forgotten(tmp_path: Path) -> None:
    """A fault was renamed: the plan says nothing any more, and no exploration may die of it."""
    kept = Kept(tmp_path, "reference", None, None)
    kept.keep(replace(STORY, steps=(Begin("x1", "a-fault-of-old", {}), End("x1"))))
    kept.keep(STORY)

    assert kept.plans() == [STORY]
    assert len([file for file in tmp_path.rglob("*") if file.is_file() and b"a-fault-of-old" in file.read_bytes()]) == 0


def test_only_what_the_dialect_knows_is_told() -> None:
    """What a dialect cannot say would make every story of it unknown."""
    speech = Speech(
        frozenset({"payment.captured"}), frozenset({"unsigned", "wrong-key"}), frozenset({"drop", "dispute"})
    )
    plans = told(7, 25, type("Terse", (TopUpMachine,), {"speech": speech}))
    operations = [operation for plan in plans for operation in plan.operations()]

    assert not {"dispute", "win", "lose"} & {operation.kind for operation in operations}
    assert {operation.args["forgery"] for operation in operations if operation.kind == "forge"} == speech.forgeries
    assert {begin.args["mood"] for plan in plans for begin in plan.faults() if begin.fault == "mood"} == {"drop"}


class Listening:
    """Somebody who watches, and counts findings."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.found = 0

    def begins(self, name: str) -> None:
        self.begun.append(name)

    def finished(self, run: Run) -> None: ...

    def finds(self) -> None:
        self.found += 1


def telling(
    listening: Listening, *, examples: int | None = None, time_s: float | None = None, kept: Kept | None = None
) -> Telling:
    asked = Explore(
        order=Order(name="explore", jobs=[], target=Path(), seed=7, again=""),
        mutant="a-mutant",
        examples=examples,
        time_s=time_s,
        again=lambda plan: f"again {plan.name}",
        found=listening.finds,
        kept=kept,
        reuse=True,
    )
    return Telling(asked, listening)


SPEECH = Speech(frozenset({"payment.captured"}), frozenset({"unsigned"}), frozenset({"drop"}))


def test_an_exploration_ends_with_the_first_story_that_is_broken(tmp_path: Path) -> None:
    """It is told of at once, and kept."""
    kept, listening = Kept(tmp_path, "reference", "a-mutant", None), Listening()
    told = telling(listening, kept=kept)
    jobs = told.jobs(SPEECH)
    first, second = next(jobs), next(jobs)
    told.finished(replace(HELD, plan=first.plan))
    told.finished(replace(BROKEN, plan=second.plan))

    assert next(jobs, None) is None
    assert (first.again, first.mutant) == (f"again {first.plan.name}", "a-mutant")
    assert listening.found == 1
    assert kept.plans() == [second.plan]


@pytest.mark.parametrize("budget", [{"examples": 3}, {"time_s": 0.0}], ids=["so many", "so long"])
def test_an_exploration_ends_with_its_budget(budget: dict[str, Any]) -> None:
    assert len(list(telling(Listening(), **budget).jobs(SPEECH))) == budget.get("examples", 0)


@pytest.mark.parametrize("held", [TRIES, TRIES - 1])
def test_what_was_kept_is_told_first_and_forgotten_once_it_has_held_so_often(tmp_path: Path, held: int) -> None:
    """In whatever order its runs come to their end: stacks work side by side."""
    kept = Kept(tmp_path, "reference", "a-mutant", None)
    kept.keep(STORY)
    told = telling(Listening(), examples=2, kept=kept)
    jobs = list(told.jobs(SPEECH))
    new = jobs[TRIES:]
    assert [job.plan for job in jobs[:TRIES]] == [STORY] * TRIES
    assert [job.plan.name == STORY.name for job in new] == [False, False]

    for job in [*new, *jobs[:held]]:
        told.finished(replace(HELD, plan=job.plan))
    assert kept.plans() == ([] if held == TRIES else [STORY])


@pytest.fixture
def a_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry[object]]:
    """Scenarios of this test's own."""
    registry: Registry[object] = Registry("scenario")
    monkeypatch.setattr("harness.scenario.SCENARIOS", registry)
    yield registry


def test_a_finding_becomes_a_scenario(a_registry: Registry[object]) -> None:
    """All its steps stand between the calm beginning and the calm end, and no handle is there twice."""
    source = as_scenario(STORY, "a_finding")
    exec(compile(source, "a_finding.py", "exec"), {"__name__": "scenarios.a_finding"})
    plan: Plan = a_registry["a-finding"].plan(1)  # type: ignore[attr-defined]

    validate(plan)
    assert not flaw(plan)
    ids = [operation.id for operation in plan.operations()]
    assert len(ids) == len(set(ids))
    assert [begin.args["mood"] for begin in plan.faults()] == ["duplicate"]
    assert len([each for each in plan.operations() if each.kind == "top_up"]) == 3


def test_a_retold_wait_waits_for_the_retold_fault() -> None:
    """What is renamed in one place is renamed in all."""
    draft = Draft(Random(1))
    other = Draft(Random(2))
    with other.fault("mood", mood="drop") as fault:
        other.touched(fault)
    draft.retell(replace(STORY, steps=other.steps()))
    begin, wait, end = draft.steps()

    assert isinstance(begin, Begin) and isinstance(end, End)
    assert begin.id == end.id == wait.args["fault"] == "ex1"  # type: ignore[union-attr]


def test_a_finding_becomes_a_test() -> None:
    """The plan in it is the plan."""
    source = as_test(STORY, Path("target.toml"), "a-mutant", "test_a_finding")
    names: dict[str, object] = {"__name__": "test_a_finding"}
    exec(compile(source, "test_a_finding.py", "exec"), names)

    assert names["PLAN"] == STORY
    assert names["MUTANT"] == "a-mutant"
    assert callable(names["test_a_finding"])
