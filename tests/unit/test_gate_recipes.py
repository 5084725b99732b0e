"""The recipes for CI, as far as can be without the services: against their schemas, and their scripts really run.

The program that they start is a few lines here, which leave what a gate leaves; `live/test_gating.py` runs the shell recipe on
the real one.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent.parent
ACTION = ROOT / ".github" / "actions" / "gate" / "action.yml"
GITLAB = ROOT / ".ci" / "recipes" / "gitlab.yml"
SHELL = ROOT / ".ci" / "recipes" / "gate.sh"

PROGRAM = """#!/bin/sh
printf '%s\\n' "$*" >> "$ARGUMENTS"
while [ "$1" != --out ]; do shift; done
if [ "$CODE" != 2 ]; then mkdir -p "$2/latest"; echo "$CODE" > "$2/latest/gate.json"; fi
exit "$CODE"
"""


@pytest.mark.parametrize(
    ("file", "schema"),
    [
        (ACTION, ("vendor.github-actions",)),
        (ROOT / ".github" / "workflows" / "ci.yml", ("vendor.github-workflows",)),
        (GITLAB, ("vendor.gitlab-ci", "--data-transform", "gitlab-ci")),
    ],
)
def test_a_recipe_is_what_its_service_reads(file: Path, schema: tuple[str, ...], tmp_path: Path) -> None:
    """By the schemas that are published for them; and a recipe with a field misspelt is not."""
    wrong = tmp_path / file.name
    wrong.write_text(file.read_text().replace("steps:", "stepz:").replace("script:", "skript:"))

    def validates(path: Path) -> bool:
        command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", *schema, str(path)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    assert validates(file)
    assert not validates(wrong)


def program(folder: Path, at: Path) -> Mapping[str, str]:
    """The environment in which a recipe finds a `topup-chaos` that notes what it is asked and ends with `CODE`."""
    at.parent.mkdir(parents=True, exist_ok=True)
    at.write_text(PROGRAM)
    at.chmod(0o755)
    return {"PATH": os.environ["PATH"], "ARGUMENTS": str(folder / "arguments"), "HOME": str(folder)}


def bash(script: str, environment: Mapping[str, str], folder: Path) -> int:
    """As the services run a script: bash that stops at the first failure."""
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, env=dict(environment), cwd=folder, check=False, timeout=30).returncode


def asked(folder: Path) -> list[str]:
    return (folder / "arguments").read_text().splitlines()


CODES = pytest.mark.parametrize(("code", "remembered"), [(0, True), (1, True), (3, True), (2, False)])


@CODES
def test_the_shell_recipe_ends_as_the_gate_does_and_remembers_a_verdict(
    code: int, remembered: bool, tmp_path: Path
) -> None:
    """The second build compares with the first; a gate that could not begin leaves what was known."""
    environment = {**program(tmp_path, tmp_path / "bin" / "topup-chaos"), "CODE": str(code)}
    environment["TOPUP_CHAOS"] = str(tmp_path / "bin" / "topup-chaos")

    codes = [bash(f"{SHELL} --seed 1", environment, tmp_path) for _ in range(2)]

    assert codes == [code, code]
    second = "gate --out reports/runs --previous .topup-chaos/gate.json --seed 1"
    assert asked(tmp_path) == [
        "gate --out reports/runs --seed 1",
        second if remembered else "gate --out reports/runs --seed 1",
    ]


@CODES
def test_the_gitlab_job_ends_as_the_gate_does(code: int, remembered: bool, tmp_path: Path) -> None:
    """Its script as it stands, with the options that a project gives it."""
    job = YAML(typ="safe").load(GITLAB)["topup-chaos-gate"]
    environment = {
        **program(tmp_path, tmp_path / ".topup-chaos" / "venv" / "bin" / "topup-chaos"),
        **job["variables"],
        "TOPUP_CHAOS_OPTIONS": "--only suite",
        "CODE": str(code),
    }

    codes = [bash("\n".join(job["script"]), environment, tmp_path) for _ in range(2)]

    assert codes == [code, code]
    assert asked(tmp_path)[0] == "gate --out chaos-reports --only suite"
    assert ("--previous .topup-chaos/gate.json" in asked(tmp_path)[1]) is remembered
    assert (tmp_path / job["cache"]["paths"][0]).exists() is remembered


def step(name: str) -> Mapping[str, Any]:
    steps: list[dict[str, Any]] = YAML(typ="safe").load(ACTION)["runs"]["steps"]
    return next(each for each in steps if each["name"] == name)


@pytest.mark.parametrize(("code", "verdict"), [(0, "holds"), (1, "broken"), (3, "unknown"), (2, "")])
def test_the_action_says_the_verdict_and_ends_as_the_gate_does(code: int, verdict: str, tmp_path: Path) -> None:
    """Its step as it stands, with what GitHub sets; what is given to it is an argument, whatever is in it."""
    output = tmp_path / "output"
    environment = {
        **program(tmp_path, tmp_path / "temp" / "topup-chaos" / "bin" / "topup-chaos"),
        "RUNNER_TEMP": str(tmp_path / "temp"),
        "GITHUB_OUTPUT": str(output),
        "RECIPE": str(SHELL),
        "PROFILE": "a profile; exit 9",
        "TARGET": "",
        "TIME_BUDGET": "60",
        "CODE": str(code),
    }

    assert bash(step("Gate")["run"], environment, tmp_path) == code

    assert f"verdict={verdict}\n" in output.read_text()
    out = tmp_path / "temp" / "topup-chaos-runs"
    assert asked(tmp_path) == [f"gate --out {out} --profile a profile; exit 9 --time-budget 60"]


def test_nothing_that_is_given_to_the_action_becomes_script() -> None:
    """Inputs reach a script through its environment only."""
    steps: list[dict[str, Any]] = YAML(typ="safe").load(ACTION)["runs"]["steps"]

    assert [each["name"] for each in steps if "${{" in each.get("run", "")] == []
