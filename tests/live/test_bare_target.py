"""A service that shows nothing but a balance is judged all the same: the amounts name their payments."""

import re
from pathlib import Path

import pytest

from harness.cli import REFERENCE, load_everything, work
from harness.engines.suite import Job, Order
from harness.run import Run
from harness.scenario import SCENARIOS
from harness.verdict import Status

pytestmark = pytest.mark.stack

OPTIONAL = ("status", "entries", "timeline", "discrepancies")

load_everything()


class Nobody:
    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


@pytest.fixture
def bare_target(tmp_path: Path) -> Path:
    """The reference's description without anything that may be left out."""
    text = REFERENCE.read_text(encoding="utf-8")
    for operation in OPTIONAL:
        text = re.sub(rf"\[operations\.{operation}\].*?\n\n", "", text, flags=re.DOTALL)
    path = tmp_path / "target.toml"
    path.write_text(text.partition("[states]")[0], encoding="utf-8")
    return path


def runs_of(target: Path, out: Path, *jobs: tuple[str, str | None]) -> list[Run]:
    order = Order(
        name="bare",
        jobs=[Job(SCENARIOS[name].plan(1), "", mutant) for name, mutant in jobs],
        target=target,
        seed=1,
        again="",
        out=out,
    )
    _, progress = work(order, Nobody())
    return list(progress.runs)


def test_a_bare_balance_tells_what_was_credited_and_how_often(bare_target: Path, tmp_path: Path) -> None:
    """The clean service holds, and a doubled credit is found, named and counted."""
    clean, doubled = runs_of(
        bare_target,
        tmp_path,
        ("duplicate-callbacks", None),
        ("duplicate-callbacks", "credits-every-delivery"),
    )

    assert clean.status is Status.HOLDS
    assert doubled.broken == {"credited-at-most-once"}
    [verdict] = [verdict for verdict in doubled.verdicts if verdict.status is Status.BROKEN]
    assert all("was credited 2 times" in found.says for found in verdict.violations)


def test_a_bare_balance_tells_what_went_back_in_parts(bare_target: Path, tmp_path: Path) -> None:
    """The clean service holds, and a part that was forgotten, or what was taken back twice, is found and named."""
    clean, forgotten, twice = runs_of(
        bare_target,
        tmp_path,
        ("partial-refunds", None),
        ("partial-refunds", "claims-refunds-by-payment"),
        ("chargeback-lost", "charges-back-again-when-lost"),
    )

    assert clean.status is Status.HOLDS
    assert forgotten.broken == twice.broken == {"reversed-once"}
    assert "never taken back" in said_by(forgotten)
    assert "was taken back 2 times" in said_by(twice)


def said_by(run: Run) -> str:
    return "; ".join(found.says for verdict in run.verdicts for found in verdict.violations)


def test_what_the_target_does_not_offer_is_said_and_not_weighed(bare_target: Path, tmp_path: Path) -> None:
    """No entries to sum up, no transitions to follow: listed, with the reason, and no false unknown."""
    [run] = runs_of(bare_target, tmp_path, ("calm", None))

    unweighed = {verdict.invariant: verdict.because for verdict in run.verdicts if not verdict.weighs}
    assert run.status is Status.HOLDS
    assert "it has no [operations.entries]" in unweighed["balance-is-sum-of-entries"]
    assert "it has no [operations.timeline]" in unweighed["transitions-are-legal"]
