"""Measuring the harness's power, on the whole stack: one bug that several engines find, and one that only one of them can."""

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console

from harness.cli import REFERENCE, load_everything
from harness.engines.measure import SHORTEN, Measured
from harness.engines.power import Budget
from harness.measuring import FILE, MAP, PAGE, measure_power
from reference_impl.mutants import catalogue

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(400)]


def test_two_bugs_are_measured_by_three_engines(tmp_path: Path) -> None:
    """In processes of their own, two at a time; what came of it is kept, told and drawn."""
    chosen = [catalogue()["accepts-any-signature"], catalogue()["takes-yen-for-cents"]]
    failed = measure_power(
        chosen,
        {"these": chosen},
        engines=["suite", "fuzz", SHORTEN],
        seeds=[3],
        budget=Budget(target=REFERENCE, seconds=30),
        workers=2,
        folder=tmp_path,
        today=date(2026, 1, 2),
        ready=load_everything,
        console=Console(),
    )

    assert failed == 0
    measured = Measured.read(tmp_path / FILE)
    found = {(each.mutant, each.engine): (each.word, each.by) for each in measured.trials}
    assert found["accepts-any-signature", "suite"] == ("caught", ("only-real-payments-credit",))
    assert found["accepts-any-signature", "fuzz"][0] == "caught"
    assert found["takes-yen-for-cents", "suite"] == ("caught", ("reversed-once",))
    assert found["takes-yen-for-cents", "fuzz"][0] == "not applicable"
    assert {each.mutant for each in measured.shortest} == {each.name for each in chosen}
    assert "2 of 2 planted bugs that were tried were caught" in (tmp_path / PAGE).read_text(encoding="utf-8")
    assert (tmp_path / MAP).exists()
