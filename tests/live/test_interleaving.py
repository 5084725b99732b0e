"""Every order of statements on the whole stack: races are found, each time, and the service done right has none."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import REFERENCE, load_everything, work
from harness.engines.interleave import Interleave
from harness.engines.suite import Order
from harness.meeting import MEETINGS
from harness.meeting import Order as Turns
from harness.run import Run
from harness.verdict import Status
from reports.orders_table import table

pytestmark = pytest.mark.stack

load_everything()


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def interleaved(
    out: Path, *names: str, mutant: str | None = None, only: Turns | None = None
) -> tuple[Interleave, Sequence[Run]]:
    asked = Interleave([MEETINGS[name] for name in names], seed=5, again=lambda *_: "", mutant=mutant, only=only)
    order = Order(
        name="interleave", jobs=asked.first(), target=REFERENCE, seed=5, again="", out=out,
        then=asked.further, unfinished=asked.unfinished,
    )  # fmt: skip
    _, progress = work(order, Nobody())
    return asked, progress.suite(order).runs


@pytest.mark.parametrize(
    ("meeting", "mutant", "promise"),
    [
        ("duplicate-callbacks", "checks-then-acts", "credited-at-most-once"),
        ("duplicate-callbacks", "decides-before-the-lock", "credited-at-most-once"),
        ("duplicate-callbacks", "locks-an-absent-row", "credited-at-most-once"),
        ("two-top-ups-of-one-account", "reads-then-writes-balance", "balance-is-sum-of-entries"),
        ("callback-and-reconciler", "reconciles-without-claiming", "credited-at-most-once"),
    ],
)
def test_a_race_is_found_and_told_by_one_order(tmp_path: Path, meeting: str, mutant: str, promise: str) -> None:
    """The last run is one order alone, and its table says which statements met."""
    asked, runs = interleaved(tmp_path, meeting, mutant=mutant)

    assert promise in runs[-1].broken
    told = table(runs[-1])
    assert told is not None
    assert {turn.column for turn in told.turns} == {0, 1}
    assert asked.searches[0].found


def test_the_reference_has_no_race_between_duplicates(tmp_path: Path) -> None:
    """Every order that anybody could tell apart was tried, and all hold."""
    asked, runs = interleaved(tmp_path, "duplicate-callbacks", "two-reconcilers")

    assert {run.status for run in runs} == {Status.HOLDS}
    assert all(search.orders.exhausted and search.orders.tried > 1 for search in asked.searches)
    assert asked.unfinished() == 0


def test_an_order_that_was_found_is_broken_again(tmp_path: Path) -> None:
    """The order alone repeats it: nothing hangs on luck."""
    _, first = interleaved(tmp_path / "found", "duplicate-callbacks", mutant="checks-then-acts")
    order = Turns(tuple(event["lane"] for event in first[-1].history.of("turn")))

    for number in range(3):
        _, again = interleaved(tmp_path / str(number), "duplicate-callbacks", mutant="checks-then-acts", only=order)

        assert again[0].broken == first[-1].broken
