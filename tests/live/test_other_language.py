"""A service that shares no line with the harness, in Node on a PostgreSQL client of its own: a `target.toml` is all it takes.

It is judged like the reference: done right it holds, and each of its two planted bugs is found where it is.
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.cli import load_everything, work
from harness.engines.interleave import Interleave
from harness.engines.suite import Job, Order
from harness.engines.sweep import RECORDINGS, Sweep, cell_of
from harness.flow import FLOWS
from harness.meeting import MEETINGS
from harness.run import Run
from harness.scenario import SCENARIOS
from harness.verdict import Status
from reports.orders_table import table

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.usefixtures("node")]

TARGET = Path(__file__).parent.parent / "other_language" / "target.toml"
STORIES = ("calm", "duplicate-callbacks", "instant-duplicates", "replayed-fresh-id", "provider-errs-after-capture")

load_everything()


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def runs_of(out: Path, *stories: str, mutant: str | None = None) -> dict[str, Run]:
    jobs = [Job(SCENARIOS[name].plan(3), "", mutant) for name in stories]
    _, progress = work(Order(name="stories", jobs=jobs, target=TARGET, seed=3, again="", out=out), Nobody())
    return {run.plan.name: run for run in progress.runs}


def swept(out: Path, mutant: str | None = None, **narrow: Any) -> Sequence[Run]:
    sweep = Sweep(flows=[FLOWS["top-up-paid"]], seed=3, options="", mutant=mutant, **narrow)
    recordings = sweep.recordings()

    def then(runs: Sequence[Run]) -> Sequence[Job]:
        return sweep.jobs(runs) if len(runs) == len(recordings) else ()

    order = Order(name="sweep", jobs=recordings, target=TARGET, seed=3, again="", out=out, then=then)
    _, progress = work(order, Nobody())
    runs = progress.suite(order).runs
    assert [run.status for run in runs if cell_of(run.plan) is None] == [Status.HOLDS] * RECORDINGS
    return [run for run in runs if cell_of(run.plan) is not None]


def test_done_right_it_holds(tmp_path: Path) -> None:
    """In calm, and however often and by whatever way the provider repeats itself."""
    runs = runs_of(tmp_path, *STORIES)

    assert {name: run.status for name, run in runs.items()} == dict.fromkeys(STORIES, Status.HOLDS)


def test_done_right_it_survives_the_loss_of_every_answer(tmp_path: Path) -> None:
    """Whatever crosses its four links is done, and nobody hears of it: each message in a plan of its own."""
    runs = swept(tmp_path, failures=("cut-after",))

    assert len(runs) > 12
    assert {run.plan.name: run.broken for run in runs if run.status is not Status.HOLDS} == {}


def test_two_callbacks_at_once_find_the_lock_that_is_missing(tmp_path: Path) -> None:
    """One after the other they do not."""
    runs = runs_of(tmp_path, "duplicate-callbacks", "instant-duplicates", mutant="race")

    assert runs["duplicate-callbacks"].status is Status.HOLDS
    assert runs["instant-duplicates"].broken == {"credited-at-most-once"}


def test_the_sweep_names_the_statements_between_which_credit_is_lost(tmp_path: Path) -> None:
    """From the BEGIN after the payment was confirmed to the COMMIT of its credit, and nowhere else.

    Initiation learns the payment's id meanwhile, in a transaction of its own: which of the later BEGINs is the credit's hangs
    on who is faster in that run, and nothing came before a BEGIN that could tell.
    """
    runs = swept(tmp_path, mutant="lost-credit", links=("db",), failures=("cut-before",))

    broken = {str(cell.crossing) if (cell := cell_of(run.plan)) else "" for run in runs if run.broken}
    begins = {"db BEGIN 3", "db BEGIN 4"}
    assert broken - begins == {"db INSERT balances 1", "db UPDATE top_ups (balances) 1", "db COMMIT (balances) 1"}
    assert {promise for run in runs for promise in run.broken} == {"every-payment-is-credited"}
    assert {run.status for run in runs if not run.broken} == {Status.HOLDS}


def test_the_command_line_needs_the_description_and_the_name_of_a_bug(tmp_path: Path) -> None:
    """From any folder, since the description says where its service lies."""
    cell = ["--crossing", "db INSERT balances 1", "--fault", "kill-after"]
    target = ["--target", str(TARGET), "--mutant", "lost-credit", "--seed", "3"]
    command = [sys.executable, "-m", "harness.cli", "sweep", "top-up-paid", *cell, *target]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "was captured but never credited" in ended.stdout
    assert "--mutant lost-credit\n" in ended.stdout, "the command that repeats it names the bug"


def interleaved(out: Path, mutant: str | None = None) -> tuple[Interleave, Sequence[Run]]:
    asked = Interleave([MEETINGS["duplicate-callbacks"]], seed=3, again=lambda *_: "", mutant=mutant)
    order = Order(name="interleave", jobs=asked.first(), target=TARGET, seed=3, again="", out=out, then=asked.further)
    _, progress = work(order, Nobody())
    return asked, progress.runs


def test_its_race_is_found_by_an_order_of_its_statements(tmp_path: Path) -> None:
    """On a pool of its own, with statements prepared by a client that the harness has never heard of."""
    _, runs = interleaved(tmp_path, "race")

    assert "credited-at-most-once" in runs[-1].broken
    assert table(runs[-1]) is not None


def test_done_right_no_order_of_its_statements_doubles_a_credit(tmp_path: Path) -> None:
    """Every order that anybody could tell apart, and there are several."""
    asked, runs = interleaved(tmp_path)

    assert {run.status for run in runs} == {Status.HOLDS}
    assert asked.searches[0].orders.exhausted
    assert asked.searches[0].orders.tried > 2
