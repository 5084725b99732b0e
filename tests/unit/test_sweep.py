"""From a calm recording to plans, and from runs to a map: pure functions on what is written here by hand."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from histories import Story
from hypothesis import given
from hypothesis import strategies as st

from harness import cli
from harness.cli import load_everything
from harness.engines import suite
from harness.engines.conversations import conversations
from harness.engines.suite import Job, Order, Progress, begin, carry_out_all
from harness.engines.sweep import (
    FAILURES,
    LINKS,
    Cell,
    Crossing,
    Hit,
    Shard,
    Sweep,
    cell_of,
    common_crossings,
    crossings,
    stable,
)
from harness.engines.sweep_pairs import Pairs, after_the_blow
from harness.flow import FLOWS, SECOND, SWEPT, Flow, FlowDraft
from harness.history import History
from harness.plan import Begin, End, Plan, Wait, decode, encode
from harness.run import Run, Suite
from harness.verdict import Status, Verdict
from reports import html
from reports.sweep_map import maps, only_unreached, text

load_everything()


def recording(*crossed: str, before: Sequence[str] = (), after: Sequence[str] = ()) -> History:
    """What crossed while the swept part went on, *before* and *after* it: `db ▸ COMMIT`, `db ◂ COMMIT`."""
    story = Story()
    story.event("harness", "fault-began", id="x1", fault="mood", args={})
    for part, labels in enumerate((before, crossed, after)):
        if part == 1:
            story.event("harness", "fault-began", id=SWEPT, fault="watch", args={})
        for label in labels:
            link, arrow, _ = label.split(" ", 2)
            direction = ">" if arrow == "▸" else "<"
            story.event("harness", "crossing", link=link, direction=direction, label=label)
        if part == 1:
            story.event("harness", "fault-ended", id=SWEPT, fault="watch", touched=9)
            story.event("harness", "fault-ended", id="x1", fault="mood", touched=1)
    return story.history()


CALM = recording("edge ▸ POST /v1/top-ups", "db ▸ BEGIN", "db ◂ BEGIN", "db ▸ COMMIT", "api ▸ POST /v1/payments")


def sweep(*flows: str, **more: Any) -> Sweep:
    return Sweep(flows=[FLOWS[name] for name in flows or ("top-up-paid",)], seed=7, options=" --seed 7", **more)


# What is addressed


def test_only_requests_of_the_swept_part_are_addressed() -> None:
    """Not what crossed before or after, nor answers; the edges of other faults are not those of the swept part."""
    history = recording(
        "db ▸ BEGIN", "db ◂ BEGIN", "hook ▸ POST /cb", before=["db ▸ BEGIN"], after=["db ▸ COMMIT", "edge ▸ GET /x"]
    )

    assert list(crossings(history)) == [Crossing("db", "BEGIN", 1), Crossing("hook", "POST /cb", 1)]


def test_a_crossing_is_numbered_among_those_of_its_link_that_begin_alike() -> None:
    """As the tap counts: a label matches whatever begins with it."""
    history = recording("db ▸ UPDATE top_ups", "db ▸ COMMIT", "api ▸ COMMIT", "db ▸ COMMIT", "db ▸ UPDATE top_ups_old")
    after = recording("db ▸ UPDATE top_ups_old", "db ▸ UPDATE top_ups")

    assert [str(each) for each in crossings(history)] == [
        "db UPDATE top_ups 1",
        "db COMMIT 1",
        "api COMMIT 1",
        "db COMMIT 2",
        "db UPDATE top_ups_old 1",
    ]
    assert [str(each) for each in crossings(after)] == ["db UPDATE top_ups_old 1", "db UPDATE top_ups 2"]


@pytest.mark.parametrize(
    ("label", "begins"),
    [
        ("GET /v1/payments/pay_82e2f728", "GET /v1/payments/"),
        ("GET /v1/accounts/r1-a1/balance", "GET /v1/accounts/"),
        ("POST /v1/top-ups", "POST /v1/top-ups"),
        ("POST /callbacks/standard-webhooks", "POST /callbacks/standard-webhooks"),
        ("GET /v2", "GET /v2"),
        ("INSERT top_ups_2", "INSERT top_ups_2"),
    ],
)
def test_ids_are_no_part_of_an_address(label: str, begins: str) -> None:
    """They are others in each run; a version is not one."""
    assert stable(label) == begins
    assert label.startswith(stable(label))


def test_what_is_not_in_every_recording_is_background() -> None:
    """A loop that happened to wake up in one of them."""
    noisy = recording("db ▸ SELECT outbox", "db ▸ BEGIN", "db ▸ BEGIN")
    quiet = recording("db ▸ BEGIN", "db ▸ COMMIT")

    assert common_crossings([noisy, quiet]) == [Crossing("db", "BEGIN", 1)]
    assert common_crossings([]) == []


# The plans


def test_each_crossing_is_broken_in_every_way_that_applies() -> None:
    """PostgreSQL is behind the db link alone; the provider is at the other end of two; only requests can come twice or late."""
    cells = sweep().cells("top-up-paid", [CALM, CALM])

    everywhere = ["cut-before", "cut-after", "stall-before", "stall-after", "kill-before", "kill-after"]
    of_db = [*everywhere, "postgres-before", "postgres-after"]
    of_edge = [*everywhere, "delay-before", "twice-after", "pause-before"]
    of_api = [*of_edge, "provider-before", "provider-after"]
    assert sorted(cell.failure for cell in cells if str(cell.crossing) == "db COMMIT 1") == sorted(of_db)
    assert sorted(cell.failure for cell in cells if cell.crossing.link == "edge") == sorted(of_edge)
    assert sorted(cell.failure for cell in cells if cell.crossing.link == "api") == sorted(of_api)
    assert {cell.failure for cell in cells} == set(FAILURES)


def test_a_sweep_is_narrowed_and_its_command_says_how() -> None:
    narrow = sweep(links=("db",), failures=("cut-before", "postgres-after"), crossing="db COMMIT 1")

    assert [str(cell) for cell in narrow.cells("top-up-paid", [CALM])] == [
        "top-up-paid: db COMMIT 1, cut-before",
        "top-up-paid: db COMMIT 1, postgres-after",
    ]
    assert narrow.narrowed() == [
        "--link db",
        "--fault cut-before",
        "--fault postgres-after",
        "--crossing 'db COMMIT 1'",
    ]
    assert sweep().narrowed() == []


@pytest.mark.parametrize(
    ("asked", "found"), [("db COMMIT", 2), ("db COMMIT 1", 1), ("db COM", 0), ("api", 1), (None, 4)]
)
def test_messages_are_asked_for_by_whole_words(asked: str | None, found: int) -> None:
    """The first is not the tenth."""
    history = recording("db ▸ COMMIT", "db ▸ COMMIT", "api ▸ POST /v1/payments", "hook ▸ POST /cb")

    assert len(sweep(failures=("cut-after",), crossing=asked).cells("top-up-paid", [history])) == found


OF_HOOK = [name for name, failure in FAILURES.items() if "hook" in failure.links]


def recorded(flow: str, history: History) -> Run:
    return run(FLOWS[flow].plan(7), Status.HOLDS, history=history)


def test_a_flow_is_swept_by_what_it_recorded_itself() -> None:
    """And each plan comes with the command that repeats it alone."""
    of_the_other = recording("hook ▸ POST /cb")
    jobs = sweep("top-up-paid", "top-up-declined").jobs(
        [recorded("top-up-paid", CALM), recorded("top-up-declined", of_the_other)]
    )

    assert [job.plan.name for job in jobs[-4:]] == [
        f"top-up-declined: hook POST /cb 1, {name}" for name in OF_HOOK[-4:]
    ]
    assert len(jobs) == len(sweep().cells("top-up-paid", [CALM])) + len(OF_HOOK)
    assert jobs[-1].again.endswith("sweep top-up-declined --crossing 'hook POST /cb 1' --fault provider-after --seed 7")


@pytest.mark.parametrize("flow", FLOWS)
def test_a_plan_is_the_recorded_one_but_for_the_blow(flow: str) -> None:
    """The same operations in the same order, to the byte; only what is done to them differs."""
    [*_, job] = sweep(flow).jobs([recorded(flow, CALM)])
    blow = next(begin for begin in job.plan.faults() if begin.id == SWEPT)
    calm = encode(FLOWS[flow].plan(7))
    dealt = encode(job.plan)

    assert (blow.fault, blow.args["nth"], blow.args["label"]) == ("kill-at", 1, "POST /v1/payments")
    for plan in (calm, dealt):
        plan["steps"] = [step for step in plan["steps"] if step.get("id") != SWEPT or step["step"] == "end"]
        plan["name"] = flow
    assert calm == dealt


@pytest.mark.parametrize("failure", FAILURES)
def test_a_plan_knows_its_place_on_the_map(failure: str) -> None:
    """Also when it was read from a file: a map is drawn from runs alone."""
    jobs = sweep(failures=(failure,)).jobs([recorded("top-up-paid", CALM)])

    assert [cell_of(decode(encode(job.plan))) for job in jobs] == sweep(failures=(failure,)).cells(
        "top-up-paid", [CALM]
    )


def test_a_calm_recording_and_a_plan_of_no_sweep_have_no_place_on_the_map() -> None:
    assert cell_of(FLOWS["top-up-paid"].plan(7)) is None
    assert cell_of(Plan("calm", "Nothing happens.", 7, (Begin("x1", "cut-at"),), ())) is None


def test_a_flow_that_does_not_say_what_is_swept_is_refused() -> None:
    def forgets(draft: FlowDraft) -> None:
        draft.paid()

    with pytest.raises(ValueError, match="not exactly once"):
        Flow("forgets", "Nothing is swept.", forgets).plan(7)


CELLS = st.builds(
    Cell,
    flow=st.sampled_from(sorted(FLOWS)),
    crossing=st.builds(Crossing, st.sampled_from(LINKS), st.text(max_size=20), st.integers(1, 9)),
    failure=st.sampled_from(sorted(FAILURES)),
)


@given(CELLS, st.integers(1, 12))
def test_every_cell_is_in_exactly_one_shard(cell: Cell, of: int) -> None:
    """Disjoint and complete, whatever else was recorded on that machine."""
    assert [cell in Shard(number, of) for number in range(1, of + 1)].count(True) == 1


# Of two transactions at once


def test_a_message_of_a_transaction_is_numbered_within_it() -> None:
    """However two conversations overlap: the COMMIT that is of `claims` is always that one."""
    story = Story()
    story.event("harness", "fault-began", id=SWEPT, fault="watch", args={})
    for label, of in (("BEGIN", ""), ("BEGIN", ""), ("COMMIT", "keys"), ("COMMIT", "claims"), ("COMMIT", "keys")):
        facts = {"of": of} if of else {}
        title = f"{label} ({of})" if of else label
        story.event("harness", "crossing", link="db", direction=">", label=f"db ▸ {title}", **facts)

    found = list(crossings(story.history()))
    assert [str(each) for each in found] == [
        "db BEGIN 1",
        "db BEGIN 2",
        "db COMMIT (keys) 1",
        "db COMMIT (claims) 1",
        "db COMMIT (keys) 2",
    ]
    assert [Crossing.read(str(each)) for each in found] == found


def test_what_no_surgery_can_be_about_is_not_counted() -> None:
    """Somebody knocked in vain; a copy of a request."""
    story = Story()
    story.event("harness", "fault-began", id=SWEPT, fault="watch", args={})
    story.event("harness", "crossing", link="api", direction=">", label="api ▸ POST /p (refused)", beside=True)
    story.event("harness", "crossing", link="api", direction=">", label="api ▸ POST /p")

    assert list(crossings(story.history())) == [Crossing("api", "POST /p", 1)]


def test_overlapping_conversations_are_told_apart_by_when_they_did_not_overlap() -> None:
    """A callback alone first, which tells whose `claims` are; then one that arrives while a client is still being answered."""
    story = Story()

    def cross(link: str, direction: str, label: str, connection: int, of: str = "") -> None:
        arrow, title = {">": "▸", "<": "◂"}[direction], f"{label} ({of})" if of else label
        facts = {"of": of} if of else {}
        said = f"{link} {arrow} {title}"
        story.event("harness", "crossing", link=link, direction=direction, label=said, connection=connection, **facts)

    cross("hook", ">", "POST /callbacks", 1)
    for label, of in (("BEGIN", ""), ("INSERT claims", ""), ("COMMIT", "claims")):
        cross("db", ">", label, 1, of)
    cross("hook", "<", "204", 1)
    story.event("harness", "fault-began", id=SWEPT, fault="watch", args={})
    cross("edge", ">", "POST /v1/top-ups/7", 1)
    cross("db", ">", "SELECT accounts", 2)
    cross("hook", ">", "POST /callbacks", 2)
    for connection, label, of in (
        (2, "BEGIN", ""),
        (1, "BEGIN", ""),
        (1, "INSERT claims", ""),
        (2, "UPDATE keys", ""),
        (2, "COMMIT", "keys"),
        (1, "COMMIT", "claims"),
    ):
        cross("db", ">", label, connection, of)

    assert {str(crossing): said for crossing, said in conversations(story.history()).items()} == {
        "db SELECT accounts 1": "POST /v1/top-ups/",
        "db BEGIN 2": "callback",
        "db INSERT claims 1": "callback",
        "db COMMIT (claims) 1": "callback",
    }, "of the other nobody can say"


# Two failures in one run


def blown(first: str, *crossed: str) -> Run:
    """A run of the first failures: the blow was dealt at the first crossing, the others came after it."""
    [job] = [job for job in Pairs(sweep(), 5).firsts([recorded("top-up-paid", CALM)]) if job.plan.name.endswith(first)]
    blow = next(begin for begin in job.plan.faults() if begin.id == SWEPT)
    story = Story()
    story.event("harness", "fault-began", id=SWEPT, fault=blow.fault, args=dict(blow.args))
    story.event("harness", "fault-began", id=SECOND, fault="watch", args={})
    story.event("harness", "crossing", link="db", direction=">", label="db ▸ BEGIN")
    story.event("harness", "surgery", link=blow.args["link"], label="", action="cut before")
    for label in crossed:
        story.event("harness", "crossing", link=label[:3].strip(), direction=">", label=label)
    story.event("harness", "fault-ended", id=SWEPT, fault=blow.fault, touched=1)
    story.event("harness", "crossing", link="db", direction=">", label="db ▸ SELECT late")
    story.event("harness", "fault-ended", id=SECOND, fault="watch", touched=1)
    story.event("harness", "crossing", link="db", direction=">", label="db ▸ SELECT too_late")
    return run(job.plan, Status.HOLDS, history=story.history())


def test_the_second_failure_is_drawn_from_what_came_after_the_first() -> None:
    """Until both are over; and numbered from where both were scheduled."""
    found = blown("", "db ▸ BEGIN", "api ▸ POST /v1/retried")

    assert [str(each) for each in after_the_blow(found.history)] == [
        "db BEGIN 2",
        "api POST /v1/retried 1",
        "db SELECT late 1",
    ]
    jobs = Pairs(sweep(), 5).seconds([recorded("top-up-paid", CALM), found])
    assert len(jobs) == 4
    assert [job.plan.name for job in jobs] == [
        job.plan.name for job in Pairs(sweep(), 5).seconds([recorded("top-up-paid", CALM), found])
    ], "the same seed draws the same"
    for job in jobs:
        cell = cell_of(decode(encode(job.plan)))
        assert cell is not None
        assert cell.second is not None
        assert str(cell) == job.plan.name
        assert f"--second '{cell.second}'" in job.again
        assert Hit.read(str(cell.second)) == cell.second
        first, second = (next(each for each in job.plan.faults() if each.id == id) for id in (SWEPT, SECOND))
        assert (first.args["nth"], second.args["label"]) == (cell.crossing.nth, cell.second.crossing.label)


@pytest.mark.parametrize("budget", [2, 5, 11, 60])
def test_a_budget_bounds_the_plans_of_both_rounds(budget: int) -> None:
    pairs = Pairs(sweep(), budget)
    firsts = pairs.firsts([recorded("top-up-paid", CALM)])
    history = blown("", "db ▸ BEGIN", "api ▸ POST /v1/retried").history
    seconds = pairs.seconds([run(job.plan, Status.HOLDS, history=history) for job in firsts])

    assert 1 <= len(firsts) <= budget
    assert len(firsts) + len(seconds) <= budget


def test_a_blow_that_was_not_dealt_has_no_aftermath() -> None:
    assert list(after_the_blow(CALM)) == []


def test_pairs_stand_in_a_list_of_their_own() -> None:
    """With the sign of what became of them, in the terminal and on the page, where it leads to the run."""
    found = blown("", "db ▸ BEGIN", "api ▸ POST /v1/retried")
    [job, *_] = Pairs(sweep(), 5).seconds([found])
    both = run(job.plan, Status.BROKEN, "credited-at-most-once")
    shown = _of(found, both)
    first, _, second = job.plan.name.partition("; then ")

    assert f"{first}\n✗ then {second}\n" in text(shown).plain
    assert "✗ broken 1" in text(shown).plain
    assert 'href="#run-2"' in html.render(shown).partition("Two failures in one run")[2].partition("</section>")[0]


@pytest.mark.parametrize("wrong", ["db COMMIT 2", "db COMMIT 2, cut-sideways", "COMMIT, cut-after", ""])
def test_a_second_failure_that_is_none_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="written like"):
        Hit.read(wrong)


# On one stack


@pytest.mark.parametrize("further", [0, 2])
def test_further_jobs_are_made_of_the_runs_so_far_until_none_come_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, further: int
) -> None:
    """One more each time, on the same stack; and until it is known that there are none, the whole is not done."""
    seen: list[str] = []

    @asynccontextmanager
    async def no_stack(*_: Any, **__: Any) -> Any:
        callbacks = SimpleNamespace(dialect="any")
        yield SimpleNamespace(remarks=(), target=SimpleNamespace(name="till", callbacks=callbacks), versions={})

    async def carry_out(plan: Plan, stack: Any, name: str, recorder: Any, setting: Any) -> Run:
        seen.append(f"{name} {plan.name}")
        return run(plan, Status.HOLDS)

    def then(runs: Sequence[Run]) -> list[Job]:
        left.append(progress.suite(order).left)
        return [Job(plan(f"more {len(runs) - 1}"), "")] if len(runs) <= further else []

    monkeypatch.setattr(suite, "processes", no_stack)
    monkeypatch.setattr(suite, "carry_out", carry_out)
    left: list[int] = []
    order = Order(name="x", jobs=[Job(plan("calm"), "")], target=Path(), seed=1, again="", out=tmp_path, then=then)
    progress = begin(order)
    asyncio.run(carry_out_all(order, progress, SimpleNamespace(begins=lambda _: None, finished=lambda _: None)))

    assert seen == ["r1 calm", "r2 more 0", "r3 more 1"][: 1 + further]
    assert left[0] == 1
    assert progress.suite(order).left == 0


# The map


def plan(name: str) -> Plan:
    return Plan(name, "A story.", 7, (), ())


def run(plan: Plan, status: Status, by: str = "every-payment-is-credited", history: History | None = None) -> Run:
    return Run(
        plan=plan,
        target="till",
        mutant=None,
        proxies="embedded",
        versions={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        took_s=0.5,
        history=history or Story().history(),
        verdicts=(Verdict("books-are-read", "They are.", Status.HOLDS), Verdict(by, "It is kept.", status)),
        payments=(),
        again="again",
    )


def swept(*failures: str, worst: tuple[Status, str] | None = None) -> Suite:
    """One calm recording, then every cell; the last one as *worst*."""
    jobs = sweep(failures=failures).jobs([recorded("top-up-paid", CALM)])
    runs = [recorded("top-up-paid", CALM), *(run(job.plan, Status.HOLDS) for job in jobs)]
    if worst:
        runs[-1] = run(jobs[-1].plan, *worst)
    return Suite(
        name="sweep",
        started=datetime(2026, 1, 1, tzinfo=UTC),
        took_s=9.0,
        runs=tuple(runs),
        folder=Path("reports/runs/one"),
        again="topup-chaos sweep",
    )


def test_the_map_of_a_sweep() -> None:
    found = swept("kill-after", "postgres-before", worst=(Status.BROKEN, "credited-at-most-once"))

    assert (
        text(found).plain
        == """\
top-up-paid                                  kill   postgres
                                             after  before
edge  POST /v1/top-ups 1                     ✓
db    BEGIN 1              POST /v1/top-ups  ✓      ✓
db    COMMIT 1             POST /v1/top-ups  ✓      ✓
api   POST /v1/payments 1  POST /v1/top-ups  ✗

4 crossings, 6 plans: ✓ holds 5, ✗ broken 1
blank: does not apply (PostgreSQL is behind the db link alone), or was not asked for"""
    )


@pytest.mark.parametrize(
    ("worst", "sign", "forgiven"),
    [
        ((Status.UNKNOWN, "faults-bite"), "– not reached 1", True),
        ((Status.UNKNOWN, "books-are-read"), "? unknown 1", False),
        ((Status.BROKEN, "credited-at-most-once"), "✗ broken 1", False),
    ],
)
def test_what_was_not_reached_is_told_from_what_is_unknown(
    worst: tuple[Status, str], sign: str, forgiven: bool
) -> None:
    """Nothing was broken there: it may be forgiven, and it is never green on its own."""
    found = swept("cut-before", worst=worst)

    assert sign in text(found).plain
    assert ("not reached: what should be broken" in text(found).plain) == forgiven
    assert only_unreached(found) == forgiven
    assert found.status is not Status.HOLDS


@pytest.mark.parametrize(
    ("words", "by", "code"),
    [
        ([], "faults-bite", 3),
        (["--allow-unreached"], "faults-bite", 0),
        (["--allow-unreached"], "books-are-read", 3),
        (["--crossing", "db COMIT"], "faults-bite", 2),
    ],
    ids=["not reached", "not reached, allowed", "allowed, but unknown", "nothing to break"],
)
def test_the_exit_code_of_a_sweep(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], by: str, code: int
) -> None:
    """What was not reached is unknown unless that is allowed; a sweep of nothing is a mistake, and never green."""

    async def carry_out_all(order: Order, progress: Progress, watcher: Any) -> None:
        progress.runs += [recorded("top-up-paid", CALM) for _ in order.jobs]
        assert order.then is not None
        further = order.then(progress.runs)
        progress.more = len(further)
        progress.runs += [run(job.plan, Status.HOLDS) for job in further[:-1]]
        progress.runs.append(run(further[-1].plan, Status.UNKNOWN, by))
        progress.spent["runs"] = 1.0

    monkeypatch.setattr(cli, "carry_out_all", carry_out_all)
    words = ["--workers", "1", *words]
    monkeypatch.setattr("sys.argv", ["topup-chaos", "sweep", "top-up-paid", "--out", str(tmp_path), *words])
    with pytest.raises(SystemExit) as end:
        cli.main()

    assert end.value.code == code


def test_the_swept_part_lasts_until_nothing_moves_any_more() -> None:
    """In every flow, and in recordings as in all that comes of them: some services acknowledge first, and work later."""
    for flow in FLOWS.values():
        steps = flow.plan(7).steps
        last = steps[steps.index(End(SWEPT)) - 1]
        assert isinstance(last, Wait) and last.until == "links-quiet"


def test_a_calm_recording_that_does_not_hold_is_not_forgiven() -> None:
    restless = run(FLOWS["top-up-paid"].plan(7), Status.UNKNOWN, by="faults-bite")

    assert not only_unreached(_of(restless))


def _of(*runs: Run) -> Suite:
    return Suite(name="sweep", started=runs[0].started, took_s=1.0, runs=runs, folder=Path(), again="again")


def test_each_cell_of_the_page_leads_to_its_run() -> None:
    """And a suite that is no sweep has no map."""
    found = swept("cut-after", worst=(Status.BROKEN, "credited-at-most-once"))
    page = html.render(found)

    for number in range(2, 6):
        assert f'href="#run-{number}"' in page.partition('class="map"')[2].partition("</section>")[0]
        assert f'id="run-{number}"' in page
    assert "top-up-paid: api POST /v1/payments 1, cut-after: broken credited-at-most-once" in page
    assert not maps(_of(run(plan("calm"), Status.HOLDS)))
    assert 'class="map"' not in html.render(_of(run(plan("calm"), Status.HOLDS)))
