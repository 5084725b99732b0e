"""The same planted bugs, given to what somebody would use instead: who sees them?

`python tests/benchmarks/peers/compare.py` lets each tool loose on the service done right and on every planted bug (or a part of
them), on a stack of its own in calm weather, for the same seconds. A tool catches a bug when its exit code says so, and one
that cries on the service done right has caught nothing. What came of each is kept in `reports/peers.json` until it is tried
again, so that it may be done in several sittings; `reports/peers.md` is made of all that is there.

- `schemathesis`: against the service's OpenAPI document, every check that it has.
- `state-machine`: `state_machine.py`, a Hypothesis state machine over HTTP with a model, a duplicate and two forgeries.
- `locust`: `payers.py`, with status checks.
- `carbon-layer`: `carbon.py`, every kind of callback that it has, repeated, out of order, with four kinds of signature.
- `topup-chaos`: its default suite, which breaks things; told nothing of what is planted.

Have the machine to yourself: with a load of twenty, thirty seconds were enough for three scenarios, one operation of
Schemathesis's, and for answers so late that a state machine took them for bugs.
"""

import argparse
import asyncio
import multiprocessing
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random

from pydantic import TypeAdapter

from harness.cli import REFERENCE
from harness.stacks.processes import MERCHANT, processes
from reference_impl.mutants import catalogue

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from environment import environment  # noqa: E402 - beside the folder of this file, which is all that Python looks into

REPORTS = HERE.parent.parent.parent / "reports"
RECORD, PAGE = REPORTS / "peers.json", REPORTS / "peers.md"
PINS, CARBON_PINS = HERE / "schemathesis.txt", HERE / "carbon_layer.txt"
SCHEMATHESIS = HERE / "schemathesis.toml"
CLEAN = ""
"""The service done right, where a mutant's name would be."""
STARTS_WITHIN_S = 60.0
CUSTOMER = "X-Customer: ann"


@dataclass(frozen=True)
class Tried:
    """One tool on one mutant, given so many seconds. `code` is None where it did not end in time."""

    mutant: str
    tool: str
    code: int | None
    seconds: float
    budget_s: float
    day: str
    tail: str = field(default="", repr=False)
    """The end of what it said, which is shown and not kept."""


Command = Callable[[str, str, Mapping[str, str], int, float], Sequence[str]]


def schemathesis(service: str, _mutant: str, env: Mapping[str, str], seed: int, seconds: float) -> Sequence[str]:
    return [
        *(str(environment(PINS) / "bin" / "schemathesis"), "--config-file", str(SCHEMATHESIS)),
        *("run", f"{service}/openapi.json", "--header", CUSTOMER),
        *("--header", f"Authorization: {env['AUTHORIZATION']}"),
        *("--checks", "all", "--max-time", f"{seconds:g}", "--seed", str(seed)),
        *("--no-shrink", "--warnings", "off"),
    ]


def state_machine(_service: str, _mutant: str, _env: Mapping[str, str], _seed: int, _seconds: float) -> Sequence[str]:
    return [sys.executable, str(HERE / "state_machine.py")]


def locust(service: str, _mutant: str, _env: Mapping[str, str], _seed: int, seconds: float) -> Sequence[str]:
    return [
        *(sys.executable, "-W", "ignore", "-m", "locust", "--headless", "--locustfile", str(HERE / "payers.py")),
        *("--host", service, "--users", "10", "--spawn-rate", "10", "--run-time", f"{seconds:g}s", "--only-summary"),
        *("--exit-code-on-error", "1", "--stop-timeout", "5"),
    ]


def carbon_layer(_service: str, _mutant: str, _env: Mapping[str, str], _seed: int, _seconds: float) -> Sequence[str]:
    return [sys.executable, str(HERE / "carbon.py"), str(environment(CARBON_PINS) / "bin" / "carbon")]


def topup_chaos(_service: str, mutant: str, _env: Mapping[str, str], seed: int, seconds: float) -> Sequence[str]:
    planted = ["--mutant", mutant] if mutant else []
    return [
        *(sys.executable, "-m", "harness.cli", "run", "--seed", str(seed), "--time-budget", f"{seconds:g}"),
        *(*planted, "--out", tempfile.gettempdir() + f"/peers-{os.getpid()}"),
    ]


TOOLS: Mapping[str, Command] = {
    "schemathesis": schemathesis,
    "state-machine": state_machine,
    "locust": locust,
    "carbon-layer": carbon_layer,
    "topup-chaos": topup_chaos,
}


def attempt(tool: str, mutant: str, seed: int, seconds: float) -> Tried:
    """One tool on one service; `topup-chaos` brings its own stack."""
    if tool == "topup-chaos":
        return _run(tool, mutant, TOOLS[tool]("", mutant, {}, seed, seconds), {}, seconds)
    return asyncio.run(_on_a_stack(tool, mutant, seed, seconds))


async def _on_a_stack(tool: str, mutant: str, seed: int, seconds: float) -> Tried:
    with tempfile.TemporaryDirectory(prefix="peers-") as folder:
        logs = Path(folder)
        async with processes(REFERENCE, logs, Random(seed), mutant=mutant or None, named=False) as stack:
            env = {
                "SERVICE_URL": stack.service_url,
                "AUTHORIZATION": stack.target.asked_by()["Authorization"],
                "CALLBACK_URL": stack.service_url + stack.callback_path,
                "CALLBACK_SECRET": stack.secrets["callback secret"],
                "MERCHANT": MERCHANT,
                "ENVIRONMENT": stack.target.environment,
                "SEED": str(seed),
                "SECONDS": f"{seconds:g}",
            }
            command = TOOLS[tool](stack.service_url, mutant, env, seed, seconds)
            return await asyncio.to_thread(_run, tool, mutant, command, env, seconds)


def _run(tool: str, mutant: str, command: Sequence[str], env: Mapping[str, str], seconds: float) -> Tried:
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as said, tempfile.TemporaryDirectory(prefix="peers-") as folder:
        try:
            done = subprocess.run(
                command,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(HERE.parent.parent.parent), **env},
                cwd=folder,
                timeout=seconds + STARTS_WITHIN_S,
                check=False,
            )
            code: int | None = done.returncode
        except subprocess.TimeoutExpired:
            code = None
        said.seek(0)
        took_s, today = round(time.monotonic() - began, 1), datetime.now(UTC).date().isoformat()
        return Tried(mutant, tool, code, took_s, seconds, today, said.read()[-2000:])


def table(tried: Sequence[Tried]) -> str:
    """The page: what each tool's exit code said, and of how many it said so."""
    tools = [tool for tool in TOOLS if any(each.tool == tool for each in tried)]
    mutants = sorted({each.mutant for each in tried} - {CLEAN})
    found = {(each.mutant, each.tool): each for each in tried}
    quiet = {tool for tool in tools if (clean := found.get((CLEAN, tool))) and clean.code in (0, 3)}
    known = catalogue()
    days = " and ".join(sorted({each.day for each in tried}))
    budgets = " or ".join(f"{seconds:g}" for seconds in sorted({each.budget_s for each in tried}))
    lines = [
        "# Beside other tools",
        "",
        f"Made by `python tests/benchmarks/peers/compare.py`, {days}: {budgets} s for each tool and bug, in",
        f"calm weather, but for topup-chaos, which makes its own. {_versions()}.",
        f"{platform.platform()}, {os.cpu_count()} cores.",
        "",
        f"{len(mutants)} of {len(known)} planted bugs, drawn evenly from their list. A bug is caught when the exit code says",
        "so (1). A tool that cries on the service done right has caught nothing. – says that all is well (0); *unknown* (3, of",
        "topup-chaos), that not all was put to the test in that time: it is not caught, and the release is not let through.",
        "The seconds are those of the whole command: a state machine ends at its first finding, the others run on.",
        "",
        f"| planted bug | promise | {' | '.join(tools)} |",
        "|---|---|" + "---|" * len(tools),
    ]
    for name in mutants:
        cells = " | ".join(_cell(found.get((name, tool)), tool in quiet) for tool in tools)
        lines.append(f"| {name} | {known[name].caught_by} | {cells} |")
    sums = " | ".join(
        _sum([found[name, tool] for name in mutants if (name, tool) in found], tool in quiet) for tool in tools
    )
    clean = " | ".join(_on_the_clean(found.get((CLEAN, tool)), tool in quiet) for tool in tools)
    lines += [f"| **caught** | | {sums} |", f"| *the service done right* | | {clean} |"]
    return "\n".join(lines) + "\n"


def _cell(each: Tried | None, quiet: bool) -> str:
    if each is None:
        return ""
    if each.code is None:
        return "no end"
    if each.code not in (0, 1, 3):
        return f"error {each.code}"
    if each.code == 3:
        return "unknown"
    return f"**caught**, {each.seconds:.0f} s" if each.code == 1 and quiet else "–"


def _on_the_clean(each: Tried | None, quiet: bool) -> str:
    """What is said of the service done right: nothing, that the time was too short, or that something is wrong with it."""
    if each is None:
        return "not tried"
    if not quiet:
        return "**cries**"
    return "unknown: not all was run" if each.code == 3 else "quiet"


def _sum(of: Sequence[Tried], quiet: bool) -> str:
    return f"{sum(each.code == 1 and quiet for each in of)} of {len(of)}"


def _versions() -> str:
    pins = dict(line.split("==") for file in (PINS, CARBON_PINS) for line in file.read_text(encoding="utf-8").split())
    named = {"topup-chaos": version("topup-chaos"), "Schemathesis": pins["schemathesis"]}
    named |= {"Hypothesis": version("hypothesis"), "Locust": version("locust")}
    named |= {"carbon-layer": pins["carbon-layer"], "Python": platform.python_version()}
    return ", ".join(f"{name} {number}" for name, number in named.items())


_RECORD = TypeAdapter(list[Tried])


def keep(tried: Sequence[Tried]) -> None:
    """Write the record, each in the place of what was known of the same tool and bug, and the page that is made of it."""
    before = _RECORD.validate_json(RECORD.read_bytes()) if RECORD.exists() else []
    known = {CLEAN, *catalogue()}
    every = {(each.mutant, each.tool): each for each in (*before, *tried) if each.mutant in known}
    whole = [every[key] for key in sorted(every)]
    RECORD.write_bytes(_RECORD.dump_json(whole, indent=1, exclude={"__all__": {"tail"}}) + b"\n")
    PAGE.write_text(table(whole), encoding="utf-8")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--budget", type=float, default=30.0, help="seconds for each tool and bug")
    asked.add_argument("--every", type=int, default=1, help="only every so many-th planted bug")
    asked.add_argument("--mutant", action="append", help="only this one, and the service done right")
    asked.add_argument("--tool", action="append", choices=TOOLS, help="only this one")
    asked.add_argument("--workers", type=int, default=1, help="how many at once")
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    tools = options.tool or list(TOOLS)
    for name, pins in {"schemathesis": PINS, "carbon-layer": CARBON_PINS}.items():
        if name in tools:
            environment(pins)
    mutants = options.mutant or list(catalogue())[:: options.every]
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawning) as pool:
        for done in as_completed(
            pool.submit(attempt, tool, mutant, options.seed, options.budget)
            for mutant in (CLEAN, *mutants)
            for tool in tools
        ):
            each = done.result()
            keep([each])
            print(f"{each.mutant or '(the service)':<32} {each.tool:<14} {each.code} in {each.seconds:.0f} s")
            if each.code and each.tool != "topup-chaos":
                print(each.tail)
            sys.stdout.flush()
    print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
