"""The shape of the tree, as a plain test that reads it. Its messages say what to do instead."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import harness.faults
import harness.invariants
import scenarios
import scenarios.flows
import scenarios.meetings
from harness.faults import FAULTS
from harness.flow import FLOWS
from harness.meeting import MEETINGS
from harness.registry import load
from harness.scenario import SCENARIOS
from harness.verdict import INVARIANTS
from reference_impl.mutants import catalogue

ROOT = Path(__file__).parent.parent
PACKAGES = ("harness", "scenarios", "fake_provider", "reference_impl", "reports")

# From the ground up: a module imports from its own floor or from below.
FLOORS = (
    ("harness.registry", "harness.history", "harness.verdict", "harness.finding"),
    (
        "harness.plan",
        "harness.shorter",
        "harness.run",
        "harness.judge",
        "harness.judge_facts",
        "harness.books",
        "harness.reversals",
        "harness.invariants",
    ),
    (
        *(
            "harness.amounts",
            "harness.outcomes",
            "harness.transport",
            "harness.cache",
            "harness.users",
            "harness.wire",
            "harness.provider",
        ),
        *("harness.serving", "harness.signing"),
    ),
    (
        *("harness.target", "harness.guard", "harness.scenario", "harness.flow", "harness.meeting", "harness.client"),
        *("harness.witness", "scenarios"),
    ),
    ("harness.stack",),
    (
        "harness.assault",
        "harness.audit",
        "harness.deeds",
        "harness.faults",
        "harness.stacks",
        "harness.locust",
        "harness.weather",
    ),
    ("harness.runner",),
    ("harness.engines", "harness.gate", "reports"),
    (
        "harness.doctor",
        "harness.fuzzing",
        "harness.gating",
        "harness.measuring",
        "harness.cli",
        "harness.testing",
        "harness.pytest_plugin",
    ),
)

load(harness.faults)
load(harness.invariants)
load(scenarios, but=("locustfile", "flows", "meetings"))
load(scenarios.flows)
load(scenarios.meetings)


def modules() -> Iterator[tuple[str, Path]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, path


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def floor_of(module: str) -> int | None:
    """The floor of the longest name that covers a module; None outside the building."""
    found = [
        (len(name), floor)
        for floor, names in enumerate(FLOORS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    return max(found)[1] if found else None


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


def test_every_module_of_the_harness_is_on_a_floor() -> None:
    """Imports only run downwards, so every module must say how high it stands."""
    homeless = [name for name, _ in modules() if name.startswith("harness.") and floor_of(name) is None]

    assert not homeless, f"put these on a floor in {__file__}: {homeless}"


def test_imports_run_downwards() -> None:
    """The rest of the harness knows no scenario, fault, invariant or report by name."""
    upwards = [
        f"{name} (floor {mine}) imports {imported} (floor {theirs})"
        for name, path in modules()
        if (mine := floor_of(name)) is not None and not path.name.startswith("_local")
        for imported in imports_of(path)
        if (theirs := floor_of(imported)) is not None and theirs > mine
    ]

    assert not upwards, "\n".join(upwards)


@pytest.mark.parametrize("package", ["fake_provider", "reference_impl"])
def test_service_and_provider_know_neither_the_harness_nor_each_other(package: str) -> None:
    """They meet only over HTTP. The mutants may use the registry, which is what makes them findable."""
    strangers = {"harness", "scenarios", "reports", "fake_provider", "reference_impl"} - {package}
    known = [
        f"{name} imports {imported}"
        for name, path in modules()
        if name.split(".")[0] == package
        for imported in imports_of(path)
        if imported.split(".")[0] in strangers
        and not (name.startswith("reference_impl.mutants") and imported.startswith("harness.registry"))
    ]

    assert not known, "\n".join(known)


@pytest.mark.parametrize(
    ("package", "registered"),
    [
        ("harness/invariants", INVARIANTS),
        ("harness/faults", FAULTS),
        ("scenarios", SCENARIOS),
        ("scenarios/flows", FLOWS),
        ("scenarios/meetings", MEETINGS),
        ("reference_impl/mutants", catalogue()),
    ],
)
def test_what_a_file_defines_is_named_after_it(package: str, registered: dict[str, object]) -> None:
    """One thing a file, found by its name."""
    files = {
        path.stem.replace("_", "-")
        for path in (ROOT / package).glob("*.py")
        if not path.stem.startswith("_") and path.stem != "locustfile"
    }

    assert files == set(registered)


def test_every_scenario_flow_and_meeting_stands_in_the_readme() -> None:
    """A story that nobody can find is not told."""
    page = (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8")

    assert [name for name in (*SCENARIOS, *FLOWS, *MEETINGS) if f"`{name}`" not in page] == []


def test_the_readme_of_the_scenarios_names_no_story_that_is_gone() -> None:
    """Every name in its first column is registered."""
    page = (ROOT / "scenarios" / "README.md").read_text(encoding="utf-8")

    names = re.findall(r"^\| `([\w-]+)` \|", page, re.MULTILINE)
    assert [name for name in names if name not in {*SCENARIOS, *FLOWS, *MEETINGS}] == []


def test_no_folder_of_tests_is_forgotten() -> None:
    """Each is run by `make test`, or is one that `.ci/run` runs by name, or only measures."""
    run = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"][
        "testpaths"
    ]
    there = {name.split("/")[1] for name in tracked() if re.match(r"tests/[^/]+/.*\.py$", name)}

    assert there == {name.removeprefix("tests/") for name in run if "." not in name} | {"browser", "benchmarks"}
    assert "tests/browser" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


BANNED = {
    r"\btime\.sleep\(": "wait for a reason, with a bound",
    r"(?<!\.)\brandom\.(random|randint|choice|shuffle|sample|uniform|randrange|seed)\(": "pass a random.Random",
    r"\bdatetime\.(utcnow|today)\(": "use an aware time from the clock that was passed in",
    r"\bTO" r"DO\b|\bFIX" r"ME\b": "finish it, or write an issue",
    r"\brequests\.(get|post|put|delete)\(": "use httpx, with a timeout",
}


@pytest.mark.parametrize(("pattern", "instead"), BANNED.items())
def test_banned_calls(pattern: str, instead: str) -> None:
    """Each ban names what to do instead."""
    found = [
        f"{path.relative_to(ROOT)}:{number}: {instead}"
        for _, path in modules()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]

    assert not found, "\n".join(found)


def test_only_clocks_read_the_time_of_day() -> None:
    """Time comes from a clock that is passed in; these are where such clocks are made, or where a command begins."""
    allowed = {
        "harness/runner.py",
        "harness/engines/suite.py",
        "harness/gating.py",
        "scenarios/locustfile.py",
        "fake_provider/clock.py",
        "reference_impl/service.py",
    }
    found = {
        str(path.relative_to(ROOT))
        for _, path in modules()
        if re.search(r"\bdatetime\.now\(|\btime\.time\(", path.read_text(encoding="utf-8"))
    }

    assert found <= allowed, f"take the clock as a parameter in {sorted(found - allowed)}"


def test_the_top_level_holds_what_it_should() -> None:
    """No other folder without a reason in the README."""
    folders = {name.split("/")[0] for name in tracked() if "/" in name}

    assert folders <= {*PACKAGES, "tests", ".ci", ".github"}


def test_nothing_of_a_machine_or_a_registry_is_in_the_tree() -> None:
    """The project is the same wherever it is cloned, and wherever its packages come from."""
    hosts = r"py" r"pi\.org|python" r"hosted\.org|registry\.npm" r"js|proxy\.go" r"lang\.org"
    found = [
        f"{name}:{number}"
        for name in tracked()
        for number, line in enumerate((ROOT / name).read_text(encoding="utf-8", errors="ignore").splitlines(), 1)
        if re.search(hosts, line)
    ]

    assert not found, f"no package registry is named in the tree: {found}"


def test_documents_have_one_title() -> None:
    """One thing a page."""
    several = [
        name
        for name in tracked()
        if name.endswith(".md")
        and len(re.findall(r"^# ", re.sub(r"```.*?```", "", (ROOT / name).read_text(), flags=re.DOTALL), re.MULTILINE))
        != 1
    ]

    assert not several
