"""Amounts that name their payments: any sum of them says which were credited, and how often.

Each amount is more than three times the sum of all before it, so a bare balance is enough to find a doubled or a lost
credit in a service that shows nothing else.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations, product
from random import Random

TIMES_AT_MOST = 3
UNIT_MINOR = 100
WRONG_AT_MOST = 4


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


def as_few_mistakes(balance_minor: int, amounts: Sequence[int]) -> Sequence[int] | None:
    """How often each amount is in the balance, where some are below zero; None when nothing explains it.

    Each is there once, unless that does not come out; then as few as possible are not, and of several such explanations the
    one that blames the last ones. So a whole refund that is not there is called just that, though a payment that was
    credited twice, and refunded once, would read the same.

    >>> as_few_mistakes(450, [450, -100]), as_few_mistakes(250, [450, -100])
    ((1, 0), (1, 2))
    """
    off = balance_minor - sum(amounts)
    for wrong in range(min(len(amounts), WRONG_AT_MOST) + 1):
        for which in combinations(reversed(range(len(amounts))), wrong):
            for times in product((0, 2, 3), repeat=wrong):
                if off == sum((n - 1) * amounts[at] for at, n in zip(which, times, strict=True)):
                    found = dict(zip(which, times, strict=True))
                    return tuple(found.get(at, 1) for at in range(len(amounts)))
    return None
