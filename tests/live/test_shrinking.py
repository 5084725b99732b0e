"""The shrinker on the whole stack: a story and a cell of a sweep each lose what they do not need, and still repeat."""

import asyncio
from pathlib import Path

import pytest

from harness.cli import REFERENCE, load_everything, work
from harness.engines.shrink import Shrink, Shrunk, shrink
from harness.engines.suite import Job, Order, begin
from harness.engines.sweep import FAILURES, Crossing
from harness.flow import FLOWS
from harness.plan import Plan
from harness.run import Run, recorded
from harness.scenario import SCENARIOS
from harness.shorter import weight
from reports import write_all

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(240)]

load_everything()


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def shortened(plan: Plan, mutant: str, promise: str, out: Path) -> tuple[Shrunk, Path]:
    """What is left of it; each smaller plan has several tries, since a busy machine gives no verdict now and then."""
    order = Order(name="shrink", jobs=[Job(plan, "", mutant)], target=REFERENCE, seed=plan.seed, again="", out=out)
    progress, shrunk = begin(order), Shrunk(plan)
    wanted = Shrink(plan=plan, promise=promise, target=REFERENCE, mutant=mutant, again="", tries=4)
    asyncio.run(shrink(wanted, progress, shrunk, lambda _: None))
    write_all(progress.suite(order))
    return shrunk, progress.folder


def replayed(folder: Path, out: Path) -> list[Run]:
    [left] = recorded(folder)
    order = Order(
        name="replay", jobs=[Job(left.plan, "", left.mutant)] * 3, target=REFERENCE, seed=1, again="", out=out
    )
    _, progress = work(order, Nobody())
    return list(progress.runs)


def test_a_story_of_three_top_ups_comes_down_to_one(tmp_path: Path) -> None:
    """The calm top-ups around it go, and its waits; what is written down breaks the same promise when it is replayed."""
    story = SCENARIOS["duplicate-callbacks"].plan(3)
    shrunk, folder = shortened(story, "credits-every-delivery", "credited-at-most-once", tmp_path)

    assert shrunk.ended == ""
    assert sorted(each.kind for each in shrunk.plan.operations()) == ["open_account", "top_up"]
    assert [dict(begin.args) for begin in shrunk.plan.faults()] == [{"mood": "duplicate"}]
    assert [run.broken for run in replayed(folder, tmp_path)] == [{"credited-at-most-once"}] * 3


def test_a_cell_of_a_sweep_keeps_the_failure_and_loses_the_rest(tmp_path: Path) -> None:
    """The statement that was broken is still the one that is broken."""
    blow = FAILURES["cut-before"].at(Crossing("db", "INSERT postings", 1, "top_ups"))
    cell = FLOWS["top-up-paid"].plan(3, blow, "top-up-paid: db INSERT postings (top_ups) 1, cut-before")
    shrunk, _ = shortened(cell, "claims-apart-from-credit", "every-payment-is-credited", tmp_path)

    assert weight(shrunk.plan).operations == 2 < weight(cell).operations
    assert [begin.fault for begin in shrunk.plan.faults()] == ["cut-at"]
    assert shrunk.plan.faults()[0].args["label"] == "INSERT postings"
