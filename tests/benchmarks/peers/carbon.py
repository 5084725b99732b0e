"""carbon-layer against the callback endpoint: every kind of callback that it has, in each of its ways to send them.

`python carbon.py PROGRAM`, where PROGRAM is its `carbon`. Its own scenarios are in no package of it, so
`carbon/every-callback.yaml` has it make all that it can tell of. It knows no dialect of the reference's, and asks no service
about a balance: what its exit code (`--ci`) tells of is answers of 500 and above, and none at all. `CALLBACK_URL`,
`CALLBACK_SECRET` and `SECONDS` come from the environment. Exits 1 as soon as it does, else 0 when every way was tried or the time
is up.
"""

import os
import subprocess
import sys
import time
from itertools import product
from pathlib import Path

SCENARIOS = Path(__file__).parent / "carbon"
SIGNATURES = ("valid", "missing", "corrupted", "wrong_secret")
ORDERS = ("sequence", "reverse", "random")
REPEATS = "2"
ONE_TAKES_S = 60.0


def main() -> int:
    ends = time.monotonic() + float(os.environ["SECONDS"])
    book = f"sqlite:///{Path.cwd() / 'carbon.db'}"
    env = {**os.environ, "CARBON_SCENARIOS_DIR": str(SCENARIOS), "DATABASE_URL": book}
    env.pop("PYTHONPATH", None)  # it runs in an environment of its own
    for order, signature in product(ORDERS, SIGNATURES):
        if time.monotonic() > ends:
            break
        command = [
            *(sys.argv[1], "run", "every-callback", "--provider", "mock", "--ci"),
            *("--webhook-url", os.environ["CALLBACK_URL"], "--webhook-secret", os.environ["CALLBACK_SECRET"]),
            *("--webhook-repeat", REPEATS, "--webhook-order", order, "--webhook-signature", signature),
        ]
        code = subprocess.run(command, env=env, timeout=ONE_TAKES_S, check=False).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
