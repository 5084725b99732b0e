"""What a command leaves on disk: `run.json` and `history.jsonl`, whole, cut short, or not ours."""

import io
import json
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from histories import Story
from hypothesis import given
from hypothesis import strategies as st

from harness.history import Event, History, Recorder, read, write
from harness.plan import Do, Operation, Plan, PlanError
from harness.run import FORMAT, Recorded, Run, Suite, histories, recorded, to_json
from harness.verdict import Status, Verdict

WHEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def plan(seed: int = 7) -> Plan:
    return Plan("a-plan", "What is told here.", seed, (Do((Operation(id="t1", kind="top_up"),)),), ("told-the-truth",))


def run(*verdicts: Verdict, seed: int = 7, mutant: str | None = None) -> Run:
    return Run(
        plan=plan(seed),
        target="reference",
        mutant=mutant,
        proxies="embedded",
        versions={},
        started=WHEN,
        took_s=1.0,
        history=History(),
        verdicts=verdicts,
        payments=(),
        again="topup-chaos run a-plan",
    )


def verdict(status: Status, weighs: bool = True) -> Verdict:
    return Verdict("told-the-truth", "It is so.", status, weighs=weighs)


def suite(folder: Path, *runs: Run, **more: Any) -> Suite:
    return Suite(name="run", started=WHEN, took_s=2.0, runs=runs, folder=folder, again="topup-chaos run", **more)


def write_run(suite: Suite) -> Path:
    path = suite.folder / "run.json"
    path.write_text(json.dumps(to_json(suite)), encoding="utf-8")
    return path


# run.json


def test_what_replay_needs_is_read_back(tmp_path: Path) -> None:
    """From the folder, or from the file in it."""
    runs = run(verdict(Status.HOLDS)), run(verdict(Status.BROKEN), seed=8, mutant="checks-then-acts")
    path = write_run(suite(tmp_path, *runs))
    expected = [
        Recorded(plan(7), "holds", "reference", None, ()),
        Recorded(plan(8), "broken", "reference", "checks-then-acts", ("told-the-truth",)),
    ]
    assert expected == recorded(tmp_path) == recorded(path)


def test_a_run_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"run\.json does not exist: name a folder under reports/runs/, or a run\.json"):
        recorded(tmp_path)
    with pytest.raises(PlanError, match="nowhere does not exist"):
        recorded(tmp_path / "nowhere")


@pytest.mark.parametrize("text", ["", '{"format": 1, "runs": [', "\xff not json"])
def test_a_run_that_is_not_json(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(PlanError, match=r"run\.json is not JSON: "):
        recorded(tmp_path)


@pytest.mark.parametrize("data", [[], {}, {"format": FORMAT + 1, "runs": []}])
def test_a_run_of_another_format(tmp_path: Path, data: object) -> None:
    (tmp_path / "run.json").write_text(json.dumps(data), encoding="utf-8")
    with pytest.raises(PlanError, match=rf"run\.json: `format` is not {FORMAT}: it was not written by this version"):
        recorded(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('"status": "holds", "target"', '"target"', "'status'"),
        ('"mutant": null, ', "", "'mutant'"),
        ('"plan": {', '"plam": {', "'plan'"),
        ('"runs"', '"rums"', "'runs'"),
        ('"verdicts"', '"verdict"', "'verdicts'"),
        ('"seed"', '"sed"', "'seed'"),
        ('"step": "do"', '"step": "dew"', "`step`"),
        ('"seed": 7', '"seed": "seven"', "`seed`"),
    ],
)
def test_a_run_that_lacks_something_is_told_where_and_what(tmp_path: Path, old: str, new: str, field: str) -> None:
    """File and field."""
    path = write_run(suite(tmp_path, run(verdict(Status.HOLDS))))
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(PlanError) as caught:
        recorded(tmp_path)
    assert str(path) in str(caught.value)
    assert field in str(caught.value)


@pytest.mark.parametrize("runs", [7, [7], None])
def test_runs_that_are_none(tmp_path: Path, runs: object) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps({"format": FORMAT, "runs": runs}), encoding="utf-8")
    with pytest.raises(PlanError, match=r"run\.json"):
        recorded(path)


# The status of the whole


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        ([], Status.UNKNOWN),
        ([Status.HOLDS, Status.HOLDS], Status.HOLDS),
        ([Status.HOLDS, Status.UNKNOWN], Status.UNKNOWN),
        ([Status.UNKNOWN, Status.BROKEN, Status.HOLDS], Status.BROKEN),
    ],
)
def test_a_suite_is_as_its_worst_run(tmp_path: Path, statuses: list[Status], whole: Status) -> None:
    assert suite(tmp_path, *(run(verdict(status)) for status in statuses)).status is whole


def test_a_run_counts_what_weighs_and_names_all_that_is_broken() -> None:
    made = run(verdict(Status.HOLDS), verdict(Status.UNKNOWN, weighs=False))
    assert (made.status, made.broken) == (Status.HOLDS, frozenset())
    assert run(verdict(Status.BROKEN)).broken == {"told-the-truth"}
    assert run(verdict(Status.HOLDS, weighs=False)).status is Status.UNKNOWN


def test_runs_that_were_not_made_leave_the_whole_unknown_at_best(tmp_path: Path) -> None:
    assert suite(tmp_path, run(verdict(Status.HOLDS)), left=1).status is Status.UNKNOWN
    assert suite(tmp_path, run(verdict(Status.BROKEN)), left=1).status is Status.BROKEN


# history.jsonl

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
facts = st.dictionaries(
    st.text().filter(lambda name: name not in ("at", "actor", "kind")),
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner, max_size=2)),
    max_size=4,
)
events = st.builds(
    Event,
    at=st.integers(0, 10**15).map(lambda microseconds: round(microseconds / 1e6, 6)),
    actor=st.sampled_from(["harness", "client", "provider", "service"]),
    kind=st.text(min_size=1),
    facts=facts,
)


@given(events)
def test_an_event_read_back_is_the_event_that_was_written(event: Event) -> None:
    """On one line, whatever is in it."""
    line = event.to_json()
    assert len(io.StringIO(line).readlines()) == 1
    assert Event.from_json(line) == event


def test_a_history_read_back_is_the_history_that_was_written(tmp_path: Path) -> None:
    story = Story()
    story.plan()
    story.asks()
    story.told(1, "«é»\u2028\n")
    write(story.history(), tmp_path / "history.jsonl")
    assert read(tmp_path / "history.jsonl") == story.history()


def test_each_plan_begins_a_history_of_its_own(tmp_path: Path) -> None:
    """As many as the command made runs."""
    story = Story()
    for n in range(3):
        story.plan()
        for _ in range(n):
            story.asks()
    write(story.history(), tmp_path / "history.jsonl")
    found = histories(tmp_path)
    assert [["plan"] + ["invoked"] * n for n in range(3)] == [[event.kind for event in each] for each in found]
    assert found == histories(tmp_path / "history.jsonl")


def test_a_history_without_events_holds_no_run(tmp_path: Path) -> None:
    (tmp_path / "history.jsonl").touch()
    assert histories(tmp_path) == []


def test_a_history_that_does_not_begin_with_a_plan(tmp_path: Path) -> None:
    story = Story()
    story.asks()
    story.plan()
    write(story.history(), tmp_path / "history.jsonl")
    with pytest.raises(ValueError, match=r"history\.jsonl: the first event is not a plan: this is not the"):
        histories(tmp_path)


def test_a_history_cut_off_in_the_middle_of_a_line_is_told_where(tmp_path: Path) -> None:
    """File and line: what stands before it can still be judged, once that line is gone."""
    story = Story()
    story.plan()
    story.asks()
    story.told()
    path = tmp_path / "history.jsonl"
    write(story.history(), path)
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole[:-20], encoding="utf-8")
    with pytest.raises(ValueError, match=r"history\.jsonl:3: "):
        histories(tmp_path)

    path.write_text("".join(whole.splitlines(keepends=True)[:2]), encoding="utf-8")
    assert [len(each) for each in histories(tmp_path)] == [2]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("[]", "an event is a JSON object, this is list"),
        ('{"at": 1, "kind": "plan"}', "an event needs 'actor'"),
        ('{"actor": "harness", "kind": "plan"}', "an event needs 'at'"),
        ("", "Expecting value"),
    ],
)
def test_a_line_that_is_no_event_is_told_by_its_number(tmp_path: Path, line: str, says: str) -> None:
    path = tmp_path / "history.jsonl"
    first = Event(at=1.0, actor="harness", kind="plan").to_json()
    path.write_text(f"{first}\n{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=says) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:2: ")


# What happens, as it is written down


def test_a_recorder_writes_while_it_happens_and_remembers_in_order() -> None:
    """What other processes saw is added later, with their own time."""
    sink, ticks = io.StringIO(), count(10)
    recorder = Recorder(lambda: float(next(ticks)), sink)
    recorder.record("harness", "phase", name="set-up")
    recorder.record("harness", "phase", name="audit")
    recorder.add(Event(at=10.5, actor="provider", kind="payment", facts={"payment": "pay_1"}))
    assert [json.loads(line)["at"] for line in sink.getvalue().splitlines()] == [10.0, 11.0, 10.5]
    assert [event.at for event in recorder.history()] == [10.0, 10.5, 11.0]
    assert recorder.history().start == 10.0


def test_what_happened_at_one_instant_keeps_the_order_in_which_it_was_told() -> None:
    one, two = (Event(at=1.0, actor="client", kind="invoked", facts={"id": id}) for id in ("a", "b"))
    assert History.merged([one], [two]).events == (one, two)
    assert History.merged([two], [one]).events == (two, one)


def test_a_history_is_looked_through_by_kind_and_by_fact() -> None:
    story = Story()
    paid = [story.captured(n) for n in (2, 1, 2)]
    story.audited()
    history = story.history()
    assert list(history.of("payment")) == paid
    assert [(name, len(events)) for name, events in history.of("payment", "audited").by("payment")] == [
        ("pay_2", 2),
        ("pay_1", 1),
    ]
    assert (len(history[1:3]), history[0], History().start) == (2, paid[0], 0.0)
