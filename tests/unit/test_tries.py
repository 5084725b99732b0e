"""A plan whose message did not come by is carried out again; what is written down is the try that says something."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from io import StringIO
from types import SimpleNamespace
from typing import Any

import pytest
from histories import Story

from harness.engines import suite
from harness.engines.suite import Job, carry_out_one
from harness.plan import Plan
from harness.run import Run
from harness.runner import Setting
from harness.verdict import Status, Verdict

HOLDS = (Status.HOLDS, "faults-bite")
UNREACHED = (Status.UNKNOWN, "faults-bite")
BROKEN = (Status.BROKEN, "credited-at-most-once")
UNREAD = (Status.UNKNOWN, "books-are-read")


def carried_out(monkeypatch: pytest.MonkeyPatch, tries: int, *ends: tuple[Status, str]) -> tuple[Run, str, list[str]]:
    """The run that is left when the tries end so, what is on disk, and the names that were given to each."""
    names: list[str] = []

    async def carry_out(plan: Plan, stack: Any, name: str, recorder: Any, setting: Setting) -> Run:
        status, by = ends[len(names)]
        names.append(name)
        recorder.record("harness", "plan", run=name)
        verdicts = (Verdict(by, "It is kept.", status, because="reasons"),)
        return Run(
            plan=plan,
            target="till",
            mutant=None,
            proxies="embedded",
            versions={},
            started=datetime(2026, 1, 1, tzinfo=UTC),
            took_s=0.1,
            history=Story().history(),
            verdicts=verdicts,
            payments=(),
            again="",
        )

    monkeypatch.setattr(suite, "carry_out", carry_out)
    target = SimpleNamespace(name="till", callbacks=SimpleNamespace(dialect="one"))
    stack: Any = SimpleNamespace(target=target, versions={})
    sink = StringIO()
    sink.write("what came before\n")
    job = replace(Job(Plan("cell", "A story.", 7, (), ()), ""), tries=tries)
    return asyncio.run(carry_out_one(job, stack, 3, sink)), sink.getvalue(), names


def test_it_is_tried_until_its_fault_meets_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time under another name, so that accounts are fresh; only the last time is on disk, behind what came before."""
    run, written, names = carried_out(monkeypatch, 5, UNREACHED, UNREACHED, HOLDS)

    assert (run.status, run.tries) == (Status.HOLDS, 3)
    assert len(set(names)) == 3
    before, *left = written.splitlines()
    assert before == "what came before"
    assert [names[-1] in line for line in left] == [True]


@pytest.mark.parametrize("end", [BROKEN, UNREAD], ids=["broken", "unknown for another reason"])
def test_what_says_something_is_never_tried_away(monkeypatch: pytest.MonkeyPatch, end: tuple[Status, str]) -> None:
    run, _, names = carried_out(monkeypatch, 5, UNREACHED, end, HOLDS)

    assert (run.status, len(names)) == (end[0], 2)


def test_the_tries_are_bounded_and_what_never_came_stays_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, names = carried_out(monkeypatch, 3, UNREACHED, UNREACHED, UNREACHED, HOLDS)

    assert (run.status, run.unreached, len(names)) == (Status.UNKNOWN, True, 3)


def test_other_plans_are_carried_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    run, _, names = carried_out(monkeypatch, 1, UNREACHED, HOLDS)

    assert (run.unreached, names) == (True, ["r3"])
