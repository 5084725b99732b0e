"""Exploring on the whole stack: what planted bugs of four kinds come to, and the service done right."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import REFERENCE
from harness.run import recorded

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(400)]


BUG = "credits-every-delivery"


def explored(out: Path, *options: str, within_s: float = 390) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "explore", "--out", str(out), *options],
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def findings(out: Path) -> set[str]:
    return {name for folder in out.glob("*-explore") for run in recorded(folder) for name in run.broken}


@pytest.mark.parametrize(
    ("mutant", "promises"),
    [
        ("credits-every-delivery", {"credited-at-most-once"}),
        (
            "claims-apart-from-credit",
            {"every-payment-is-credited", "reversed-once"},
        ),  # a refund is claimed like a credit
        ("looks-then-takes-the-key", {"captured-at-most-once"}),
        ("trusts-unsigned-callbacks", {"only-real-payments-credit"}),
    ],
    ids=["a doubled credit", "a lost credit", "a race through volleys", "a forgery"],
)
def test_is_found(tmp_path: Path, mutant: str, promises: set[str]) -> None:
    """By its own promise, within minutes; what was seen once is in a report whether or not it repeats."""
    code, said = explored(tmp_path, "--time", "300", "--seed", "1", "--mutant", mutant, "--shorten", "0")

    assert code == 1, said
    assert promises & findings(tmp_path), said


@pytest.mark.timeout(1000)
def test_a_finding_is_replayed_made_shorter_and_written_as_test_and_scenario(tmp_path: Path) -> None:
    """Both fail on the service that has the bug, and pass on the one that has not."""
    suite = tmp_path / "suite"
    suite.mkdir()
    test, scenario = suite / "test_found.py", suite / "a_finding.py"
    written = ("--as-test", str(test), "--as-scenario", str(scenario))
    code, said = explored(tmp_path, "--time", "120", "--seed", "1", "--mutant", BUG, *written)
    assert (code, "of 5 replays" in said) == (1, True), said
    (suite / "conftest.py").write_text("import a_finding\n", encoding="utf-8")
    mended = suite / "test_mended.py"
    mended.write_text(test.read_text(encoding="utf-8").replace(f"MUTANT = {BUG!r}", "MUTANT = None"), encoding="utf-8")

    def pytest_says(*words: str) -> tuple[int, str]:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        ran = subprocess.run(command, capture_output=True, text=True, cwd=suite, timeout=180, check=False)
        return ran.returncode, ran.stdout

    as_item = ("--topup-chaos", f"--topup-chaos-target={REFERENCE}", "-k", "a-finding")
    for words in ((test.name,), (*as_item, "--topup-chaos-mutant", BUG)):
        code, said = pytest_says(*words)
        assert code == 1 and "credited-at-most-once" in said, said
    for words in ((mended.name,), as_item):
        code, said = pytest_says(*words)
        assert code == 0 and "1 passed" in said, said


@pytest.mark.timeout(1500)
def test_a_race_is_shrunk_to_five_steps_and_still_repeats(tmp_path: Path) -> None:
    """Found by chance, it comes down to a story that can be read at a glance, and that is broken nearly every time."""
    code, said = explored(
        tmp_path, "--time", "300", "--seed", "1", "--mutant", "checks-then-acts", "--shorten", "600", within_s=1200
    )
    (shrunk,) = tmp_path.glob("*-shrink")
    (found,) = recorded(shrunk)
    assert code == 1, said
    assert len(found.plan.steps) <= 5, said
    command = [sys.executable, "-m", "harness.cli", "replay", str(shrunk), "--times", "20", "--out", str(tmp_path)]
    again = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)

    repeated = re.search(r"the verdict repeated in (\d+) of 20 runs", again.stdout)
    assert repeated and int(repeated.group(1)) >= 16, again.stdout


def test_the_service_done_right_holds(tmp_path: Path) -> None:
    """No false alarm, and faults that bit."""
    code, said = explored(tmp_path, "--examples", "30", "--seed", "5")

    assert code == 0, said
    assert "30 examples" in said
    assert "\nHOLDS" in said


def test_ctrl_c_leaves_a_report_of_what_was_done(tmp_path: Path) -> None:
    """And 130, and nothing running."""
    command = [sys.executable, "-m", "harness.cli", "explore", "--out", str(tmp_path), "--time", "300", "--seed", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for _ in range(1200):
            histories = tmp_path.glob("*-explore/history-*.jsonl")  # one of each stack, until it has ended
            if any('"audited"' in history.read_text(encoding="utf-8") for history in histories):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert len(recorded(next(tmp_path.glob("*-explore")))) >= 1
