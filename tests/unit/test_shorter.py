"""What may be left out of a plan, and the search for a plan from which nothing more can go: no stack, only properties."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace
from random import Random
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import load_everything
from harness.flow import FLOWS
from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Step, Wait, decode, encode
from harness.scenario import SCENARIOS
from harness.shorter import Part, Search, Spent, candidates, flaw, parts, weight, without

load_everything()


def plan(*steps: Step) -> Plan:
    return Plan("story", "A story.", 7, steps, ("kept",))


def account(id: str) -> Operation:
    return Operation(id=id, kind="open_account", currency="EUR")


def top_up(id: str, about: str, amount_minor: int = 177) -> Operation:
    return Operation(
        id=id, kind="top_up", about=about, amount_minor=amount_minor, currency="EUR", method="card", key=id
    )


def pay(id: str, about: str) -> Operation:
    return Operation(id=id, kind="pay", about=about)


def do(*operations: Operation) -> Do:
    return Do(operations)


def searched(plan: Plan, broken: Callable[[Plan], bool]) -> Search:
    async def ask(candidate: Plan) -> bool:
        return broken(candidate)

    search = Search(plan, ask)
    asyncio.run(search.run())
    return search


class Drawn:
    """A plan in the making, out of what Hypothesis draws."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw, self.count = draw, 0
        self.accounts: list[str] = []
        self.top_ups: list[str] = []
        self.running: list[str] = []
        self.open: list[str] = []

    def id(self, letter: str) -> str:
        self.count += 1
        return f"{letter}{self.count}"

    def operation(self) -> Operation:
        kinds = ["account", *(["top_up"] if self.accounts else []), *(["pay"] if self.top_ups else [])]
        match self.draw(st.sampled_from(kinds)):
            case "account":
                self.accounts.append(self.id("a"))
                return account(self.accounts[-1])
            case "top_up":
                self.top_ups.append(self.id("t"))
                about = self.draw(st.sampled_from(self.accounts))
                return top_up(self.top_ups[-1], about, self.draw(st.integers(50, 900)))
            case _:
                return pay(self.id("p"), self.draw(st.sampled_from(self.top_ups)))

    def step(self, depth: int) -> Step:
        kinds = ["do", "do", "begin", "wait", *(["end", "touched"] if self.running else [])]
        kinds += [*(["meanwhile"] if depth < 2 else []), *(["join"] if self.open else [])]
        match self.draw(st.sampled_from(kinds)):
            case "do":
                return Do(tuple(self.operation() for _ in range(self.draw(st.integers(1, 3)))))
            case "begin":
                self.running.append(self.id("x"))
                return Begin(self.running[-1], "latency", {"link": "db", "ms": self.draw(st.integers(0, 40))})
            case "end":
                return End(self.running.pop(self.draw(st.integers(0, len(self.running) - 1))))
            case "touched":
                return Wait("fault-touched", 5.0, {"fault": self.draw(st.sampled_from(self.running))})
            case "wait":
                return Wait(self.draw(st.sampled_from(["callbacks-attempted", "time-passed"])), 3.0)
            case "meanwhile":
                id = self.id("m")
                inner = tuple(self.step(depth + 1) for _ in range(self.draw(st.integers(1, 3))))
                self.open.append(id)
                return Meanwhile(id, inner)
            case _:
                return Join(self.open.pop())


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Plans without a flaw, deeper and stranger than any that is told."""
    drawn = Drawn(draw)
    return plan(*(drawn.step(0) for _ in range(draw(st.integers(0, 9)))))


ORDINARY = [scenario.plan(3) for scenario in SCENARIOS.values()] + [flow.plan(3) for flow in FLOWS.values()]


def of_chance(seed: int, one_in: int = 3) -> Callable[[Plan], bool]:
    """Broken or not, for no reason: always the same for the same plan."""
    return lambda plan: crc32(f"{seed}{plan.to_json()}".encode()) % one_in == 0


def holding(needed: Collection[Part]) -> Callable[[Plan], bool]:
    """Broken as long as these parts are there."""
    return lambda plan: set(needed) <= set(parts(plan))


# Moves


@pytest.mark.parametrize("ordinary", ORDINARY, ids=lambda plan: plan.name)
def test_every_story_and_flow_has_no_flaw_and_can_be_made_shorter(ordinary: Plan) -> None:
    """What is sound stays sound, and reads back from a file as the same plan."""
    assert flaw(ordinary) is None
    shorter = list(candidates(ordinary))
    assert len(shorter) > len(ordinary.steps) / 2
    for each in shorter:
        assert flaw(each) is None
        assert weight(each) < weight(ordinary)
        assert decode(encode(each)) == each


@given(plans())
def test_every_move_leaves_a_plan_and_less_of_it(drawn: Plan) -> None:
    """Whatever was in the background, volleys and faults that overlap included."""
    assert flaw(drawn) is None
    for each in candidates(drawn):
        assert flaw(each) is None
        assert weight(each) < weight(drawn)
        assert decode(encode(each)) == each


@given(plans(), st.randoms())
def test_any_parts_can_go_together(drawn: Plan, rng: Random) -> None:
    """And those that went are not there."""
    gone = [part for part in parts(drawn) if rng.random() < 0.5]
    left = without(drawn, gone)

    assert flaw(left) is None
    assert not {part for part in gone if part.kind != "wait"} & set(parts(left))


def test_what_is_about_an_operation_goes_with_it() -> None:
    story = plan(do(account("a1")), do(account("a2")), do(top_up("t1", "a1"), top_up("t2", "a2")), do(pay("p1", "t1")))

    assert without(story, [Part("operation", "a1")]) == plan(do(account("a2")), do(top_up("t2", "a2")))
    assert without(story, [Part("operation", "t1")]) == plan(
        do(account("a1")), do(account("a2")), do(top_up("t2", "a2"))
    )


def test_a_fault_goes_with_its_end_and_with_the_waits_for_it() -> None:
    wait = Wait("callbacks-attempted", 9.0)
    story = plan(
        Begin("x1", "stall"), Begin("x2", "kill"), Wait("fault-touched", 5.0, {"fault": "x1"}), wait, End("x1")
    )

    assert without(story, [Part("fault", "x1")]) == plan(Begin("x2", "kill"), wait)


def test_a_background_goes_with_its_join_and_all_that_is_about_it() -> None:
    inner = (do(account("a1")), Begin("x1", "stall"))
    story = plan(Meanwhile("m1", inner), do(top_up("t1", "a1")), End("x1"), Join("m1"), do(account("a2")))

    assert without(story, [Part("background", "m1")]) == plan(do(account("a2")))
    assert plan(*inner, do(top_up("t1", "a1")), End("x1"), do(account("a2"))) in candidates(story)


def test_of_a_background_in_which_nothing_is_left_nothing_is_left() -> None:
    story = plan(Meanwhile("m1", (do(account("a1")),)), Meanwhile("m2", (Join("m1"),)), Join("m2"), do(account("a2")))

    assert without(story, [Part("operation", "a1")]) == plan(do(account("a2")))


def test_an_amount_becomes_round_only_where_it_need_not_name_its_payment() -> None:
    """Of two amounts of one account each tells which payment was credited; one alone tells by itself."""
    alone = plan(do(account("a1")), do(top_up("t1", "a1", 177)))
    twice = plan(do(account("a1")), do(top_up("t1", "a1", 177)), do(top_up("t2", "a1", 177)))
    among = plan(do(account("a1")), do(top_up("t1", "a1", 177)), do(top_up("t2", "a1", 690)))

    def rounded(story: Plan) -> list[list[int]]:
        amounts = [[each.amount_minor for each in plan.operations() if each.amount_minor] for plan in candidates(story)]
        return [each for each in amounts if 100 in each]

    assert rounded(alone) == [[100]]
    assert rounded(twice) == [[100, 100]]
    assert rounded(among) == []


def test_arguments_go_or_become_small_and_waits_short() -> None:
    story = plan(Begin("x1", "mood", {"mood": "duplicate", "copies": 6}), Wait("time-passed", 0.5))

    args = [each.faults()[0].args for each in candidates(story) if each.faults()]
    assert {"mood": "duplicate"} in args
    assert [each["copies"] for each in args if each.get("copies") not in (None, 6)] == [1, 3]
    assert [step.at_most_s for each in candidates(story) for step in each.steps if isinstance(step, Wait)][-2:] == [
        0.1,
        0.25,
    ]


@pytest.mark.parametrize(
    ("steps", "says"),
    [
        ((do(account("a1")), do(account("a1"))), "the id of another"),
        ((do(top_up("t1", "a1")), do(account("a1"))), "t1 is about an operation that comes later or never"),
        ((Do(()),), "operations that are none"),
        ((Begin("x1", "stall"), Begin("x1", "stall")), "begins twice"),
        ((End("x1"),), "x1 ends, and it is not there"),
        ((Begin("x1", "stall"), End("x1"), Wait("fault-touched", 1.0, {"fault": "x1"})), "a wait for fault x1"),
        ((Join("m1"), Meanwhile("m1", (do(account("a1")),))), "a join of m1"),
        ((Meanwhile("m1", ()),), "empty"),
    ],
)
def test_a_flaw_is_named(steps: tuple[Step, ...], says: str) -> None:
    assert says in str(flaw(plan(*steps)))


# The search


@given(plans(), st.integers(0, 99))
def test_from_what_is_found_no_single_move_leads_on(drawn: Plan, seed: int) -> None:
    """Whatever breaks and whatever does not, as long as it is always the same; and it is never larger."""
    broken = of_chance(seed)
    search = searched(drawn, broken)

    assert search.minimal
    assert search.best == drawn or broken(search.best)
    assert search.best == drawn or weight(search.best) < weight(drawn)
    assert not any(broken(each) for each in candidates(search.best))


@given(plans(), st.randoms())
def test_what_it_needs_is_all_that_is_left(drawn: Plan, rng: Random) -> None:
    """Where some parts are to blame and nothing else is, it ends with them and what they are about."""
    of_names = [part for part in parts(drawn) if part.kind in ("operation", "fault")]
    needed = [part for part in of_names if rng.random() < 0.3]
    search = searched(drawn, holding(needed))

    left = set(parts(search.best))
    assert set(needed) <= left
    abouts = {each.id: each.about for each in drawn.operations()}
    wanted = set(needed)
    for part in needed:
        name = part.name
        while name := abouts.get(name, ""):
            wanted.add(Part("operation", name))
    assert left == wanted


def test_a_story_shrinks_in_far_fewer_questions_than_it_has_subsets() -> None:
    asked: list[Plan] = []
    story = SCENARIOS["duplicate-callbacks"].plan(3)

    def broken(plan: Plan) -> bool:
        asked.append(plan)
        return any(begin.fault == "mood" for begin in plan.faults()) and any(
            each.kind == "top_up" and each.method == "card" for each in plan.operations()
        )

    search = searched(story, broken)

    assert sorted(type(step).__name__ for step in search.best.steps) == ["Begin", "Do", "Do", "End"]
    assert len(asked) < 40
    assert len(set(map(Plan.to_json, asked))) == len(asked), "nothing is asked twice"


def test_what_is_not_allowed_is_not_even_tried() -> None:
    story = plan(do(account("a1")), do(account("a2")))

    async def never(_: Plan) -> bool:
        raise AssertionError("it was tried")

    search = Search(story, never, allowed=lambda _: False)
    asyncio.run(search.run())
    assert search.minimal
    assert search.best == story


@given(st.integers(0, 12))
def test_when_the_time_is_spent_the_best_so_far_is_kept(patience: int) -> None:
    """And it is not called minimal."""
    story = plan(*(do(account(f"a{n}")) for n in range(6)))
    left, spent = [patience], []
    taken = [story]

    async def ask(candidate: Plan) -> bool:
        if not left[0]:
            spent.append(candidate)
            raise Spent
        left[0] -= 1
        if Part("operation", "a3") in parts(candidate):
            taken.append(candidate)
            return True
        return False

    search = Search(story, ask)
    asyncio.run(search.run())
    assert search.best == taken[-1]
    assert search.minimal is not bool(spent)


def test_the_plan_of_a_search_keeps_its_name_seed_and_promises() -> None:
    story = replace(SCENARIOS["calm"].plan(5), about=("kept",))
    best = searched(story, lambda _: True).best

    assert (best.name, best.seed, best.about, best.steps) == (story.name, 5, ("kept",), ())
