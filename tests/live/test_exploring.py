"""Exploring on the whole stack: what planted bugs of four kinds come to, and the service done right."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.run import recorded

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(400)]


def explored(out: Path, *options: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "explore", "--out", str(out), *options],
        capture_output=True,
        text=True,
        timeout=390,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def findings(out: Path) -> set[str]:
    return {name for folder in out.glob("*-explore") for run in recorded(folder) for name in run.broken}


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        ("credits-every-delivery", "credited-at-most-once"),
        ("claims-apart-from-credit", "every-payment-is-credited"),
        ("looks-then-takes-the-key", "captured-at-most-once"),
        ("trusts-unsigned-callbacks", "only-real-payments-credit"),
    ],
    ids=["a doubled credit", "a lost credit", "a race through volleys", "a forgery"],
)
def test_is_found(tmp_path: Path, mutant: str, promise: str) -> None:
    """By its own promise, within minutes; what was seen once is in a report whether or not it repeats."""
    code, said = explored(tmp_path, "--time", "300", "--seed", "1", "--mutant", mutant, "--shorten", "0")

    assert code == 1, said
    assert promise in findings(tmp_path), said


def test_a_finding_is_replayed_made_shorter_and_written_as_a_test(tmp_path: Path) -> None:
    """The test that is written fails on the service that has the bug."""
    file = tmp_path / "test_found.py"
    code, said = explored(
        tmp_path, "--time", "60", "--seed", "1", "--mutant", "credits-every-delivery", "--as-test", str(file)
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(file)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=120,
        check=False,
    )

    assert code == 1
    assert "of 5 replays" in said
    assert "credited-at-most-once" in ran.stdout
    assert ran.returncode == 1, ran.stdout


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
        history = None
        for _ in range(1200):
            history = next(tmp_path.glob("*-explore/history.jsonl"), None)
            if history is not None and '"audited"' in history.read_text(encoding="utf-8"):
                break
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(timeout=0.1)
        os.kill(process.pid, signal.SIGINT)
        said, _ = process.communicate(timeout=60)

    assert process.returncode == 130, said
    assert len(recorded(next(tmp_path.glob("*-explore")))) >= 1
