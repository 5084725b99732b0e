"""How a key that cannot be used is answered: in the field there is more than one custom, and clients are written for one.

`ietf` is draft-ietf-httpapi-idempotency-key-header, section 2.7: a key is needed (400), one that stands for another request is 422,
one whose first request still runs is 409. `stripe` needs no key (a request without one is one of its own) and answers 400 to
another request; its codes are Stripe's. `brandur` is Brandur Leach's Rocket Rides: a key is needed, and both conflicts are 409.
What is done is the same in all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IdempotencyProfile:
    """The status and code of each answer about a key."""

    needed: bool = True
    missing: int = 400
    reused: int = 422
    reused_code: str = "key_reused"
    in_progress: int = 409
    in_progress_code: str = "in_progress"


IETF = IdempotencyProfile()
IDEMPOTENCY_PROFILES: Mapping[str, IdempotencyProfile] = {
    "ietf": IETF,
    "stripe": IdempotencyProfile(
        needed=False, reused=400, reused_code="idempotency_error", in_progress_code="idempotency_key_in_use"
    ),
    "brandur": IdempotencyProfile(reused=409),
}
