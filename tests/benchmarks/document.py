"""Is the service what its OpenAPI document says? Schemathesis asks, with every check that it has.

    .venv/bin/python tests/benchmarks/document.py [--budget 120] [--seed 1]

Against the reference service on a stack of its own, in an environment of Schemathesis's own, which is made on first use. Ends with
Schemathesis's exit code: 0 when nothing was found, no answer was a server error, and all looked as the document has it.
"""

import argparse
import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path
from random import Random

from harness.cli import REFERENCE
from harness.stacks.processes import processes

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "peers"))
from compare import PINS, STARTS_WITHIN_S, environment, schemathesis  # noqa: E402 - in a folder where Python does not look


async def examine(seed: int, seconds: float) -> int:
    environment(PINS)
    with tempfile.TemporaryDirectory(prefix="document-") as folder:
        async with processes(REFERENCE, Path(folder), Random(seed), named=False) as stack:
            env = {"AUTHORIZATION": stack.target.asked_by()["Authorization"]}
            command = schemathesis(stack.service_url, "", env, seed, seconds)
            done = await asyncio.to_thread(
                subprocess.run, command, cwd=folder, timeout=seconds + STARTS_WITHIN_S, check=False
            )
            return done.returncode


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--budget", type=float, default=120.0, help="seconds")
    asked.add_argument("--seed", type=int, default=1)
    options = asked.parse_args()
    sys.exit(asyncio.run(examine(options.seed, options.budget)))


if __name__ == "__main__":
    main()
