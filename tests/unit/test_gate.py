"""The release gate: its profile, its baseline, how it shares the time, and what it calls new."""

import asyncio
import json
import sys
import time
from datetime import date, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cli import load_everything
from harness.gate import turns as turns_module
from harness.gate.baseline import accept, chosen, read_baseline
from harness.gate.budget import Share, turn_s
from harness.gate.classing import classed
from harness.gate.profile import Profile, ProfileError, default, read_profile
from harness.gate.reading import Unreadable, read_left
from harness.gate.result import Result, State, Turn, both, last_record, read_record, record_of
from harness.gate.thresholds import not_shown
from harness.gate.turns import Wanted, ordered, take_turns
from harness.verdict import Status
from tests.unit.gates import NOTHING, SHOP, TODAY, accepted, finding, known, result, turn

load_everything()
HELD = finding("every-payment-is-credited")
BROKEN = finding()


# The profile


def test_the_written_profile_is_the_default_with_more_said() -> None:
    """What `--init` writes can be read, names every engine, and gives each the turn that it has by default."""
    path = Path(turns_module.__file__).with_name("template.toml")

    written, file = read_profile(path, Path())

    assert file == path
    assert [each.model_dump() for each in written.engines()] == [each.model_dump() for each in default().engines()]


WRONG = {
    "[gate.suite]\nscenarios = ['duplicate-callback']": ("gate.suite.scenarios", "Did you mean 'duplicate-callbacks'?"),
    "[gate.suite]\nscenaris = []": ("gate.suite.scenaris", "there is no such field"),
    "[gate.sweep]\nlinks = ['wire']": ("gate.sweep.links", "there are edge, api, hook, db"),
    "[gate.fuzz]\nattacks = ['rude']": ("gate.fuzz.attacks", "the families are"),
    "[gate]\nnever_unknown = ['all-is-well']\n[gate.suite]": ("gate.never_unknown", "topup-chaos list"),
    "[gate]\ndialects = ['strip']\n[gate.suite]": ("gate.dialects", "strip"),
    "[gate]\ntime_budget_s = 10\n[gate.suite]": ("gate.time_budget_s", "this is 10"),
    "[gate]\nseed = 1": ("gate", "[gate.suite]"),
    "[other]": ("[gate]", "gate --init"),
    "gate = 3": ("[gate]", "a table"),
    "[gate": ("not TOML", ""),
}


@pytest.mark.parametrize("text", WRONG)
def test_a_profile_that_is_wrong_names_the_field_and_the_remedy(text: str, tmp_path: Path) -> None:
    """And the file that it stands in."""
    path = tmp_path / "topup-chaos.toml"
    path.write_text(text)

    with pytest.raises(ProfileError) as wrong:
        read_profile(path, tmp_path)

    assert str(path) in str(wrong.value)
    assert all(part in str(wrong.value) for part in WRONG[text])


def test_a_profile_is_found_where_it_stands(tmp_path: Path) -> None:
    """The own file before pyproject.toml; neither is the default; paths are relative to the file."""
    assert read_profile(None, tmp_path) == (default(), None)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.topup-chaos.gate]\ntarget = 'a/target.toml'\n[tool.topup-chaos.gate.suite]"
    )
    shared, file = read_profile(None, tmp_path)
    assert (shared.target, file) == (tmp_path / "a" / "target.toml", tmp_path / "pyproject.toml")
    (tmp_path / "topup-chaos.toml").write_text("[gate.load]")
    assert [each.name for each in read_profile(None, tmp_path)[0].engines()] == ["load"]


def test_each_engine_is_told_what_the_profile_says() -> None:
    """In the words of the command that a person would type; hostile callbacks have a turn in each dialect."""
    profile = Profile.model_validate(
        {
            "dialects": ["stripe", "alipay"],
            "suite": {"scenarios": ["calm"]},
            "fuzz": {"generated": 7, "attacks": ["forged"]},
            "interleave": {"preemptions": 1},
            "sweep": {"flows": ["top-up-paid"], "links": ["db"], "faults": ["cut-after"], "workers": 2},
            "load": {"users": 3, "time_s": 60},
            "explore": {"time_s": 20, "examples": 9, "workers": 3},
        }
    )
    wanted = Wanted(profile=profile, seed=1, options=[], folder=Path())

    assert {each.name: " ".join(each.words(50)) for each in ordered(wanted)} == {
        "suite": "run calm --dialect stripe --dialect alipay --time-budget 50",
        "fuzz stripe": "fuzz --dialect stripe --generated 7 --attack forged --time-budget 50",
        "fuzz alipay": "fuzz --dialect alipay --generated 7 --attack forged --time-budget 50",
        "interleave": "interleave --preemptions 1 --time-budget 50",
        "sweep": "sweep top-up-paid --link db --fault cut-after --workers 2 --time-budget 50",
        "load": "load --users 3 --spawn-rate 10 --time 40",
        "explore": "explore --time 20 --examples 9 --workers 3 --shorten 0",
    }


# The time


shares = st.builds(Share, st.floats(0.1, 9), st.none() | st.floats(1, 500))


@given(st.floats(0, 5000), st.lists(shares, min_size=1, max_size=7))
def test_the_parts_are_never_more_than_the_whole(whole: float, waiting: list[Share]) -> None:
    """And all of it is given, unless everybody has as much as he may."""
    left = whole
    for number, own in enumerate(waiting):
        part = turn_s(left, own, waiting[number + 1 :])
        assert 0 <= part <= left + 1e-6
        assert own.at_most_s is None or part <= own.at_most_s + 1e-6
        left -= part
    assert left < 1e-6 * max(1, whole) or all(share.at_most_s is not None for share in waiting)


def test_what_one_does_not_need_is_for_the_others() -> None:
    """A bound of its own frees the rest; weights say how it is shared."""
    assert turn_s(100, Share(1), [Share(3)]) == 25
    assert turn_s(100, Share(1, 10), [Share(1)]) == 10
    assert turn_s(100, Share(1), [Share(1, 10), Share(2)]) == 30


ENGINE = """
import json, pathlib, signal, sys, time
words = sys.argv[1:]
out = pathlib.Path(words[words.index("--out") + 1]) / "1-engine"
if words[0] == "run":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)
if words[0] == "interleave":
    sys.exit("no stack: there is no PostgreSQL")
out.mkdir(parents=True)
report = pathlib.Path({report!r})
if out.parent.name == "load":
    report = report.with_name("idle.json")
(out / "run.json").write_text(report.read_text())
sys.exit({code})
"""


def run_json(status: str = "holds", name: str = "calm", left: int = 0, **verdict: Any) -> str:
    """What an engine leaves of one run with one verdict."""
    violations = [{"says": "pay_1 was credited 2 times"}] if status == "broken" else []
    said = {"invariant": "credited-at-most-once", "promise": "Once.", "status": status, "because": "", "weighs": True}
    run = {
        "plan": {"name": name, "steps": []},
        "status": status,
        "target": "shop",
        "dialect": "stripe",
        "mutant": None,
        "again": "topup-chaos run calm",
        "verdicts": [said | {"violations": violations} | verdict],
        "payments": [{"verdict": "exact"}],
    }
    return json.dumps({"status": status, "left": left, "left_out": [], "runs": [run]})


def played(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: dict[str, Any],
    whole_s: float,
    code: int = 0,
    idle: str = "faults-bite",
) -> list[Turn]:
    """What comes of the turns, where engines are a few lines that leave a report, or hang, or cannot begin."""
    for name, seconds in {"TURN_MIN_S": 1.5, "KILLING_S": 0.3}.items():
        monkeypatch.setattr(turns_module, name, seconds)
    monkeypatch.setattr(turns_module, "ending_s", lambda _: 1.2)
    report = tmp_path / "report.json"
    report.write_text(run_json())
    report.with_name("idle.json").write_text(run_json("unknown", invariant=idle, because="nothing crossed"))
    script = tmp_path / "engine.py"
    script.write_text(ENGINE.format(report=str(report), code=code))
    wanted = Wanted(
        profile=Profile.model_validate(profile),
        seed=1,
        options=["--seed", "1"],
        folder=tmp_path / "gate",
        program=(sys.executable, str(script)),
    )
    done: list[Turn] = []
    asyncio.run(take_turns(wanted, time.monotonic() + whole_s, lambda _: None, done))
    return done


def test_an_engine_that_hangs_costs_its_own_time_and_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It does not hear that it should end, is ended, and the others have their turn."""
    hangs, goes_on = played(tmp_path, monkeypatch, {"suite": {"share": 1}, "sweep": {"share": 9}}, whole_s=40)

    assert (hangs.status, goes_on.status) == (Status.UNKNOWN, Status.HOLDS)
    assert "were over, and it was stopped" in hangs.unknown[0] and "no report" in hangs.unknown[1]
    assert hangs.took_s < 10 and goes_on.runs == 1


def test_what_had_no_turn_is_there_and_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first come first; nothing that was left out looks like something that held."""
    first, second = played(tmp_path, monkeypatch, {"suite": {}, "sweep": {}}, whole_s=2)

    assert first.allowed_s >= 1 and second.allowed_s == 0
    assert second.status is Status.UNKNOWN and "did not get its turn" in second.unknown[0]


def test_an_engine_that_could_not_begin_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last line is the reason; an exit code that its report does not explain is none that holds."""
    (no_stack,) = played(tmp_path, monkeypatch, {"interleave": {}}, whole_s=30)
    (tmp_path / "other").mkdir()
    (crashed,) = played(tmp_path / "other", monkeypatch, {"sweep": {}}, whole_s=30, code=70)

    assert no_stack.status is Status.UNKNOWN and "there is no PostgreSQL" in no_stack.unknown[0]
    assert crashed.status is Status.UNKNOWN and "crashed" in crashed.unknown[0]


def test_less_than_the_profile_asks_for_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that goes on by the clock is cut short, and says so."""
    (short,) = played(tmp_path, monkeypatch, {"explore": {"time_s": 500}}, whole_s=20)

    assert short.status is Status.UNKNOWN and "of the 500 s that the profile asks for" in short.unknown[0]


def test_an_engine_whose_plans_met_nothing_has_a_second_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And says so; where the doubt is about the service, the first turn stands."""
    (again,) = played(tmp_path, monkeypatch, {"load": {"time_s": 5}}, whole_s=60)
    (tmp_path / "other").mkdir()
    (stands,) = played(tmp_path / "other", monkeypatch, {"load": {"time_s": 5}}, whole_s=60, idle="settles-in-time")

    assert again.status is Status.HOLDS and "its second turn; in the first, calm: faults-bite" in again.notes[0]
    assert stands.status is Status.UNKNOWN and not (tmp_path / "other" / "gate" / "load-2").exists()


def test_what_the_first_of_two_turns_found_was_found() -> None:
    """Whatever the second says."""
    merged = both(turn(BROKEN, unknown=["idle"], idle=True), turn(HELD))

    assert {each.rule.id for each in merged.findings} == {BROKEN.rule.id, HELD.rule.id}
    assert merged.unknown == () and merged.took_s == 18


# What engines leave


def left(tmp_path: Path, text: str, **profile: Any) -> Turn:
    (tmp_path / "run.json").write_text(text)
    engine = next(Profile.model_validate(profile or {"suite": {}}).engines())
    return read_left(Turn(engine=engine.name, name=engine.name, again=""), tmp_path, engine)


def test_a_broken_promise_is_a_finding_that_is_the_same_in_every_run(tmp_path: Path) -> None:
    """Made of the promise and the place; payments, amounts and orders have no part in it."""
    first = left(tmp_path, run_json("broken")).findings[0]
    other = left(tmp_path, run_json("broken").replace("pay_1", "pay_2").replace("2 times", "3 times")).findings[0]
    elsewhere = left(tmp_path, run_json("broken", name="duplicate-callbacks")).findings[0]
    orders = [
        left(tmp_path, run_json("broken", name=f"early-callback: order {n}"), interleave={}).findings[0].fingerprint
        for n in (1, 2)
    ]

    assert first.where == f"{SHOP}, suite: calm" and first.cwe == (837,)
    assert first.fingerprint == other.fingerprint != elsewhere.fingerprint
    assert orders[0] == orders[1]


def test_what_is_unknown_is_said_and_may_be_allowed_aloud(tmp_path: Path) -> None:
    """A run that could not be judged, runs that were not made; so many as the profile allows are a note."""
    doubt = run_json("unknown", because="no credit in the history")

    assert left(tmp_path, doubt).unknown == ["calm: credited-at-most-once: no credit in the history"]
    assert left(tmp_path, doubt).unjudged == {"credited-at-most-once"}
    allowed = left(tmp_path, doubt, suite={"unknown_runs_max": 1})
    assert (allowed.unknown, len(allowed.notes), allowed.unknown_runs) == ([], 1, 1)
    assert left(tmp_path, run_json(left=3)).unknown == ["3 runs were asked for and not made"]
    unreached = run_json("unknown", invariant="faults-bite", because="touched nothing")
    assert (
        left(tmp_path, unreached, sweep={}).unknown
        and not left(tmp_path, unreached, sweep={"allow_unreached": True}).unknown
    )


def test_stories_that_proved_nothing_are_not_held_against_the_service(tmp_path: Path) -> None:
    """But where no story proved anything, nothing was shown."""
    assert left(tmp_path, run_json("unknown", invariant="faults-bite"), explore={}).unknown == [
        "no run proved anything"
    ]


@pytest.mark.parametrize("text", ["", "{}", '{"status": "holds", "left": 0, "left_out": [], "runs": [{}]}'])
def test_a_report_that_cannot_be_read_is_no_report(text: str, tmp_path: Path) -> None:
    """It is not taken for one in which nothing was found."""
    with pytest.raises(Unreadable):
        left(tmp_path, text)


def test_half_a_search_has_not_looked_everywhere(tmp_path: Path) -> None:
    """What it did not find again may still be there."""
    half = run_json(name="early-callback: order 1", left=1)

    assert left(tmp_path, half, interleave={}).tried == frozenset()
    assert left(tmp_path, half, suite={}).tried != frozenset()


# Classes


def states(found: Any) -> dict[str, tuple[str, bool]]:
    return {each.finding.rule.id: (each.state.value, each.counts) for each in found}


def test_new_then_ongoing_then_resolved() -> None:
    """Ongoing without anybody who accepts it still counts; resolved does not, and since when it is known is kept."""
    first = classed([turn(BROKEN)], None, NOTHING, TODAY)
    second = classed([turn(BROKEN)], known(BROKEN), NOTHING, TODAY)
    third = classed([turn(tried=[(BROKEN.rule.id, BROKEN.where)])], known(BROKEN), NOTHING, TODAY)

    assert states(first) == {BROKEN.rule.id: ("new", True)}
    assert states(second) == {BROKEN.rule.id: ("ongoing", True)} and second[0].since == date(2026, 11, 1)
    assert states(third) == {BROKEN.rule.id: ("resolved", False)}


def test_what_nobody_looked_for_is_not_resolved() -> None:
    """The promise held somewhere else, or the engine had no turn: nothing is known."""
    elsewhere = turn(tried=[(BROKEN.rule.id, f"{SHOP}, suite: calm")])

    for turns in ([elsewhere], [turn()], []):
        assert states(classed(turns, known(BROKEN), NOTHING, TODAY)) == {BROKEN.rule.id: ("not looked for", False)}


def test_an_accepted_finding_counts_again_when_its_time_is_over() -> None:
    """Through its last day it does not; the day after it does."""
    baseline = accepted(BROKEN, until=TODAY)

    (last_day,) = classed([turn(BROKEN)], None, baseline, TODAY)
    (day_after,) = classed([turn(BROKEN)], None, baseline, TODAY + timedelta(days=1))

    assert (last_day.state, last_day.counts, last_day.expired) == (State.ONGOING, False, False)
    assert (day_after.state, day_after.counts, day_after.expired) == (State.ONGOING, True, True)


def test_what_is_accepted_and_gone_is_said_to_be_resolved() -> None:
    """Without an earlier gate too: the baseline knows its rule and its place."""
    baseline = accepted(BROKEN)

    assert states(classed([turn(tried=[(BROKEN.rule.id, BROKEN.where)])], None, baseline, TODAY)) == {
        BROKEN.rule.id: ("resolved", False)
    }


def test_lesser_findings_are_listed_and_do_not_count_where_the_profile_says_so() -> None:
    """And count where it does not."""
    lesser = finding(grave=False)

    assert states(classed([turn(lesser)], None, NOTHING, TODAY, "error")) == {lesser.rule.id: ("new", False)}
    assert states(classed([turn(lesser)], None, NOTHING, TODAY)) == {lesser.rule.id: ("new", True)}


@given(st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)), st.sets(st.integers(0, 5)), st.randoms())
def test_every_finding_is_in_one_class_and_nothing_seen_is_lost(
    now: set[int], before: set[int], let: set[int], rng: Random
) -> None:
    """Whatever was found now, before, or accepted, in whatever order."""
    every = [finding(f"rule-{number}") for number in range(6)]
    found = [every[number] for number in now]
    rng.shuffle(found)

    classes = classed([turn(*found)], known(*(every[n] for n in before)), accepted(*(every[n] for n in let)), TODAY)

    assert sorted(each.fingerprint for each in classes) == sorted(
        every[number].fingerprint for number in now | before | let
    )
    assert {each.fingerprint for each in classes if each.seen} == {each.fingerprint for each in found}
    assert {each.fingerprint for each in classes if each.counts} == {every[n].fingerprint for n in now - let}


# The verdict


def the_result(tmp_path: Path, *turns: Turn, **facts: Any) -> Result:
    return result(tmp_path, turns, classed(turns, None, facts.pop("baseline", NOTHING), TODAY), **facts)


def test_the_whole_is_broken_by_what_counts_and_unknown_before_it_holds(tmp_path: Path) -> None:
    """An accepted finding lets it hold; what was not shown never does."""
    assert the_result(tmp_path, turn()).status is Status.HOLDS
    assert the_result(tmp_path, turn(BROKEN)).status is Status.BROKEN
    assert the_result(tmp_path, turn(BROKEN), baseline=accepted(BROKEN)).status is Status.HOLDS
    assert the_result(tmp_path, turn(BROKEN, unknown=["x"]), baseline=accepted(BROKEN)).status is Status.UNKNOWN
    assert the_result(tmp_path, turn(unknown=["it did not get its turn"])).status is Status.UNKNOWN
    assert the_result(tmp_path, turn(), missing=["payments_min"]).status is Status.UNKNOWN


def test_what_the_profile_asks_for_must_have_been_shown() -> None:
    """Promises that were nowhere put to the test, or in doubt somewhere; too few payments, too few callbacks."""
    profile = Profile.model_validate(
        {"never_unknown": ["credited-at-most-once"], "payments_min": 6, "callbacks_min": 9, "suite": {}, "fuzz": {}}
    )
    shown = turn(judged=frozenset({"credited-at-most-once"}), payments={"exact": 6, "unknown": 4}, callbacks=9)

    assert list(not_shown(profile, [shown])) == []
    assert len(list(not_shown(profile, [turn()]))) == 3
    doubt = turn(unjudged=frozenset({"credited-at-most-once"}))
    assert next(iter(not_shown(profile, [shown, doubt]))) == "never_unknown: credited-at-most-once was unknown in suite"


# The baseline and the record


def test_accepting_writes_what_is_read_again(tmp_path: Path) -> None:
    """Beside what is there, comments and all; with quotes and everything else that a reason may hold."""
    path = tmp_path / "baseline.toml"
    reason = 'told "twice", \\ fixed in 2.3 · sûr'

    accept(path, BROKEN, "jo", reason, "2027-01-31", TODAY)
    path.write_text("# ours\n" + path.read_text())
    accept(path, HELD, "kim", "later", "2026-11-25", TODAY)

    read = read_baseline(path).accepted
    assert path.read_text().startswith("# ours\n")
    assert (read[BROKEN.fingerprint].reason, read[BROKEN.fingerprint].until) == (reason, date(2027, 1, 31))
    assert read[HELD.fingerprint].owner == "kim"


@pytest.mark.parametrize(
    ("owner", "reason", "until", "says"),
    [
        ("", "known", "2027-01-31", "owner"),
        ("jo", " ", "2027-01-31", "reason"),
        ("jo", "known", "soon", "until"),
        ("jo", "known", "2026-11-24", "--until 2026-11-24 is over"),
        ("jo\n", "two\nlines", "2027-01-31", "reason"),
    ],
)
def test_nothing_is_accepted_without_an_owner_a_reason_and_an_end(
    owner: str, reason: str, until: str, says: str, tmp_path: Path
) -> None:
    """The message names what is missing, and nothing is written."""
    with pytest.raises(ProfileError, match=says):
        accept(tmp_path / "baseline.toml", BROKEN, owner, reason, until, TODAY)
    assert not (tmp_path / "baseline.toml").exists()


def test_a_finding_is_named_by_the_beginning_of_its_fingerprint() -> None:
    """Eight digits at least; one that there is not is answered with those that there are."""
    assert chosen(BROKEN.fingerprint[:8], [HELD, BROKEN]) is BROKEN
    for asked in ("abc", "zzzzzzzz", "0" * 64):
        with pytest.raises(ProfileError):
            chosen(asked, [HELD, BROKEN])
    with pytest.raises(ProfileError, match=BROKEN.fingerprint[:16]):
        chosen("0" * 8, [HELD, BROKEN])


def test_a_baseline_that_is_wrong_is_no_empty_one(tmp_path: Path) -> None:
    """An entry without an end, a field that there is not, one that is there twice."""
    path = tmp_path / "baseline.toml"
    accept(path, BROKEN, "jo", "known", "2027-01-31", TODAY)
    good = path.read_text()

    for text in (good.replace("until = 2027-01-31", ""), good + "\n[[accept]]", good + good, "[["):
        path.write_text(text)
        with pytest.raises(ProfileError, match=r"baseline\.toml"):
            read_baseline(path)
    with pytest.raises(ProfileError, match="change its `until` there"):
        path.write_text(good)
        accept(path, BROKEN, "jo", "known", "2027-01-31", TODAY)


def test_a_gate_remembers_what_it_left(tmp_path: Path) -> None:
    """All that is not resolved, with the same fingerprints; of this service alone."""
    made = result(tmp_path, [], classed([turn(BROKEN)], known(HELD), NOTHING, TODAY))
    folder = tmp_path / "runs" / "20261125-120000-gate"
    folder.mkdir(parents=True)
    (folder / "gate.json").write_text(record_of(made))

    assert {each.finding.fingerprint for each in read_record(folder).findings} == {BROKEN.fingerprint, HELD.fingerprint}
    last = last_record(tmp_path / "runs", "shop")
    assert last is not None and last.findings == read_record(folder).findings
    assert last_record(tmp_path / "runs", "another-shop") is None
    (folder / "gate.json").write_text("{}")
    assert last_record(tmp_path / "runs", "shop") is None
    with pytest.raises(ProfileError, match=r"gate\.json"):
        read_record(folder)
