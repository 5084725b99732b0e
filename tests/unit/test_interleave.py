"""The engine that turns a search through orders into plans, on runs made up for it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harness.engines.interleave import Interleave, guilty, traces
from harness.engines.suite import Job
from harness.history import Event, History
from harness.meeting import IN_ORDER, Meeting, MeetingDraft, Order
from harness.plan import encode
from harness.run import PaymentVerdict, Run
from harness.verdict import Status, Verdict, Violation
from harness.wire.footprint import Footprint
from reports.orders_table import Table, Turn, table

X = Footprint(locks=frozenset({"x"}), publishes=frozenset({"x"})).encode()


def tell(draft: MeetingDraft) -> None:
    top_up = draft.top_up(draft.account(), method="redirect")
    with draft.meeting():
        draft.pay(top_up)


MEETING = Meeting("two", "Two meet.", tell)


def turns(lanes: Sequence[int]) -> list[tuple[str, dict[str, object]]]:
    """Two requests of one turn each, in this order."""
    return [
        ("turn", {"lane": lane, "request": "r", "statement": f"S{lane}", "connection": lane,
                  "could": {str(each): X for each in lanes[at:]}})
        for at, lane in enumerate(lanes)
    ]  # fmt: skip


def carried_out(job: Job, broken_if: Sequence[int] | None = None) -> Run:
    """A run in which every order is followed, and a promise is broken in one of them."""
    events: list[tuple[str, dict[str, object]]] = [("plan", {"run": "r1", "plan": encode(job.plan)})]
    payments, violations = [], []
    for number, begin in enumerate(begin for begin in job.plan.faults() if begin.fault == IN_ORDER):
        asked = [int(word) for word in str(begin.args["order"]).split()]
        lanes = (asked + [each for each in (1, 2) if each not in asked])[:2]
        events += [
            ("fault-began", {"id": begin.id, "fault": IN_ORDER}),
            *turns(lanes),
            ("fault-ended", {"id": begin.id}),
        ]
        account = [op.id for op in job.plan.operations() if op.kind == "open_account"][number + 1]
        payments.append(PaymentVerdict(f"p{number}", f"r1-{account}", 1, "EUR", "exact"))
        if broken_if is not None and lanes == list(broken_if):
            violations.append(Violation("doubled", (), payment=f"p{number}"))
    history = History(
        tuple(Event(at=float(at), actor="harness", kind=kind, facts=facts) for at, (kind, facts) in enumerate(events))
    )
    status = Status.BROKEN if violations else Status.HOLDS
    return Run(
        plan=job.plan, target="t", mutant=None, proxies="", versions={}, started=datetime(2026, 1, 1, tzinfo=UTC), took_s=1.0,
        history=history, verdicts=(Verdict("credited-at-most-once", "Once.", status, tuple(violations)),),
        payments=tuple(payments), again=job.again,
    )  # fmt: skip


def engine(bound: int | None = None, only: Order | None = None) -> Interleave:
    return Interleave([MEETING], seed=1, again=lambda name, order: f"{name} {order}".strip(), bound=bound, only=only)


def finish(asked: Interleave, broken_if: Sequence[int] | None = None) -> list[Run]:
    runs, jobs = list[Run](), asked.first()
    while jobs:
        runs += [carried_out(job, broken_if) for job in jobs]
        jobs = asked.further(runs)
    return runs


def test_both_orders_of_two_that_meet_are_tried_and_then_there_are_no_more() -> None:
    asked = engine()

    runs = finish(asked)

    assert [
        [moment.chosen for moment in trace] for run in runs for trace in traces(run.history, run.plan).values()
    ] == [
        [1, 2],
        [2, 1],
    ]
    assert asked.searches[0].orders.exhausted
    assert asked.unfinished() == 0


def test_the_order_that_broke_a_promise_is_told_in_a_plan_of_its_own() -> None:
    asked = engine()
    asked.searches[0].batch = 3  # large batches from the start

    runs = finish(asked, broken_if=[2, 1])

    assert runs[-1].status is Status.BROKEN
    assert asked.searches[0].found[0].lanes == (2, 1)
    assert len(traces(runs[-1].history, runs[-1].plan)) == 1


def test_the_guilty_meeting_is_the_one_whose_payment_is_wrong() -> None:
    (job,) = engine().first()
    plan = MEETING.plan(1, [Order((1, 2)), Order((2, 1))], "two: orders 1 to 2")
    run = carried_out(replace(job, plan=plan), broken_if=[2, 1])

    assert guilty(run) == {[begin.id for begin in plan.faults()][1]}


def test_one_order_asked_for_is_no_search() -> None:
    asked = engine(only=Order((2, 1)))

    runs = finish(asked)

    assert len(runs) == 1
    assert runs[0].again == "two 2 1"
    assert asked.unfinished() == 0


def test_a_bound_on_preemptions_is_no_exhaustion() -> None:
    asked = engine(bound=0)

    finish(asked)

    assert asked.searches[0].orders.tried >= 1


def test_what_was_not_tried_when_the_time_was_over_is_left() -> None:
    asked = engine()
    (job,) = asked.first()
    (further,) = asked.further([carried_out(job)])

    assert further.plan.name.startswith("two: order")
    assert asked.unfinished() == 0, "it is a job by now, and counted as one"


def test_the_table_has_a_column_for_each_request_and_says_what_came_of_a_turn() -> None:
    (job,) = engine().first()
    run = carried_out(job)
    lanes = [
        Event(at=0.5, actor="harness", kind="lane", facts={"lane": lane, "request": f"hook {lane}"}) for lane in (1, 2)
    ]
    waits = Event(at=3.5, actor="harness", kind="waits", facts={"lane": 2})
    error = Event(
        at=3.6, actor="harness", kind="crossing", facts={"link": "db", "label": "db ◂ ERROR 40P01", "connection": 2}
    )

    told = table(replace(run, history=History.merged(run.history, lanes, [waits, error])))

    assert told == Table(("hook 1", "hook 2"), (Turn(0, "S1"), Turn(1, "S2", "waits, ERROR 40P01")))


def test_a_meeting_that_never_meets_is_a_mistake_of_its_author() -> None:
    with pytest.raises(ValueError, match="not exactly once"):
        Meeting("none", "Nobody meets.", lambda draft: draft.quiet()).plan(1, [Order()], "x")
