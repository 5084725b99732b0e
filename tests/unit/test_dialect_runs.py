"""One suite in several dialects: a stack for each, what cannot be forged left out by name, the verdicts side by side."""

import asyncio
from collections.abc import Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from histories import Story

from harness import cli
from harness.engines import suite
from harness.engines.suite import Job, Order, begin, carry_out_all
from harness.plan import Begin, Do, End, Operation, Plan
from harness.provider import Speech
from harness.run import Run, Suite, recorded, to_json
from harness.target import TargetError, read
from harness.verdict import Status, Verdict
from reports.by_dialect import Cell, counted, table
from reports.html import render

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
OFFERED = {
    "one": Speech(
        frozenset({"dispute.opened", "dispute.won"}), frozenset({"unsigned", "stale-timestamp"}), frozenset({"drop"})
    ),
    "two": Speech(frozenset({"payment.captured"}), frozenset({"unsigned"}), frozenset()),
}


def plan(name: str, *forgeries: str) -> Plan:
    steps = tuple(
        Do((Operation(id=f"f{number}", kind="forge", about="t1", args={"forgery": forgery}),))
        for number, forgery in enumerate(forgeries)
    )
    return Plan(name, "A story.", 7, steps, ())


def run(name: str, dialect: str, status: Status = Status.HOLDS) -> Run:
    return Run(
        plan=plan(name),
        target="till",
        mutant=None,
        proxies="embedded",
        versions={},
        started=WHEN,
        took_s=0.5,
        history=Story().history(),
        verdicts=(Verdict("some-promise", "It is kept.", status, because="reasons"),),
        payments=(),
        again="again",
        dialect=dialect,
    )


def suite_of(*runs: Run, left_out: tuple[str, ...] = (), folder: Path = Path("reports/runs/one")) -> Suite:
    return Suite(name="suite", started=WHEN, took_s=1.0, runs=runs, folder=folder, again="again", left_out=left_out)


@pytest.fixture
def carried_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Carries out jobs on stacks that are none; tells which stacks there were, and what was done on them."""

    def carried_out(jobs: Sequence[Job]) -> tuple[list[str], Suite]:
        told: list[str] = []

        @asynccontextmanager
        async def no_stack(*_: Any, dialect: str | None, **__: Any) -> Any:
            async def speech() -> Speech:
                return OFFERED[dialect or "one"]

            told.append(f"stack {dialect}")
            target = SimpleNamespace(
                name="till", callbacks=SimpleNamespace(dialect=dialect or "one"), lacks=lambda _: ""
            )
            yield SimpleNamespace(remarks=(), target=target, versions={}, provider=SimpleNamespace(speech=speech))

        async def carry_out(plan: Plan, stack: Any, name: str, recorder: Any, setting: Any) -> Run:
            told.append(f"{name} {plan.name} in {setting.dialect}")
            return run(plan.name, setting.dialect)

        monkeypatch.setattr(suite, "processes", no_stack)
        monkeypatch.setattr(suite, "carry_out", carry_out)
        order = Order(name="x", jobs=jobs, target=Path(), seed=1, again="", out=tmp_path)
        progress = begin(order)
        asyncio.run(carry_out_all(order, progress, SimpleNamespace(begins=lambda _: None, finished=lambda _: None)))
        return told, progress.suite(order)

    return carried_out


def test_each_dialect_has_a_stack_of_its_own_and_the_runs_are_numbered_through(carried_out: Any) -> None:
    told, _ = carried_out([Job(plan(name), "", None, dialect) for dialect in ("one", "two") for name in ("a", "b")])
    assert told == ["stack one", "r1 a in one", "r2 b in one", "stack two", "r3 a in two", "r4 b in two"]


def test_what_cannot_be_forged_in_a_dialect_is_left_out_by_name_and_does_not_weigh(carried_out: Any) -> None:
    jobs = [Job(plan("late", "unsigned", "stale-timestamp"), "", None, "two"), Job(plan("calm"), "", None, "two")]
    told, made = carried_out(jobs)
    assert told == ["stack two", "r1 calm in two"]
    assert made.left_out == ("late: two has no forgery stale-timestamp",)
    assert (made.left, made.status) == (0, Status.HOLDS)


def test_what_a_dialect_has_no_word_for_is_left_out_too(carried_out: Any) -> None:
    """Not every provider has disputes."""
    acts = Do((Operation(id="d1", kind="dispute", about="t1"), Operation(id="d2", kind="win", about="t1")))
    disputed = Plan("disputed", "A story.", 7, (acts,), ())
    told, made = carried_out([Job(disputed, "", None, dialect) for dialect in ("one", "two")])
    assert told == ["stack one", "r1 disputed in one", "stack two"]
    assert made.left_out == ("disputed: two has no word for dispute.opened, no word for dispute.won",)


def test_a_mood_that_the_provider_cannot_be_in_is_left_out_too(carried_out: Any) -> None:
    """A capture that has one name only is not told under two."""
    moody = Plan("moody", "A story.", 7, (Begin("x1", "mood", {"mood": "drop"}), End("x1")), ())
    told, made = carried_out([Job(moody, "", None, dialect) for dialect in ("one", "two")])
    assert told == ["stack one", "r1 moody in one", "stack two"]
    assert made.left_out == ("moody: two has no mood drop",)


def test_where_everything_is_left_out_nothing_is_known(carried_out: Any) -> None:
    """Not even that it holds: nothing was judged."""
    _, made = carried_out([Job(plan("late", "stale-timestamp"), "", None, "two")])
    assert (made.runs, made.status) == ((), Status.UNKNOWN)


def test_what_can_be_forged_is_carried_out(carried_out: Any) -> None:
    told, made = carried_out([Job(plan("late", "stale-timestamp"), "", None, "one")])
    assert told[1:] == ["r1 late in one"]
    assert made.left_out == ()


# The table


def test_verdicts_stand_side_by_side() -> None:
    """The worst of several runs of one plan; nothing where there was no run."""
    made = suite_of(
        run("a", "one"),
        run("b", "one"),
        run("a", "two", Status.BROKEN),
        run("a", "two"),
        run("c", "two", Status.UNKNOWN),
    )
    found = table(made)
    assert found is not None
    assert found.dialects == ["one", "two"]
    assert found.rows == {
        "a": [Cell(1, Status.HOLDS), Cell(3, Status.BROKEN)],
        "b": [Cell(2, Status.HOLDS), None],
        "c": [None, Cell(5, Status.UNKNOWN)],
    }
    assert counted(made.runs) == ["one: 2 holds", "two: 1 broken, 1 unknown, 1 holds"]


def test_one_dialect_needs_no_table() -> None:
    assert table(suite_of(run("a", "one"), run("b", "one"))) is None
    assert counted((run("a", "one"), run("b", "one"))) == []


def test_the_page_shows_the_table_and_what_was_left_out() -> None:
    page = render(suite_of(run("a", "one"), run("a", "two"), left_out=("late: two has no forgery <b>",)))
    assert "By dialect" in page
    assert "<th>one</th><th>two</th>" in page
    assert "late: two has no forgery &lt;b&gt;" in page
    assert "By dialect" not in render(suite_of(run("a", "one")))


# From disk, and from the command line


def test_a_recorded_run_knows_its_dialect(tmp_path: Path) -> None:
    """So that it is replayed in it; runs from before there was a choice have none."""
    import json

    written = to_json(suite_of(run("a", "stripe"), replace(run("b", ""), dialect="")))
    (tmp_path / "run.json").write_text(json.dumps(written), encoding="utf-8")
    assert [each.dialect for each in recorded(tmp_path)] == ["stripe", None]


def test_an_unknown_dialect_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["topup-chaos", "run", "calm", "--dialect", "strpe"])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert end.value.code == cli.USAGE
    assert "did you mean 'stripe'?" in capsys.readouterr().err


TARGET = """
name = "till"
environment = "chaos"
[start]
command = ["till"]
[start.env]
KEY = "{secret}"
[callbacks]
path = "/hooks"
[operations.top_up]
request = "POST /"
[operations.balance]
request = "GET /"
"""


def test_a_target_is_told_the_dialect_where_it_says_how(tmp_path: Path) -> None:
    path = tmp_path / "target.toml"
    path.write_text(TARGET.replace("{secret}", "{dialect}"), encoding="utf-8")
    assert read(path).speaking("stripe").callbacks.dialect == "stripe"
    assert read(path).speaking(None).callbacks.dialect == "standard-webhooks"


def test_a_target_that_cannot_be_told_is_refused_with_the_remedy(tmp_path: Path) -> None:
    """It would go on in its own dialect, and every verdict would be about something else."""
    path = tmp_path / "target.toml"
    path.write_text(TARGET, encoding="utf-8")
    with pytest.raises(TargetError, match="till cannot be told to speak stripe: put"):
        read(path).speaking("stripe")
    assert read(path).speaking("standard-webhooks") == read(path)
