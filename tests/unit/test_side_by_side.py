"""Several workers, real processes, on stacks that are none: every job once, every history whole and in order."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TextIO

import pytest
from histories import Story

from harness.engines import side_by_side
from harness.engines.side_by_side import Foreman, Service, carry_out_side_by_side, with_a_crew
from harness.engines.suite import Job, Order, Progress, begin
from harness.plan import Plan
from harness.provider import Speech
from harness.run import Run, histories
from harness.stack import StackError

pytestmark = pytest.mark.timeout(60)


SPEECH = Speech(frozenset({"payment.captured"}), frozenset({"unsigned"}), frozenset({"drop"}))


class Watcher:
    def __init__(self) -> None:
        self.begun: list[str] = []
        self.done: list[str] = []

    def begins(self, name: str) -> None:
        self.begun.append(name)

    def finished(self, run: Run) -> None:
        self.done.append(run.plan.name)


def plan(name: str) -> Plan:
    return Plan(name, "A story.", 7, (), ())


def of(plan: Plan) -> Run:
    return Run(
        plan=plan,
        target="till",
        mutant=None,
        proxies="none",
        versions={"pid": str(os.getpid())},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        took_s=0.0,
        history=Story().history(),
        verdicts=(),
        payments=(),
        again="",
    )


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stacks that are none; what workers do is inherited by the fork. A file of how many runs each had behind it when its service
    was started anew.
    """
    anew = tmp_path_factory.mktemp("served") / "anew"
    anew.touch()
    done: list[str] = []

    @asynccontextmanager
    async def no_stack(*_: Any, **__: Any) -> Any:
        async def serve(_mutant: str | None) -> None:
            with anew.open("a") as book:
                book.write(f"{len(done)}\n")
            done.clear()

        async def speech() -> Speech:
            return SPEECH

        yield SimpleNamespace(remarks=("a remark",), serve=serve, provider=SimpleNamespace(speech=speech))

    async def carry_out_one(job: Job, stack: Any, number: int, sink: TextIO) -> Run:
        name = job.plan.name
        if name == "raises":
            raise StackError("the service did not come up")
        if name == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "interrupts":
            os.kill(os.getppid(), signal.SIGTERM)
            time.sleep(30)  # noqa: ASYNC251 - a worker that does not hear, until it is killed
        done.append(name)
        sink.write(json.dumps({"at": number, "actor": "harness", "kind": "plan", "name": name}) + "\n")
        return of(job.plan)

    lines = SimpleNamespace(let_go=lambda: None)
    monkeypatch.setattr(side_by_side, "nurseries", lambda *_: nullcontext(SimpleNamespace(lines=lambda: lines)))
    monkeypatch.setattr(side_by_side, "processes", no_stack)
    monkeypatch.setattr(side_by_side, "carry_out_one", carry_out_one)
    monkeypatch.setattr(side_by_side, "END_S", 0.5)
    return anew


def order(out: Path, *names: str, then: Callable[[Sequence[Run]], Sequence[Job]] | None = None) -> Order:
    jobs = [Job(plan(name), "") for name in names]
    return Order(name="x", jobs=jobs, target=Path(), seed=1, again="", out=out, then=then, workers=3)


def carried_out(asked: Order) -> tuple[bool, Progress, Watcher]:
    progress, watcher = begin(asked), Watcher()
    return carry_out_side_by_side(asked, progress, watcher), progress, watcher


@pytest.mark.usefixtures("served")
def test_every_job_is_done_once_and_all_is_in_their_order(tmp_path: Path) -> None:
    """Whoever did it, and whenever it was ready."""
    names = [f"job {number}" for number in range(20)]
    interrupted, progress, watcher = carried_out(order(tmp_path, *names))

    assert not interrupted
    assert [run.plan.name for run in progress.runs] == names
    assert sorted(watcher.begun) == sorted(watcher.done) == sorted(names)
    assert [history[0]["name"] for history in histories(progress.folder)] == names
    assert [each.name for each in progress.folder.glob("history*")] == ["history.jsonl"]
    assert progress.remarks == ("a remark",)
    assert str(os.getpid()) not in {run.versions["pid"] for run in progress.runs}


def test_the_service_has_a_fresh_database_after_so_many_runs(
    tmp_path: Path, served: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What earlier runs left open would be asked about again and again."""
    monkeypatch.setattr(side_by_side, "FRESH_AFTER", 4)
    carried_out(order(tmp_path, *(f"job {number}" for number in range(30))))

    runs = [int(line) for line in served.read_text().split()]
    assert runs and set(runs) == {4}


@pytest.mark.usefixtures("served")
def test_each_round_is_made_of_all_the_runs_before_it(tmp_path: Path) -> None:
    """And not begun before the last of them is over."""
    seen: list[list[str]] = []

    def then(runs: Sequence[Run]) -> Sequence[Job]:
        seen.append([run.plan.name for run in runs])
        return [Job(plan(f"more {len(runs)} {number}"), "") for number in range(2)] if len(runs) < 4 else []

    asked = order(tmp_path, "a", "b", then=then)
    _, progress, _ = carried_out(asked)

    assert seen == [["a", "b"], ["a", "b", "more 2 0", "more 2 1"]]
    assert len(progress.runs) == 4
    assert len({run.versions["pid"] for run in progress.runs[:2]}) == 1, "what is compared is done on one stack"
    assert progress.suite(asked).left == 0


@pytest.mark.usefixtures("served")
def test_jobs_without_end_are_asked_for_one_at_a_time(tmp_path: Path) -> None:
    """What is drawn is drawn for somebody who is free, and ends as soon as what was heard says so."""
    asked, watcher = order(tmp_path), Watcher()
    progress, told = begin(asked), list[Speech]()

    def without_end() -> Iterator[Job]:
        for number in count():
            if len(watcher.done) >= 10:
                return
            assert number <= len(watcher.done) + asked.workers
            yield Job(plan(f"job {number}"), "")

    def work(foreman: Foreman) -> None:
        told.append(foreman.speech())
        foreman.all(without_end(), foreman.crew)

    assert not with_a_crew(asked, Service(None, None), progress, watcher, work)
    names = [run.plan.name for run in progress.runs]
    assert told == [SPEECH]
    assert 10 <= len(names) < 10 + asked.workers
    assert names == [f"job {number}" for number in range(len(names))]


@pytest.mark.usefixtures("served")
def test_what_has_begun_when_the_time_is_over_comes_to_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was left out then; what has not begun is left."""
    watcher = Watcher()
    for so_many, left in ((2, 0), (1, 1), (0, 2)):
        asked = replace(order(tmp_path, "a", "b", then=lambda _: []), workers=1)
        progress, begun = begin(asked), len(watcher.begun)
        monkeypatch.setattr(Progress, "is_over", lambda *_, at=begun + so_many: len(watcher.begun) >= at)

        assert not carry_out_side_by_side(asked, progress, watcher)
        assert [run.plan.name for run in progress.runs] == ["a", "b"][:so_many]
        assert progress.suite(asked).left == (left + 1 if left else 0), "what more would have come of them is not known"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(("name", "says"), [("raises", "did not come up"), ("dies", "ended at 'dies' with -9")])
def test_what_goes_wrong_in_a_worker_is_raised_here(tmp_path: Path, name: str, says: str) -> None:
    """What was done by then is kept."""
    asked = order(tmp_path, "a", "b", then=lambda _: [Job(plan(name), "")])
    progress = begin(asked)
    with pytest.raises(StackError, match=says):
        carry_out_side_by_side(asked, progress, Watcher())

    assert [run.plan.name for run in progress.runs] == ["a", "b"]
    assert [history[0]["name"] for history in histories(progress.folder)] == ["a", "b"]


@pytest.mark.usefixtures("served")
def test_an_interrupted_command_keeps_what_it_has(tmp_path: Path) -> None:
    """And its workers end, those that do not hear too."""
    asked = order(tmp_path, "a", "b", then=lambda _: [Job(plan("interrupts"), "")])
    interrupted, progress, _ = carried_out(asked)

    assert interrupted
    assert [run.plan.name for run in progress.runs] == ["a", "b"]
    assert progress.suite(asked).left == 1
