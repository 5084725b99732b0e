"""The shrinker's counting and its bounds: what a try says, and when it is enough. The stack is a list of answers here."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.cli import REFERENCE, load_everything
from harness.engines import shrink as engine
from harness.engines.shrink import TOO_RARE, Shrink, Shrunk, choose, shrink
from harness.engines.suite import Progress
from harness.history import Event, History
from harness.plan import Begin, Do, End, Meanwhile, Operation, Plan, PlanError, Step, Wait
from harness.run import Recorded, Run
from harness.stack import StackError
from harness.verdict import Status, Verdict
from reports.steps import told

PROMISE = "credited-at-most-once"
Answers = Callable[[Plan], bool | Exception]

load_everything()


def plan(*ids: str) -> Plan:
    steps = [Do((Operation(id=id, kind="open_account", currency="EUR"),)) for id in ids]
    return Plan("story", "A story.", 7, tuple(steps), ("told-the-truth", PROMISE))


def ids(plan: Plan) -> str:
    return "".join(operation.id for operation in plan.operations())


def run_of(plan: Plan, broken: bool, name: str) -> Run:
    verdict = Verdict(PROMISE, "It is so.", Status.BROKEN if broken else Status.HOLDS)
    history = History((Event(at=1.0, actor="harness", kind="plan", facts={"run": name}),))
    return Run(
        plan=plan,
        target="reference",
        mutant=None,
        proxies="none",
        versions={},
        started=datetime.now(UTC),
        took_s=0.0,
        history=history,
        verdicts=(verdict,),
        payments=(),
        again="again",
    )


class Stand:
    """In place of a stack: answers each try, and keeps what was tried."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.progress = Progress(folder, datetime.now(UTC))
        self.tried: list[str] = []
        self.told: list[tuple[str, tuple[int, int]]] = []
        self.answers: Answers = lambda _: True

        @asynccontextmanager
        async def processes(*_: Any, **__: Any) -> Any:
            target = SimpleNamespace(name="reference", callbacks=SimpleNamespace(dialect="any"))
            yield SimpleNamespace(target=target, versions={}, remarks=())

        async def carry_out(plan: Plan, stack: Any, name: str, recorder: Any, setting: Any) -> Run:
            self.tried.append(ids(plan))
            answer = self.answers(plan)
            if isinstance(answer, BaseException):
                raise answer
            return run_of(plan, answer, name)

        monkeypatch.setattr(engine, "processes", processes)
        monkeypatch.setattr(engine, "carry_out", carry_out)

    def shrink(self, plan: Plan, tries: int = 3, **more: Any) -> Shrunk:
        shrunk = Shrunk(plan)
        order = Shrink(plan=plan, promise=PROMISE, target=REFERENCE, mutant=None, again="again", tries=tries, **more)

        def tell(so_far: Shrunk) -> None:
            self.told.append((ids(so_far.plan), so_far.times))

        asyncio.run(shrink(order, self.progress, shrunk, tell))
        return shrunk


@pytest.fixture
def stand(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stand:
    return Stand(monkeypatch, tmp_path)


def in_turn(*answers: bool) -> Answers:
    """Whatever is tried, these come in this order, and then the last for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_what_is_left_is_reported_as_the_only_run(stand: Stand, tmp_path: Path) -> None:
    """With its own history, about the one promise; every try is kept beside it."""
    stand.answers = lambda plan: "c" in ids(plan)
    shrunk = stand.shrink(plan("a", "b", "c", "d", "e"))

    assert (ids(shrunk.plan), shrunk.ended) == ("c", "")
    assert [ids(run.plan) for run in stand.progress.runs] == ["c"]
    assert stand.progress.runs[0].plan.about == (PROMISE,)
    assert shrunk.run is not None
    assert (tmp_path / "history.jsonl").read_text() == shrunk.run.history[0].to_json() + "\n"
    assert (tmp_path / "tries.jsonl").exists()
    assert stand.told[0] == ("abcde", (3, 3))
    assert stand.told[-1] == ("c", (3, 3))


@pytest.mark.parametrize(
    ("first", "then", "counts"),
    [
        ((True, True, True), (True, True, True), True),
        ((True, True, True), (True, True, False), False),
        ((True, False, True), (True, True), True),
        ((True, False, True), (False, True, True), True),
        ((True, False, True), (False, True, False), False),
        ((False, False, True), (False, False, True), True),
        ((False, False, True), (False, False, False), False),
    ],
)
def test_a_shorter_plan_counts_when_it_is_broken_as_often_as_the_plan_itself(
    stand: Stand, first: Sequence[bool], then: Sequence[bool], counts: bool
) -> None:
    """Nor are more tries made than can change the answer."""
    stand.answers = in_turn(*first, *then, False)
    shrunk = stand.shrink(plan("a"))

    assert (ids(shrunk.plan) == "") is counts
    assert stand.tried == ["a"] * 3 + [""] * len(then)


@pytest.mark.parametrize(
    ("answers", "tries"),
    [((True, True), 2), ((True, False, True), 3), ((False, False), 2), ((False, True, False), 3)],
)
def test_how_often_can_be_said(stand: Stand, answers: Sequence[bool], tries: int) -> None:
    """Two of three: decided after two alike."""
    stand.answers = in_turn(True, True, True, *answers, False)
    stand.shrink(plan("a"), needed=2)

    assert stand.tried[3:] == [""] * tries


def test_what_is_too_rare_is_not_made_shorter_and_remains_a_finding(stand: Stand) -> None:
    stand.answers = in_turn(False, True, False)
    shrunk = stand.shrink(plan("a", "b"), needed=2)

    assert (shrunk.ended, shrunk.times) == (TOO_RARE, (1, 3))
    assert stand.tried == ["ab"] * 3
    assert shrunk.run is not None


def test_what_did_not_come_again_leaves_no_run(stand: Stand) -> None:
    stand.answers = lambda _: False
    shrunk = stand.shrink(plan("a", "b"))

    assert (shrunk.run, shrunk.times, stand.progress.runs, shrunk.ended) == (None, (0, 3), [], TOO_RARE)


def test_one_try_can_be_enough(stand: Stand) -> None:
    """For what breaks rarely: it counts when it is seen once in ten."""
    stand.answers = in_turn(*[False] * 9, True, *[False] * 4, True, False)

    assert ids(stand.shrink(plan("a"), needed=1, tries=10).plan) == ""


def test_tries_are_bounded(stand: Stand) -> None:
    shrunk = stand.shrink(plan(*"abcdefgh"), tries_max=5, needed=2)

    assert len(stand.tried) == 5
    assert shrunk.ended == "5 tries were made"
    assert ids(shrunk.plan) == "efgh"


def test_time_is_bounded(stand: Stand) -> None:
    shrunk = stand.shrink(plan("a", "b"), time_budget_s=-1.0)

    assert (ids(shrunk.plan), shrunk.ended) == ("ab", "-1 s were spent")


def test_a_plan_that_cannot_be_carried_out_is_not_broken(stand: Stand) -> None:
    """The provider refused a mood's argument, say."""
    stand.answers = lambda plan: PlanError("no such mood") if ids(plan) == "" else True

    assert ids(stand.shrink(plan("a", "b")).plan) in ("a", "b")


def test_a_plan_that_cannot_be_carried_out_as_it_is_is_said(stand: Stand) -> None:
    stand.answers = lambda _: PlanError("no such mood")
    with pytest.raises(PlanError, match="no such mood"):
        stand.shrink(plan("a"))
    with pytest.raises(PlanError, match="cannot be made shorter: operations that are none, or that have the id"):
        stand.shrink(plan("a", "a"))
    with pytest.raises(PlanError, match="There is no fault named 'stal'"):
        stand.shrink(replace(plan("a"), steps=(Begin("x1", "stal"),)))


def test_a_stack_that_does_not_come_up_again_ends_the_search(stand: Stand) -> None:
    """What was found until then is kept."""
    stand.answers = lambda plan: StackError("the service does not start") if ids(plan) == "" else True
    shrunk = stand.shrink(plan("a", "b", "c"))

    assert shrunk.ended == "the stack did not come up again: the service does not start"
    assert len(ids(shrunk.plan)) == 1


def test_an_interruption_keeps_the_best_so_far(stand: Stand, tmp_path: Path) -> None:
    stand.answers = lambda plan: asyncio.CancelledError() if len(ids(plan)) < 3 else True  # type: ignore[return-value]
    shrunk = Shrunk(plan(*"abcd"))
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(
            shrink(
                Shrink(plan=shrunk.plan, promise=PROMISE, target=REFERENCE, mutant=None, again="again"),
                stand.progress,
                shrunk,
                lambda _: None,
            )
        )

    assert (len(stand.progress.runs), shrunk.ended) == (1, "it was interrupted")
    assert (tmp_path / "history.jsonl").exists()


# Which run


def recorded(name: str, *broken: str) -> Recorded:
    return Recorded(replace(plan("a"), name=name), "broken" if broken else "holds", "reference", None, broken)


RUNS = [recorded("calm"), recorded("doubled", "b", "c"), recorded("lost", "d")]


@pytest.mark.parametrize(
    ("name", "promise", "chosen"),
    [
        (None, None, ("doubled", "b")),
        ("lost", None, ("lost", "d")),
        ("doubled", "c", ("doubled", "c")),
        (None, "d", ("lost", "d")),
    ],
)
def test_the_first_that_is_broken_or_the_one_that_is_named(
    name: str | None, promise: str | None, chosen: tuple[str, str]
) -> None:
    run, by = choose(RUNS, name, promise)

    assert (run.plan.name, by) == chosen


@pytest.mark.parametrize(
    ("runs", "name", "promise", "says"),
    [
        (RUNS[:1], None, None, "nothing is broken in these runs"),
        (RUNS, "calm", None, "no broken run is of a plan named 'calm': there are 'doubled', 'lost'"),
        (RUNS, "doubled", "d", "'doubled' did not break 'd': it broke b, c"),
    ],
)
def test_what_cannot_be_chosen_is_said(runs: list[Recorded], name: str | None, promise: str | None, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        choose(runs, name, promise)


# In words


def test_a_short_plan_is_told_in_a_line_for_each_step() -> None:
    account = Operation(id="a1", kind="open_account", currency="EUR", args={"customer": "droth"})
    top_up = Operation(id="t1", kind="top_up", about="a1", amount_minor=100, currency="EUR", method="card", key="again")
    steps: list[Step] = [
        Do((account,)),
        Begin("x1", "mood", {"mood": "drop"}),
        Meanwhile("m1", (Do((top_up, replace(top_up, id="t2", key="t2"))), Wait("callbacks-attempted", 10.0))),
        Wait("fault-touched", 2.5, {"fault": "x1"}),
        Wait("time-passed", 0.5),
        Wait("background-heard", 3.0),
        End("x1"),
    ]

    assert told(Plan("story", "A story.", 7, tuple(steps), ())) == [
        "a1: open account (customer droth)",
        "x1: mood begins (mood drop)",
        "m1, in the background:",
        "  at the same instant:",
        "    t1: top up 1.00 EUR card about a1, key 'again'",
        "    t2: top up 1.00 EUR card about a1",
        "  wait until every callback that is due was attempted, at most 10 s",
        "wait until x1 has touched something, at most 2.5 s",
        "wait for 0.5 s",
        "wait for background-heard, at most 3 s",
        "x1 ends",
    ]
