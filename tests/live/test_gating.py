"""The gate for real, through the shell recipe: the reference holds; a planted bug is new, then ongoing, then accepted."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
RECIPE = ROOT / ".ci" / "recipes" / "gate.sh"

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(600)]


def gate(folder: Path, *options: str) -> tuple[int, str]:
    """One build, with the small profile; what is kept between builds is in *folder*."""
    profile = ("--profile", str(ROOT / ".ci" / "gate.toml"), "--baseline", str(folder / "baseline.toml"))
    environment = {
        **os.environ,
        "TOPUP_CHAOS": str(Path(sys.executable).with_name("topup-chaos")),
        "GATE_STATE": str(folder / "state"),
        "GATE_OUT": str(folder / "runs"),
        "GITHUB_STEP_SUMMARY": str(folder / "summary"),
    }
    done = subprocess.run(
        [str(RECIPE), *profile, *options], env=environment, capture_output=True, text=True, check=False, timeout=400
    )
    return done.returncode, done.stdout + done.stderr


def results(folder: Path) -> dict[str, str]:
    """What code scanning is told: each rule, and its state beside the last gate."""
    (run,) = json.loads((folder / "runs" / "latest" / "findings.sarif").read_text())["runs"]
    return {each["ruleId"]: each["baselineState"] for each in run["results"]}


def test_the_reference_passes(tmp_path: Path) -> None:
    """Every engine of the profile had its turn, within the time."""
    code, printed = gate(tmp_path)

    assert code == 0, printed
    assert results(tmp_path) == {}
    assert "# holds: gate of reference" in (tmp_path / "summary").read_text()


def test_a_planted_bug_fails_and_is_known_the_second_time(tmp_path: Path) -> None:
    """With the same fingerprints under another seed; and passes once somebody answers for all of it."""
    planted = ("--mutant", "credits-every-delivery")

    first, printed = gate(tmp_path, *planted)
    assert first == 1, printed
    assert results(tmp_path) == {"credited-at-most-once": "new", "calm": "new"}

    second, printed = gate(tmp_path, *planted, "--seed", "2")
    assert second == 1, printed
    assert results(tmp_path) == {"credited-at-most-once": "unchanged", "calm": "unchanged"}

    answers = ("--owner", "jo", "--reason", "planted", "--until", "2999-12-31")
    for fingerprint in re.findall(r"fingerprint (\w+)", printed):
        assert gate(tmp_path, *planted, "--accept", fingerprint, *answers)[0] == 0
    third, printed = gate(tmp_path, *planted, "--only", "suite")
    assert third == 0, printed
    assert "1 accepted" in printed and "not looked for: calm" in printed
