"""Plans: the same seed is the same plan, what is written down is read back, and every name in one names something."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from inspect import signature
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fake_provider.moods
import harness.faults
import harness.invariants
import scenarios
from fake_provider.dialects.standard_webhooks import FORGERIES
from fake_provider.moods import MOODS
from harness.engines.load import WEATHER, load_plan
from harness.faults import FAULTS
from harness.plan import (
    CONDITIONS,
    STEPS,
    Begin,
    Do,
    End,
    Join,
    Meanwhile,
    Operation,
    Plan,
    PlanError,
    Step,
    Wait,
    decode,
    encode,
)
from harness.registry import load
from harness.scenario import MONEY, SCENARIOS, Draft, Scenario, scenario
from harness.target import read
from harness.verdict import INVARIANTS

load(fake_provider.moods)
load(harness.faults)
load(harness.invariants)
load(scenarios, but=("locustfile",))

ROOT = Path(__file__).parent.parent.parent
TARGET = read(ROOT / "reference_impl" / "target.toml")
LINKS = ("edge", "db", "api", "hook")
NODES = ("service", "provider", "postgres")
AROUND_THE_TARGET = (
    "pay",
    "decline",
    "give_back",
    "dispute",
    "win",
    "lose",
    "forge",
    "advance",
    "play_out",
    "tell_again",
    "release",
    "load",
    "adopt_secret",
    "rotate_secret",
    "start_mixed",
    "assault",
    "send_again",
)
LOADS = {"a short load": (3, 1.0, 5), "a long load": (50, 10.0, 60), "hardly a load": (1, 0.5, 0)}


def plan_of(name: str, seed: int) -> Plan:
    """A scenario's plan, or that of a load run."""
    return load_plan(seed, *LOADS[name]) if name in LOADS else SCENARIOS[name].plan(seed)


each_plan = pytest.mark.parametrize("name", [*SCENARIOS, *LOADS])


# Written down, and read back

text = st.text(max_size=8)
scalars = text | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans()
args = st.dictionaries(text, scalars, max_size=3)
operations = st.builds(
    Operation,
    id=text,
    kind=text,
    about=text,
    amount_minor=st.integers(),
    currency=text,
    method=text,
    key=text,
    args=args,
)
leaves = (
    st.builds(Do, st.lists(operations, max_size=3).map(tuple))
    | st.builds(Begin, text, text, args)
    | st.builds(End, text)
    | st.builds(Join, text)
    | st.builds(Wait, st.sampled_from(CONDITIONS), st.floats(0, 60), args)
)
steps = st.recursive(
    leaves, lambda inner: st.builds(Meanwhile, text, st.lists(inner, max_size=3).map(tuple)), max_leaves=6
)
plans = st.builds(
    Plan,
    name=text,
    story=text,
    seed=st.integers(),
    steps=st.lists(steps, max_size=4).map(tuple),
    about=st.lists(text, max_size=3).map(tuple),
)


@given(plans)
def test_a_plan_read_back_is_the_plan_that_was_written(plan: Plan) -> None:
    """From text, and from what a history holds of it; written again it is the same text."""
    assert Plan.from_json(plan.to_json()) == plan
    assert decode(json.loads(json.dumps(encode(plan)))) == plan
    assert Plan.from_json(plan.to_json()).to_json() == plan.to_json()


@each_plan
def test_what_is_carried_out_can_be_replayed(name: str) -> None:
    plan = plan_of(name, 7)
    assert Plan.from_json(plan.to_json()) == plan


def test_an_operation_is_written_with_what_is_set_and_no_more() -> None:
    """Plans are read by people."""
    plan = Plan("a-plan", "", 1, (Do((Operation(id="t1", kind="top_up", amount_minor=500),)),), ())
    assert encode(plan)["steps"] == [
        {"step": "do", "operations": [{"id": "t1", "kind": "top_up", "amount_minor": 500}]}
    ]


def test_what_stands_in_the_background_is_part_of_the_plan() -> None:
    """Its operations and its faults, however deep."""
    deep = Meanwhile("m1", (Meanwhile("m2", (Do((Operation(id="o1", kind="pay"),)), Begin("x1", "refuse"))),))
    plan = Plan("a-plan", "", 1, (deep, Do((Operation(id="o2", kind="pay"),)), Begin("x2", "stall")), ())
    assert [operation.id for operation in plan.operations()] == ["o1", "o2"]
    assert [begin.id for begin in plan.faults()] == ["x1", "x2"]


# From a seed, and from nothing else


@each_plan
def test_the_same_seed_is_the_same_plan_to_the_byte(name: str) -> None:
    assert plan_of(name, 20).to_json() == plan_of(name, 20).to_json()


@given(seed=st.integers(0, 2**63), name=st.sampled_from([*SCENARIOS, *LOADS]))
def test_any_seed_will_do(seed: int, name: str) -> None:
    plan = plan_of(name, seed)
    assert plan.seed == seed
    assert plan.to_json() == plan_of(name, seed).to_json()


def test_another_process_makes_the_same_plans() -> None:
    """Whatever its hashes are seeded with: else nobody could repeat what somebody else saw."""
    program = (
        "import scenarios\n"
        "from harness.engines.load import load_plan\n"
        "from harness.registry import load\n"
        "from harness.scenario import SCENARIOS\n"
        "load(scenarios, but=('locustfile',))\n"
        "for scenario in SCENARIOS.values():\n"
        "    print(ascii(scenario.plan(20).to_json()))\n"
        "print(ascii(load_plan(20, 3, 1.0, 30).to_json()))\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    made = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    here = [scenario.plan(20) for scenario in SCENARIOS.values()] + [load_plan(20, 3, 1.0, 30)]
    assert made.stdout.splitlines() == [ascii(plan.to_json()) for plan in here]


@each_plan
def test_another_seed_is_other_amounts(name: str) -> None:
    """And the same story."""
    one, other = plan_of(name, 20), plan_of(name, 21)
    assert amounts(one) != amounts(other)
    assert [operation.kind for operation in one.operations()] == [operation.kind for operation in other.operations()]
    assert (one.name, one.story, one.about) == (other.name, other.story, other.about)


def amounts(plan: Plan) -> list[int]:
    return [operation.amount_minor for operation in plan.operations() if operation.kind == "top_up"]


def test_the_weather_of_a_load_run_comes_in_an_order_of_its_seed() -> None:
    """Every kind of it, in a run that is long enough."""
    one, other = (load_plan(seed, 10, 5.0, 60).faults() for seed in (20, 21))
    assert [(each.fault, each.args) for each in one] != [(each.fault, each.args) for each in other]
    assert all(any((each.fault, each.args) == weather for each in one) for weather in WEATHER)


# What is no plan

GOOD: dict[str, Any] = {
    "name": "a-plan",
    "story": "What is told here.",
    "seed": 7,
    "about": ["told-the-truth"],
    "steps": [
        {"step": "do", "operations": [{"id": "t1", "kind": "top_up"}]},
        {"step": "wait", "until": "time-passed", "at_most_s": 1.0},
    ],
}


def refused(data: Any) -> str:
    with pytest.raises(PlanError) as caught:
        decode(data)
    with pytest.raises(PlanError):
        Plan.from_json(json.dumps(data))
    return str(caught.value)


def test_the_good_plan_is_one() -> None:
    """Or the refusals below would prove nothing."""
    assert encode(decode(GOOD))["name"] == "a-plan"


@pytest.mark.parametrize("field", GOOD)
def test_a_field_that_is_missing_is_named(field: str) -> None:
    """With all that a plan needs."""
    said = refused({name: value for name, value in GOOD.items() if name != field})
    assert said == f"the plan has no '{field}': it needs name, story, seed, steps and about"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("about", value) for value in ("told-the-truth", {"told-the-truth": 1}, None, 7)),
        *(("steps", value) for value in ("do", {"step": "do"}, None, 7)),
        *(("seed", value) for value in ("7", 7.5, None, [7])),
    ],
)
def test_a_field_of_another_kind_is_named_and_shown(field: str, value: Any) -> None:
    said = refused({**GOOD, field: value})
    assert f"`{field}` is a" in said
    assert said.endswith(f"this is {value!r}")


@pytest.mark.parametrize(
    ("step", "says"),
    [
        ({"step": "dew"}, "`step` is one of do, begin, end, meanwhile, join, wait"),
        ({"operations": []}, "`step` is one of"),
        ("do", "`step` is one of"),
        (None, "`step` is one of"),
        ({"step": "wait", "until": "hell-freezes", "at_most_s": 1}, "`until` is one of callbacks-attempted"),
        ({"step": "wait", "at_most_s": 1}, "`until` is one of"),
        ({"step": "wait", "until": "time-passed"}, "'at_most_s'"),
        ({"step": "begin", "id": "x1"}, "'fault'"),
        ({"step": "begin", "fault": "stall"}, "'id'"),
        ({"step": "end"}, "'id'"),
        ({"step": "join", "id": "m1", "soon": True}, "'soon'"),
        ({"step": "do"}, "'operations'"),
        ({"step": "do", "operations": [{"id": "t1"}]}, "'kind'"),
        ({"step": "do", "operations": [{"kind": "pay"}]}, "'id'"),
        ({"step": "do", "operations": [{"id": "t1", "kind": "pay", "amount": 1}]}, "'amount'"),
        ({"step": "meanwhile", "id": "m1"}, "'steps'"),
        ({"step": "meanwhile", "steps": []}, "'id'"),
        ({"step": "meanwhile", "id": "m1", "steps": [{"step": "wait", "until": "?"}]}, "`until` is one of"),
    ],
)
def test_a_step_that_does_not_read_is_told_by_its_field(step: Any, says: str) -> None:
    """Also in the background."""
    assert says in refused({**GOOD, "steps": [*GOOD["steps"], step]})


@pytest.mark.parametrize("data", [None, [], "a plan", 7])
def test_what_is_no_object_is_no_plan(data: Any) -> None:
    assert "does not read" in refused(data)


@pytest.mark.parametrize("text", ["", "{", "plan: yes"])
def test_what_is_not_json_is_no_plan(text: str) -> None:
    with pytest.raises(PlanError, match="a plan is JSON: "):
        Plan.from_json(text)


@given(
    st.recursive(
        st.none() | scalars,
        lambda inner: st.lists(inner) | st.dictionaries(text | st.sampled_from([*GOOD, "step"]), inner),
    )
)
def test_whatever_is_no_plan_is_said_to_be_none(data: Any) -> None:
    """And nothing else is raised."""
    try:
        decode(data)
    except PlanError:
        return
    assert isinstance(data, dict)


@given(st.data())
def test_a_plan_with_one_thing_exchanged_is_a_plan_or_an_error(data: st.DataObject) -> None:
    """Whatever is put in the place of one of its values."""
    plan = json.loads(json.dumps(GOOD))
    holder: Any = data.draw(st.sampled_from([plan, *plan["steps"], plan["steps"][0]["operations"][0]]))
    holder[data.draw(st.sampled_from(sorted(holder)))] = data.draw(st.none() | scalars | st.lists(scalars) | args)
    try:
        decode(plan)
    except PlanError as error:
        assert str(error)


def test_every_step_has_a_name() -> None:
    assert set(STEPS.values()) == set(Step.__args__)  # type: ignore[attr-defined]


# Every name in a plan names something


def all_steps(steps: tuple[Step, ...]) -> Iterator[Step]:
    """In the order in which they are begun."""
    for step in steps:
        yield step
        if isinstance(step, Meanwhile):
            yield from all_steps(step.steps)


def of(kind: type[Any], plan: Plan) -> list[Any]:
    return [step for step in all_steps(plan.steps) if isinstance(step, kind)]


@each_plan
def test_a_plan_is_about_promises_that_there_are(name: str) -> None:
    """Each once, and about money above all."""
    about = plan_of(name, 7).about
    assert set(about) <= set(INVARIANTS)
    assert len(set(about)) == len(about)
    assert "credited-at-most-once" in about


@each_plan
def test_a_plan_has_faults_that_there_are_with_arguments_that_they_take(name: str) -> None:
    """On links and nodes of the stack, in moods of the provider."""
    for begin in plan_of(name, 7).faults():
        signature(FAULTS[begin.fault].begin).bind(None, **begin.args)
        assert begin.args.get("link", LINKS[0]) in LINKS
        assert begin.args.get("node", NODES[0]) in NODES
        assert str(begin.args.get("since", "edge")).partition(" ")[0] in ("", *LINKS)
        if begin.fault == "mood":
            arguments = {name: value for name, value in begin.args.items() if name != "mood"}
            assert arguments.keys() <= signature(MOODS[str(begin.args["mood"])]).parameters.keys()


@each_plan
def test_a_plan_has_operations_that_the_reference_or_the_world_around_it_has(name: str) -> None:
    for operation in plan_of(name, 7).operations():
        assert operation.kind in AROUND_THE_TARGET or TARGET.operations.named(operation.kind) is not None
        if operation.kind == "forge":
            assert operation.args["forgery"] in FORGERIES


@each_plan
def test_an_operation_is_about_one_that_comes_before_it(name: str) -> None:
    """A top-up about an account, a payment or a look about a top-up; every handle is one thing's alone."""
    of_top_ups = (
        "pay",
        "decline",
        "status",
        "return_from_provider",
        "forge",
        "refund",
        "give_back",
        "dispute",
        "win",
        "lose",
        "correct",
        "approve",
    )
    wanted = {
        "top_up": "open_account",
        "assault": "open_account",
        "balance": "open_account",
        **dict.fromkeys(of_top_ups, "top_up"),
    }
    kinds: dict[str, str] = {}
    for operation in plan_of(name, 7).operations():
        assert operation.id not in kinds
        if operation.kind == "send_again":  # whatever was overheard
            assert operation.about in kinds
        else:
            assert kinds.get(operation.about) == wanted.get(operation.kind)
        kinds[operation.id] = operation.kind


@each_plan
def test_a_plan_waits_for_conditions_that_there_are_within_a_bound(name: str) -> None:
    """A wait for a fault is for one that has begun."""
    begun: set[str] = set()
    for step in all_steps(plan_of(name, 7).steps):
        if isinstance(step, Begin):
            begun.add(step.id)
        if isinstance(step, Wait):
            assert step.until in CONDITIONS
            assert 0 < step.at_most_s <= 30
            assert (step.until == "fault-touched") == (step.args.get("fault") in begun)


@each_plan
def test_what_begins_ends_once_and_afterwards(name: str) -> None:
    """Faults, and what goes on in the background."""
    plan = plan_of(name, 7)
    order = list(all_steps(plan.steps))
    for first, then in ((Begin, End), (Meanwhile, Join)):
        begun, ended = of(first, plan), of(then, plan)
        assert sorted(step.id for step in begun) == sorted(step.id for step in ended)
        assert len({step.id for step in begun}) == len(begun)
        at = {step.id: order.index(step) for step in ended}
        assert all(order.index(step) < at[step.id] for step in begun)


def test_a_part_of_a_top_up_goes_back_once() -> None:
    """Each is another amount, and together they are less than a third of the whole; more than there are is refused."""
    draft = Draft(Random(7))
    top_up = draft.paid(parts=2)
    draft.refund(top_up)
    draft.give_back(top_up)
    draft.dispute(top_up)
    with pytest.raises(ValueError, match=f"{top_up} has no part left: ask for it with `parts=`"):
        draft.refund(top_up)
    amounts = {
        each.kind: each.amount_minor for step in draft.steps() if isinstance(step, Do) for each in step.operations
    }
    assert amounts["dispute"] == 0, "all that is left"
    assert amounts["refund"] != amounts["give_back"]
    assert 0 < 3 * (amounts["refund"] + amounts["give_back"]) < amounts["top_up"]


# A scenario


def test_a_scenario_opens_and_closes_with_a_top_up_as_it_should_be() -> None:
    """A service that refuses everything is not safe."""
    told = Scenario("a-scenario", "What is told.", MONEY, lambda draft: draft.reconcile()).plan(7)
    kinds = [operation.kind for operation in told.operations()]
    good = ["open_account", "top_up", "pay"]
    assert kinds == [*good, "reconcile", *good]


@each_plan
def test_every_plan_tells_its_story_and_says_it_in_words(name: str) -> None:
    plan = plan_of(name, 7)
    assert plan.story.endswith(".")
    assert amounts(plan)
    if name in SCENARIOS:
        assert (plan.name, plan.about[: len(MONEY)]) == (name, MONEY)


def test_what_is_asked_for_together_is_one_step() -> None:
    """Where accounts are opened beforehand."""
    told = Scenario("a-scenario", "What is told.", (), lambda draft: draft.top_ups_at_once(3)).plan(7)
    [volley] = [step for step in told.steps if isinstance(step, Do) and len(step.operations) > 1]
    assert [operation.kind for operation in volley.operations] == ["top_up"] * 3
    assert len({operation.about for operation in volley.operations}) == 3


def test_steps_in_the_background_stay_there() -> None:
    def tell(draft: Draft) -> None:
        with draft.meanwhile() as background, draft.fault("stall", link="api"):
            draft.reconcile()
        draft.join(background)

    told = Scenario("a-scenario", "What is told.", (), tell).plan(7)
    [meanwhile] = of(Meanwhile, told)
    assert [type(step) for step in meanwhile.steps] == [Begin, Do, End]
    assert told.steps[told.steps.index(meanwhile) + 1] == Join(meanwhile.id)


def test_a_scenario_without_a_story_is_refused() -> None:
    def silent(draft: Draft) -> None: ...

    with pytest.raises(TypeError, match="silent needs a docstring: the story that it tells"):
        scenario()(silent)


def test_a_second_scenario_of_one_name_is_refused() -> None:
    def another(draft: Draft) -> None:
        """Something else."""

    another.__module__ = "scenarios.calm"
    with pytest.raises(ValueError, match="scenario 'calm' is already registered"):
        scenario()(another)
    assert SCENARIOS["calm"].story.startswith("Nothing goes wrong")
