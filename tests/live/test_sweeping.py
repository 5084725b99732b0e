"""A sweep on the whole stack: the service done right holds in every cell, and one that is not is found where it is wrong."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cli import REFERENCE, load_everything, work
from harness.engines.suite import Job, Order
from harness.engines.sweep import RECORDINGS, Shard, Sweep, cell_of
from harness.flow import FLOWS
from harness.run import Run
from harness.verdict import Status

pytestmark = pytest.mark.stack

load_everything()


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def swept(out: Path, mutant: str | None = None, **narrow: Any) -> Sequence[Run]:
    """What came of the cells, once their calm recordings hold."""
    sweep = Sweep(flows=[FLOWS["top-up-paid"]], seed=3, options="", mutant=mutant, **narrow)
    recordings = sweep.recordings()

    def then(runs: Sequence[Run]) -> Sequence[Job]:
        return sweep.jobs(runs) if len(runs) == len(recordings) else []

    order = Order(name="sweep", jobs=recordings, target=REFERENCE, seed=3, again="", out=out, then=then)
    _, progress = work(order, Nobody())
    runs = progress.suite(order).runs
    assert [run.status for run in runs if cell_of(run.plan) is None] == [Status.HOLDS] * RECORDINGS
    return [run for run in runs if cell_of(run.plan) is not None]


def test_the_reference_survives_every_cut_of_a_shard(tmp_path: Path) -> None:
    """Statements that never arrive, each in a plan of its own: no money is lost, and nothing is left unjudged."""
    runs = swept(tmp_path, links=("db",), failures=("cut-before",), shard=Shard(1, 3))

    assert len(runs) >= 5
    assert {run.plan.name: run.broken for run in runs if run.status is not Status.HOLDS and not run.unreached} == {}
    assert sum(run.status is Status.HOLDS for run in runs) > len(runs) / 2


def test_a_claim_apart_from_its_credit_is_found_at_a_commit(tmp_path: Path) -> None:
    """Nobody told the sweep which one; the cells that break name the message, and break that promise alone."""
    runs = swept(tmp_path, "claims-apart-from-credit", failures=("kill-after",), crossing="db COMMIT")

    broken = [run for run in runs if run.status is Status.BROKEN]
    assert {promise for run in broken for promise in run.broken} == {"every-payment-is-credited"}
    assert all(run.plan.name.startswith("top-up-paid: db COMMIT ") for run in broken)
    assert len(broken) < len(runs), "the commits of the initiation are where they should be"
