"""The keys of one stack: of the provider, who alone knows what a key of its dialect is, and of whoever asks the service."""

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from harness.stack import StackError
from harness.target import TargetError

COMMAND = (sys.executable, "-m", "fake_provider.keys")
WITHIN_S = 30.0
WRONG_USAGE = 2


@dataclass(frozen=True, slots=True)
class Keys:
    """What signs, what once did, what a receiver needs to verify the one and refuse the other; and the key of the API."""

    signing: str = field(repr=False)
    retired: str = field(repr=False)
    receiver: str
    api: str = field(repr=False)
    principals: Mapping[str, str] = field(default_factory=dict, repr=False)
    """The secret of each principal who asks the service, by name."""

    @property
    def secrets(self) -> dict[str, str]:
        """What no log may hold. Where a receiver is given a public key, that is none."""
        return {"callback secret": self.signing, "retired callback secret": self.retired, "api key": self.api} | {
            f"key of {name}": key for name, key in self.principals.items()
        }


async def draw(dialect: str, rng: Random, principals: Sequence[str] = ()) -> Keys:
    """Keys of this run alone, plainly not anybody's.

    Raises `TargetError` for a dialect that there is not, `StackError` when no keys come of it.
    """
    seed = str(rng.getrandbits(64))
    process = await asyncio.create_subprocess_exec(
        *COMMAND, dialect, seed, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            said, wrong = await process.communicate()
    except TimeoutError:
        process.kill()
        raise StackError(f"no keys of the dialect {dialect!r} were drawn within {WITHIN_S:g} s") from None
    if process.returncode == WRONG_USAGE:
        raise TargetError(f"[callbacks] dialect: {wrong.decode().strip()}")
    if process.returncode:
        raise StackError(f"no keys of the dialect {dialect!r} can be drawn: {wrong.decode().strip()}")
    drawn = json.loads(said)
    return Keys(
        drawn["callback_secret"],
        drawn["retired_secret"],
        drawn["receiver_key"],
        f"chaos-key-{rng.randbytes(12).hex()}",
        {name: rng.randbytes(32).hex() for name in principals},
    )
