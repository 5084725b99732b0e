"""`python -m fake_provider.keys DIALECT [SEED]`: draw keys for one run, as JSON.

`callback_secret` signs, `receiver_key` is what a receiver needs in order to verify that, and `retired_secret` is a key that
nobody accepts any more. Seeded keys are the same again, except where a library draws them (RSA).
"""

import json
import random
import sys

from fake_provider.dialects import find
from fake_provider.registry import UnknownName

WRONG_USAGE = 2


def main(arguments: list[str]) -> int:
    if not 1 <= len(arguments) <= 2:
        print(__doc__, file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    name, *seed = arguments
    try:
        dialect = find(name)
    except UnknownName as unknown:
        print(unknown, file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    rng = random.Random(seed[0]) if seed else random.SystemRandom()
    key = dialect.draw_key(rng)
    drawn = {"callback_secret": key, "receiver_key": dialect.receiver_key(key), "retired_secret": dialect.draw_key(rng)}
    print(json.dumps(drawn))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
