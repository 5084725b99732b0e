"""The same planted bugs, given to what somebody would use instead: who sees them?

`python tests/benchmarks/peers/compare.py` lets each tool loose on the service done right and on every planted bug (or a part of
them), on a stack of its own in calm weather, for the same seconds. A tool catches a bug when its exit code says so, and one
that cries on the service done right has caught nothing. Writes `reports/peers.md`.

- `schemathesis`: against the service's OpenAPI document, every check that it has.
- `state-machine`: `state_machine.py`, a Hypothesis state machine over HTTP with a model, a duplicate and two forgeries.
- `locust`: `payers.py`, with status checks.
- `topup-chaos`: its default suite, which breaks things; told nothing of what is planted.

carbon-layer (0.6.1) is not here: its exit code is 0 whatever it sees, so it would catch nothing by this measure.

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
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from random import Random

from harness.cli import REFERENCE
from harness.stacks.processes import MERCHANT, processes
from reference_impl.mutants import catalogue

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from environment import environment  # noqa: E402 - beside the folder of this file, which is all that Python looks into

PAGE = HERE.parent.parent.parent / "reports" / "peers.md"
PINS = HERE / "schemathesis.txt"
SCHEMATHESIS = HERE / "schemathesis.toml"
CLEAN = ""
"""The service done right, where a mutant's name would be."""
STARTS_WITHIN_S = 60.0
CUSTOMER = "X-Customer: ann"


@dataclass(frozen=True)
class Tried:
    """One tool on one mutant. `code` is None where it did not end in time."""

    mutant: str
    tool: str
    code: int | None
    seconds: float
    tail: str


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
        return Tried(mutant, tool, code, time.monotonic() - began, said.read()[-2000:])


def table(tried: Sequence[Tried], seconds: float, tools: Sequence[str]) -> str:
    """The page: what each tool's exit code said, and of how many it said so."""
    mutants = [name for name in dict.fromkeys(each.mutant for each in tried) if name != CLEAN]
    found = {(each.mutant, each.tool): each for each in tried}
    quiet = {tool for tool in tools if (clean := found.get((CLEAN, tool))) and clean.code in (0, 3)}
    known = catalogue()
    lines = [
        "# Beside other tools",
        "",
        f"Made by `python tests/benchmarks/peers/compare.py` on {datetime.now(UTC):%Y-%m-%d}: {seconds:g} s for each tool and bug,",
        f"in calm weather, but for topup-chaos, which makes its own. {_versions()}.",
        f"{platform.platform()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.0f} at the end.",
        "",
        f"{len(mutants)} of {len(known)} planted bugs, drawn evenly from their list. A bug is caught when the exit code says",
        "so (1; of topup-chaos 3 is unknown, and not caught). A tool that cries on the service done right has caught nothing.",
        "The seconds are those of the whole command: a state machine ends at its first finding, the others run on.",
        "",
        f"| planted bug | promise | {' | '.join(tools)} |",
        "|---|---|" + "---|" * len(tools),
    ]
    for name in sorted(mutants):
        cells = " | ".join(_cell(found.get((name, tool)), tool in quiet) for tool in tools)
        lines.append(f"| {name} | {known[name].caught_by} | {cells} |")
    sums = " | ".join(
        _sum([found[name, tool] for name in mutants if (name, tool) in found], tool in quiet) for tool in tools
    )
    clean = " | ".join(_on_the_clean(found[CLEAN, tool]) if tool in quiet else "**cries**" for tool in tools)
    lines += [f"| **caught** | | {sums} |", f"| *the service done right* | | {clean} |"]
    return "\n".join(lines) + "\n"


def _cell(each: Tried | None, quiet: bool) -> str:
    if each is None:
        return ""
    if each.code is None:
        return "no end"
    if each.code not in (0, 1, 3):
        return f"error {each.code}"
    return f"**caught**, {each.seconds:.0f} s" if each.code == 1 and quiet else "–"


def _on_the_clean(quiet: Tried) -> str:
    """What a tool that does not cry says of the service done right: that it holds, or that the time was too short."""
    return "unknown: not all was run" if quiet.code == 3 else "quiet"


def _sum(of: Sequence[Tried], quiet: bool) -> str:
    return f"{sum(each.code == 1 and quiet for each in of)} of {len(of)}"


def _versions() -> str:
    pins = dict(line.split("==") for line in PINS.read_text(encoding="utf-8").split())
    named = {"topup-chaos": version("topup-chaos"), "Schemathesis": pins["schemathesis"]}
    named |= {"Hypothesis": version("hypothesis"), "Locust": version("locust"), "Python": platform.python_version()}
    return ", ".join(f"{name} {number}" for name, number in named.items())


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--budget", type=float, default=30.0, help="seconds for each tool and bug")
    asked.add_argument("--every", type=int, default=1, help="only every so many-th planted bug")
    asked.add_argument("--mutant", action="append", help="only this one; the page is not written")
    asked.add_argument("--tool", action="append", choices=TOOLS, help="only this one; the page is not written")
    asked.add_argument("--workers", type=int, default=1, help="how many at once")
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    environment(PINS)
    tools = options.tool or list(TOOLS)
    mutants = options.mutant or list(catalogue())[:: options.every]
    tried: list[Tried] = []
    spawning = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.workers, mp_context=spawning) as pool:
        for done in as_completed(
            pool.submit(attempt, tool, mutant, options.seed, options.budget)
            for mutant in (CLEAN, *mutants)
            for tool in tools
        ):
            each = done.result()
            tried.append(each)
            print(
                f"{each.mutant or '(the service)':<32} {each.tool:<14} {each.code} in {each.seconds:.0f} s", flush=True
            )
            if each.mutant == CLEAN and each.code:
                print(each.tail, flush=True)
    page = table(tried, options.budget, tools)
    if options.mutant or options.tool:
        print(page)
    else:
        PAGE.write_text(page, encoding="utf-8")
        print(f"written: {PAGE}")


if __name__ == "__main__":
    main()
