"""The judge: the four rules that keep green honest, what is not offered, and verdicts that need nothing but the history."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from histories import BEFORE, Story

import harness.invariants
from harness.history import Event, History, HistoryError, write
from harness.judge import judge, status_of
from harness.plan import Begin, Do, Meanwhile, Operation, PlanError, Step
from harness.registry import load
from harness.run import histories
from harness.verdict import INVARIANTS, Invariant, NothingToJudge, Status, Verdict, Violation

load(harness.invariants)

HONESTY = ("faults-bite", "operations-are-done", "books-are-read")


def promise(name: str, *says: str, needs: tuple[str, ...] = ()) -> Invariant:
    """An invariant that finds so many violations, whatever happened."""

    def find(history: History) -> Iterator[Violation]:
        yield from (Violation(each, history.events[:1]) for each in says)

    return Invariant(name, f"{name} is kept.", needs, find)


def failing(name: str, error: Exception) -> Invariant:
    def find(history: History) -> Iterator[Violation]:
        yield Violation("found before it raised", history.events[:1])
        raise error

    return Invariant(name, f"{name} is kept.", (), find)


def told(*steps: Step, about: tuple[str, ...] = (), **plan: Any) -> Story:
    """A run that ended well, with nothing in it yet."""
    story = Story()
    story.plan(*steps, about=about, **plan)
    story.audited()
    return story


def verdicts(story: Story, *invariants: Invariant) -> Mapping[str, Verdict]:
    return {each.invariant: each for each in judge(story.history(), {each.name: each for each in invariants})}


def whole(story: Story, *invariants: Invariant) -> Status:
    return status_of(judge(story.history(), {each.name: each for each in invariants}))


def do(*kinds: str) -> Do:
    return Do(tuple(Operation(id=f"o{number}", kind=kind) for number, kind in enumerate(kinds)))


def test_a_run_in_which_all_went_well_holds() -> None:
    """One verdict for each invariant, in their order, and one for each rule."""
    story = told(do("top_up"), Begin("x1", "latency"), about=("kept",))
    story.done("top_up", "o0")
    story.fault_ended("x1", 1)
    kept, other = promise("kept"), promise("other")
    assert whole(story, kept, other) is Status.HOLDS
    assert list(verdicts(story, kept, other)) == ["kept", "other", *HONESTY]
    assert all(each.status is Status.HOLDS for each in verdicts(story, kept, other).values())


# Rule 1: an invariant that the plan is about had something to judge


def test_a_promise_that_the_plan_is_about_must_find_something_to_judge() -> None:
    story = told(about=("kept",))
    verdict = verdicts(story, promise("kept", needs=("entry",)))["kept"]
    assert (verdict.status, verdict.weighs) == (Status.UNKNOWN, True)
    assert verdict.because == "nothing to judge: no entry in the history"
    assert whole(story, promise("kept", needs=("entry",))) is Status.UNKNOWN


def test_a_promise_that_the_plan_is_not_about_need_not() -> None:
    """It says that it had nothing, and does not weigh."""
    story = told(about=("kept",))
    idle = promise("idle", needs=("audited", "entry"))
    verdict = verdicts(story, promise("kept"), idle)["idle"]
    assert (verdict.status, verdict.weighs) == (Status.UNKNOWN, False)
    assert whole(story, promise("kept"), idle) is Status.HOLDS


@pytest.mark.parametrize(("about", "status"), [(("kept",), Status.UNKNOWN), ((), Status.HOLDS)])
def test_a_closer_look_that_finds_nothing_to_judge_is_as_good_as_none(about: tuple[str, ...], status: Status) -> None:
    """What it found before that does not count."""
    found = verdicts(told(about=about), failing("kept", NothingToJudge("no key was used twice")))["kept"]
    assert found.status is Status.UNKNOWN
    assert found.because == "nothing to judge: no key was used twice"
    assert not found.violations
    assert whole(told(about=about), failing("kept", NothingToJudge("no"))) is status


def test_what_is_broken_weighs_whether_or_not_the_plan_is_about_it() -> None:
    story = told(about=("kept",))
    assert whole(story, promise("kept"), promise("other", "it was not")) is Status.BROKEN
    assert verdicts(story, promise("kept"), promise("other", "it was not"))["other"].weighs


def test_every_violation_is_in_the_verdict() -> None:
    verdict = verdicts(told(), promise("kept", "once", "twice"))["kept"]
    assert [violation.says for violation in verdict.violations] == ["once", "twice"]
    assert verdict.promise == "kept is kept."


# Rule 2: every fault touched traffic


def test_a_fault_that_touched_nothing_proves_nothing() -> None:
    story = told(Begin("x1", "latency"), Begin("x2", "stall"))
    story.fault_ended("x1", 3)
    story.fault_ended("x2", 0)
    verdict = verdicts(story)["faults-bite"]
    assert (verdict.status, verdict.because) == (Status.UNKNOWN, "stall (x2) touched no traffic")
    assert whole(story) is Status.UNKNOWN


def test_a_fault_that_never_ended_is_not_known_to_have_touched_anything() -> None:
    verdict = verdicts(told(Begin("x1", "latency")))["faults-bite"]
    assert (verdict.status, verdict.because) == (Status.UNKNOWN, "latency (x1) never ended")


def test_faults_in_the_background_count_too() -> None:
    story = told(Meanwhile("m1", (Meanwhile("m2", (Begin("x1", "refuse"),)),)))
    assert verdicts(story)["faults-bite"].because == "refuse (x1) never ended"
    story.fault_ended("x1", 1)
    assert verdicts(story)["faults-bite"].status is Status.HOLDS


def test_a_plan_without_faults_is_not_praised_for_faults_that_bite() -> None:
    """The rule has nothing to say, and one rule alone does not make a run hold."""
    verdict = verdicts(told())["faults-bite"]
    assert (verdict.status, verdict.weighs) == (Status.HOLDS, False)


# Rule 3: every kind of operation was done at least once


@pytest.mark.parametrize("outcome", ["unknown", "not-done"])
def test_a_kind_of_operation_that_was_never_once_done(outcome: str) -> None:
    """What was refused or unanswered every time was not tried out."""
    story = told(do("top_up", "pay", "status", "status"))
    story.done("top_up", "o0")
    story.done("pay", "o1", outcome)
    story.done("status", "o2", outcome)
    verdict = verdicts(story)["operations-are-done"]
    assert (verdict.status, verdict.because) == (Status.UNKNOWN, "never once done: pay, status")
    assert whole(story) is Status.UNKNOWN

    story.done("pay", "o1")
    story.done("status", "o3")
    assert whole(story) is Status.HOLDS, "once of each kind is enough"


def test_an_operation_in_the_background_must_be_done_too() -> None:
    assert verdicts(told(Meanwhile("m1", (do("pay"),))))["operations-are-done"].because == "never once done: pay"


def test_an_attacker_may_be_refused_every_time() -> None:
    story = told(do("forge"))
    story.done("forge", "o0", "not-done")
    assert whole(story) is Status.HOLDS


def test_an_operation_that_the_target_does_not_offer_is_not_missed() -> None:
    """Others of the same plan still are."""
    story = told(do("status", "pay"))
    story.event("harness", "not-offered", operation="status", id="o0")
    assert verdicts(story)["operations-are-done"].because == "never once done: pay"


# Rule 4: nothing raised, and every book was read


@pytest.mark.parametrize("about", [("kept",), ()])
def test_a_promise_that_raised_has_no_answer_whatever_the_plan_is_about(about: tuple[str, ...]) -> None:
    """Its trace says where."""
    verdict = verdicts(told(about=about), failing("kept", KeyError("captured_minor")))["kept"]
    assert (verdict.status, verdict.weighs, verdict.violations) == (Status.UNKNOWN, True, ())
    assert verdict.because.startswith("the invariant raised:\nTraceback")
    assert "KeyError: 'captured_minor'" in verdict.because
    assert whole(told(about=about), failing("kept", KeyError("captured_minor"))) is Status.UNKNOWN


def test_a_book_that_could_not_be_read() -> None:
    """Each is named, with the reason."""
    story = told()
    story.unread("entries", "no answer in time")
    story.event("harness", "book-unread", book="provider", because="it is gone")
    verdict = verdicts(story)["books-are-read"]
    assert verdict.status is Status.UNKNOWN
    assert verdict.because == "service entries A: no answer in time; provider: it is gone"
    assert whole(story) is Status.UNKNOWN


def test_a_run_that_was_cut_short_holds_nothing() -> None:
    story = Story()
    story.plan()
    assert verdicts(story)["books-are-read"].because == "the run ended before its audit"
    assert whole(story, promise("kept")) is Status.UNKNOWN


# The worst of what weighs


def verdict(status: Status, weighs: bool = True) -> Verdict:
    return Verdict("kept", "It is kept.", status, weighs=weighs)


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        ([], Status.UNKNOWN),
        ([Status.HOLDS], Status.HOLDS),
        ([Status.UNKNOWN, Status.HOLDS], Status.UNKNOWN),
        ([Status.HOLDS, Status.BROKEN, Status.UNKNOWN], Status.BROKEN),
    ],
)
def test_unknown_outranks_holds_and_broken_outranks_both(statuses: list[Status], worst: Status) -> None:
    """Of nothing at all, nothing is known."""
    assert status_of(map(verdict, statuses)) is worst


def test_what_does_not_weigh_decides_nothing() -> None:
    assert status_of([verdict(Status.HOLDS), verdict(Status.UNKNOWN, weighs=False)]) is Status.HOLDS
    assert status_of([verdict(Status.HOLDS, weighs=False)]) is Status.UNKNOWN


@pytest.mark.parametrize("spoil", ["idle fault", "undone operation", "unread book", "raised"])
def test_broken_stays_broken_whatever_else_is_unknown(spoil: str) -> None:
    """A violation that was seen was seen."""
    steps: dict[str, Step] = {"idle fault": Begin("x1", "latency"), "undone operation": do("pay")}
    story = told(*([steps[spoil]] if spoil in steps else []), about=("broken",))
    if spoil == "unread book":
        story.unread()
    others = [failing("other", ZeroDivisionError())] if spoil == "raised" else []
    assert whole(story, promise("broken"), *others) is Status.UNKNOWN
    assert whole(story, promise("broken", "it was"), *others) is Status.BROKEN


# What the target does not offer


def test_a_promise_that_lives_on_what_the_target_does_not_offer_is_not_weighed() -> None:
    """It is said aloud, also when the plan is about it; and it is not judged on what may be there nevertheless."""
    story = told(about=("of-steps", "kept"), unoffered={"transition": "it has no [operations.timeline]"})
    of_steps = failing("of-steps", ZeroDivisionError())
    of_steps = Invariant(of_steps.name, of_steps.promise, ("audited", "transition"), of_steps.find)
    found = verdicts(story, of_steps, promise("kept"))["of-steps"]
    assert (found.status, found.weighs) == (Status.UNKNOWN, False)
    assert found.because == "not offered by this target: it has no [operations.timeline]"
    assert found.promise == of_steps.promise
    assert whole(story, of_steps, promise("kept")) is Status.HOLDS


def test_other_promises_of_such_a_target_must_still_find_something() -> None:
    story = told(about=("kept",), unoffered={"transition": "it has no [operations.timeline]"})
    assert whole(story, promise("kept", needs=("entry",))) is Status.UNKNOWN


# What cannot be judged at all


@pytest.mark.parametrize("events", [0, 1])
def test_a_history_without_a_plan_is_not_judged(events: int) -> None:
    story = Story()
    for _ in range(events):
        story.audited()
    with pytest.raises(HistoryError, match="this history has no plan: the run ended before it began"):
        judge(story.history(), {})


def test_a_plan_about_a_promise_that_there_is_not_is_not_judged() -> None:
    """The message knows what comes nearest."""
    with pytest.raises(LookupError, match=r"no invariant named 'told-the-trut'\. Did you mean 'told-the-truth'"):
        judge(told(about=("told-the-trut",)).history(), INVARIANTS)


def test_a_plan_that_does_not_read_is_not_judged() -> None:
    broken = Event(at=1.0, actor="harness", kind="plan", facts={"plan": {"name": "a-plan"}})
    with pytest.raises(PlanError, match="story"):
        judge(History((broken,)), {})


# From disk, as from memory


def a_good_run(story: Story) -> None:
    story.asks()
    story.told()
    story.captured()
    story.callback()
    story.entry(snapshot=BEFORE)
    story.entry(written=story.now)
    story.ledger_read()
    story.balance(500)
    story.looks()
    story.reads(1, "credited", final=True)
    story.settled()
    story.audited()


def a_bad_run(story: Story) -> None:
    a_good_run(story)
    story.entry(1)
    story.entry(9)
    story.step("Created", "Reversed")
    story.scanned("callback secret")
    story.callback(forgery="unsigned", status=None)


def a_run_cut_short(story: Story) -> None:
    story.asks()
    story.unanswered()


STORIES = {each.__name__: each for each in (a_good_run, a_bad_run, a_run_cut_short)}


def recorded(name: str) -> History:
    story = Story()
    story.plan(do("top_up"), about=("told-the-truth", "credited-at-most-once"))
    STORIES[name](story)
    return story.history()


@pytest.mark.parametrize(
    ("name", "status"),
    [("a_good_run", Status.HOLDS), ("a_bad_run", Status.BROKEN), ("a_run_cut_short", Status.UNKNOWN)],
)
def test_what_was_written_down_is_judged_as_what_was_seen(tmp_path: Path, name: str, status: Status) -> None:
    """Status, words and evidence."""
    seen = recorded(name)
    write(seen, tmp_path / "history.jsonl")
    [read] = histories(tmp_path)
    assert judge(seen, INVARIANTS) == judge(read, INVARIANTS)
    assert status_of(judge(read, INVARIANTS)) is status


def test_of_several_runs_in_one_file_each_is_judged_by_itself(tmp_path: Path) -> None:
    """What one broke is not laid to the next."""
    written = [recorded(name) for name in ("a_bad_run", "a_good_run", "a_run_cut_short", "a_good_run")]
    with (tmp_path / "history.jsonl").open("w", encoding="utf-8") as sink:
        sink.writelines(event.to_json() + "\n" for history in written for event in history)
    found = [status_of(judge(history, INVARIANTS)) for history in histories(tmp_path)]
    assert found == [Status.BROKEN, Status.HOLDS, Status.UNKNOWN, Status.HOLDS]


def test_a_history_file_that_is_not_there(tmp_path: Path) -> None:
    for path, named in ((tmp_path, "history.jsonl"), (tmp_path / "nowhere.jsonl", "nowhere.jsonl")):
        with pytest.raises(HistoryError, match=f"{named} does not exist"):
            histories(path)
