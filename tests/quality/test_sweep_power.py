"""Does a sweep find what nobody told it of? Each of these bugs shows only when one certain message is broken; the cells that
break name it.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from harness.cli import REFERENCE, load_everything, work
from harness.engines.suite import Order
from harness.engines.sweep import RECORDINGS, Cell, Sweep, cell_of
from harness.flow import FLOWS
from harness.run import Run
from harness.verdict import Status
from reference_impl.mutants import catalogue

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(180)]

load_everything()

# The planted bug; the link and the ways to break it that are tried; a message that must be among those that show it.
# Narrowed only to bound the time: a whole sweep finds the same cells among others.
FOUND = {
    "acknowledges-before-commit": ("db", "kill-before", "COMMIT (claims)"),
    "claims-apart-from-credit": ("db", "kill-after", "COMMIT (claims)"),
    "swallows-database-errors": ("db", "cut-before", "COMMIT (claims)"),
    "new-key-on-every-retry": ("api", "stall-after", "POST /v1/payments"),
    "takes-timeout-for-decline": ("api", "cut-after", "POST /v1/payments"),
    "moves-balance-apart": ("db", "cut-before", "COMMIT (claims)"),
    "records-before-effect": ("db", "kill-after", "COMMIT (callbacks)"),
}


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def swept(mutant: str, link: str, failure: str, out: Path) -> Sequence[tuple[Cell, Run]]:
    """Every cell of that link and that failure, and what became of it; the calm recordings hold."""
    sweep = Sweep(flows=[FLOWS["top-up-paid"]], seed=3, options="", mutant=mutant, links=[link], failures=[failure])
    order = Order(
        name="sweep",
        jobs=sweep.recordings(),
        target=REFERENCE,
        seed=3,
        again="",
        out=out,
        then=lambda runs: sweep.jobs(runs) if len(runs) == len(sweep.recordings()) else [],
        workers=4,
    )
    _, progress = work(order, Nobody())
    assert [run.status for run in progress.runs if cell_of(run.plan) is None] == [Status.HOLDS] * RECORDINGS
    return [(cell, run) for run in progress.runs if (cell := cell_of(run.plan)) is not None]


@pytest.mark.parametrize("mutant", FOUND)
def test_is_found_where_it_is(mutant: str, tmp_path: Path) -> None:
    """By its own promise, at the message that makes it show; and not everywhere, or it would name nothing."""
    link, failure, message = FOUND[mutant]
    cells = swept(mutant, link, failure, tmp_path)

    broken = {cell.crossing.title: run.broken for cell, run in cells if run.status is Status.BROKEN}
    assert message in broken
    assert catalogue()[mutant].caught_by in broken[message]
    assert len(broken) < len(cells) or len(cells) == 1
