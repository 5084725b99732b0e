"""How providers sign and word their callbacks, one file each: read strictly, and believed by nobody here.

A dialect says what a message claims about itself (`claim`) and, once the verifier believes that, what it is about (`read`).
Which one is spoken is the deployment's configuration and never the message's choice.

The providers' own packages are not used: they let other exceptions than their own out on crafted headers, bound the time on
one side or not at all, and accept the same signature in several spellings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from reference_impl.answers import Answer, Refused
from reference_impl.events import Event

Headers: TypeAlias = Sequence[tuple[bytes, bytes]]
"""As they came: lower-case names, undecoded values, duplicates not yet merged."""

SIGNATURES_MAX = 8


@dataclass(frozen=True, slots=True)
class Claim:
    """What a message says about itself: when it was signed (seconds since the epoch), how, and over which bytes."""

    at: int
    signatures: tuple[bytes, ...]
    signed: bytes


class Dialect(Protocol):
    """Everything that differs from provider to provider."""

    oldest_s: int
    """How long a signature stays good. No shorter than a provider goes on sending what it signed once."""
    ahead_s: int
    """How far the provider's clock may be ahead of ours."""
    acknowledgement: Answer
    """What makes the provider stop."""

    def key(self, secret: str) -> bytes:
        """The key in a word of CALLBACK_SECRET; raises `ValueError` for one that anybody could have."""

    def claim(self, headers: Headers, body: bytes) -> Claim:
        """What the message says about itself; `Refused` when any part is missing, doubled or malformed."""

    def fits(self, key: bytes, signature: bytes, signed: bytes) -> bool:
        """Whether *key* makes (or verifies) this signature."""

    def read(self, headers: Headers, body: bytes) -> Event | None:
        """What an authentic message is about; None if it is nothing that this service has a use for."""


def only(headers: Headers, name: bytes) -> bytes:
    """The value of a header that must be there exactly once."""
    values = [value for key, value in headers if key.lower() == name]
    if len(values) != 1:
        raise Refused(f"{name.decode()} is {'missing' if not values else 'there more than once'}")
    return values[0]
