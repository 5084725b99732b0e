"""Amounts that name their payments: any sum of them says which were credited, and how often.

Each amount is more than three times the sum of all before it, so a bare balance is enough to find a doubled or a lost
credit in a service that shows nothing else.
"""

from collections.abc import Mapping, Sequence
from random import Random

TIMES_AT_MOST = 3
UNIT_MINOR = 100


class Amounts:
    """A source of amounts for one account, in minor units."""

    def __init__(self, rng: Random) -> None:
        self._rng, self._sum = rng, 0

    def next(self) -> int:
        amount = TIMES_AT_MOST * self._sum + UNIT_MINOR + self._rng.randrange(UNIT_MINOR)
        self._sum += amount
        return amount


def times_each(balance_minor: int, amounts: Sequence[int]) -> Mapping[int, int] | None:
    """How often each amount is in the balance; None when no such sum makes it (some amount was credited wrong).

    >>> dict(times_each(100 + 2 * 450, [100, 450]))
    {450: 2, 100: 1}
    """
    rest, times = balance_minor, {}
    for amount in sorted(set(amounts), reverse=True):
        times[amount] = min(max(rest, 0) // amount, TIMES_AT_MOST)
        rest -= times[amount] * amount
    return times if rest == 0 else None
