"""How many mutations of the reference's money path does the suite kill? Not the planted ones: what Cosmic Ray makes of it.

`make mutation`, or `python tests/benchmarks/mutation/score.py --sample 40`. Each mutation is made in a copy of the tree. First the
reference's own tests of the money path have a go, because they are fast; what they leave alone is run by the scenarios that tell
most about it, on a stack of its own, and what these leave alone by all of them.
Killed is what any of them does not let pass: a test that fails, a promise that is broken or, twice, cannot be judged, a service
that does not come up. Tests that do not end in time kill nothing. Writes `reports/mutation.md`, after each mutation, with the
survivors as diffs.
"""

import argparse
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import unified_diff
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(HERE.parent))
from environment import environment  # noqa: E402 - beside the folder of this file, which is all that Python looks into

PAGE = ROOT / "reports" / "mutation.md"
PINS = HERE / "cosmic_ray.txt"
EXPLAINED = HERE / "survivors.json"
MONEY_PATH = tuple(f"reference_impl/{name}.py" for name in ("callbacks", "ledger", "topups", "states", "reconciler"))
TESTS = (
    "unit/test_reference_*",
    *(f"live/test_reference_{about}" for about in ("service", "late", "reversals", "comparison")),
)
SCENARIOS = (
    *("calm", "duplicate-callbacks", "replayed-fresh-id", "contradicting-callbacks", "reordered-callbacks"),
    *("failed-then-paid", "two-event-types", "partial-capture", "settled-in-another-currency", "dropped-callbacks"),
    *(
        "delayed-callbacks",
        "neither-answer-nor-callback",
        "partial-refunds",
        "refund-before-capture",
        "refund-after-credit",
    ),
    *("chargeback-won", "chargeback-out-of-order", "dropped-reversals", "provider-down", "same-key-again"),
)
"""What tells most about the money path, in little time."""
AT_MOST_S = 600.0
UNKNOWN = 3
KILLED = {1: "a broken promise", 2: "no start", UNKNOWN: "what could not be judged", 70: "no start"}


@dataclass(frozen=True)
class Mutation:
    file: str
    operator: str
    line: int
    text: str

    @property
    def diff(self) -> str:
        before = (ROOT / self.file).read_text(encoding="utf-8").splitlines()
        lines = unified_diff(before, self.text.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if line[:2] not in ("--", "++", "@@"))

    @property
    def name(self) -> str:
        return f"{self.file}:{self.line} {self.operator}"


@dataclass(frozen=True)
class Fate:
    """By what a mutation was killed; empty where it survived."""

    mutation: Mutation
    by: str
    seconds: float


def mutations(seed: int, count: int) -> tuple[int, Sequence[Mutation]]:
    """How many there are, and those that were drawn."""
    python = environment(PINS) / "bin" / "python"
    command = [str(python), "-W", "ignore", str(HERE / "mutations.py"), str(seed), str(count), *MONEY_PATH]
    made = json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)
    return made["there_are"], [Mutation(**each) for each in made["drawn"] if each["text"]]


def fate(mutation: Mutation, scenarios: Sequence[str], seed: int) -> Fate:
    """Make the mutation in a copy of the tree, and have everybody look at it."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutation-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".venv", ".git", ".*_cache", "runs", "__pycache__"))
        (copy / mutation.file).write_text(mutation.text, encoding="utf-8")
        return Fate(mutation, _killer(copy, scenarios, seed), time.monotonic() - began)


def _killer(copy: Path, scenarios: Sequence[str], seed: int) -> str:
    tests = [str(path.relative_to(copy)) for name in TESTS for path in sorted(copy.glob(f"tests/{name}.py"))]
    code = _run(copy, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not slow", *tests)
    if code not in (0, UNKNOWN):
        return "a test" if code == 1 else "no import"
    code = _suite(copy, scenarios, seed) or _suite(copy, (), seed)
    return KILLED.get(code, f"exit code {code}") if code else ""


def _suite(copy: Path, scenarios: Sequence[str], seed: int) -> int:
    """The exit code of these scenarios, of all of them where none is named."""
    words = ("-m", "harness.cli", "run", *scenarios, "--seed", str(seed), "--target", "reference_impl/target.toml")
    code = _run(copy, *words)
    # A machine with much else to do is as good a reason for what cannot be judged as a mutation is.
    return _run(copy, *words) if code == UNKNOWN else code


def _run(copy: Path, *words: str) -> int:
    """The exit code of a Python program in the copy; `UNKNOWN` where it does not end in time."""
    target = copy / "reference_impl" / "target.toml"
    text = target.read_text(encoding="utf-8")
    if "PYTHONPATH" not in text:  # the service is to be that of the copy, too
        target.write_text(text.replace("[start.env]\n", f'[start.env]\nPYTHONPATH = "{copy}"\n'), encoding="utf-8")
    try:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=AT_MOST_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return UNKNOWN
    return done.returncode


def page(fates: Sequence[Fate], drawn: int, there_are: int, seed: int, explained: Mapping[str, str]) -> str:
    survivors = [each.mutation for each in fates if not each.by]
    equal = [each for each in survivors if explained.get(each.name, "").startswith("equivalent")]
    killed = len(fates) - len(survivors)
    real = len(fates) - len(equal)
    lines = [
        "# Mutations of the money path",
        "",
        f"Made by `make mutation` on {datetime.now(UTC):%Y-%m-%d}, with Python {platform.python_version()}.",
        f"Cosmic Ray knows {there_are} mutations of {', '.join(f'`{name}`' for name in MONEY_PATH)};",
        f"{drawn} were drawn by seed {seed}, and {len(fates)} of them were tried to the end.",
        "",
        f"**{killed} of {len(fates)} were killed; {len(equal)} of the survivors are no bugs, so {killed} of {real} that are",
        f"({100 * killed / max(real, 1):.0f} %)**.",
        "",
        "| killed by | how many |",
        "|---|---|",
        *(f"| {by} | {count} |" for by, count in Counter(each.by for each in fates if each.by).most_common()),
        "",
        "## Survivors",
        "",
    ]
    for each in sorted(survivors, key=lambda each: each.name):
        lines += [
            f"`{each.name}`: {explained.get(each.name, 'not explained yet')}",
            "",
            "```diff",
            each.diff,
            "```",
            "",
        ]
    return "\n".join(lines if survivors else [*lines, "None."]).rstrip() + "\n"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--sample", type=int, default=40, help="so many of all mutations, drawn by chance")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--workers", type=int, default=1, help="how many at once")
    options = asked.parse_args()
    there_are, drawn = mutations(options.seed, options.sample)
    whole = Mutation(MONEY_PATH[0], "nothing", 1, (ROOT / MONEY_PATH[0]).read_text(encoding="utf-8"))
    if by := fate(whole, SCENARIOS, options.seed).by:
        sys.exit(f"the service done right was killed, by {by}: nothing would be shown")
    explained = json.loads(EXPLAINED.read_text(encoding="utf-8"))
    fates: list[Fate] = []
    with ProcessPoolExecutor(options.workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        for done in as_completed(pool.submit(fate, each, SCENARIOS, options.seed) for each in drawn):
            fates.append(each := done.result())
            print(f"{each.mutation.name:<70} {each.by or 'SURVIVED'} ({each.seconds:.0f} s)", flush=True)
            PAGE.write_text(page(fates, len(drawn), there_are, options.seed, explained), encoding="utf-8")
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
