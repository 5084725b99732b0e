"""Sharing one time budget between engines, so that the whole keeps it."""

from collections.abc import Sequence
from dataclasses import dataclass

REPORTS_S = 5.0
"""Kept back for the gate's own reports."""
ENDING_MIN_S, ENDING_MAX_S = 10.0, 60.0
TURN_MIN_S = 30.0
"""A stack comes up and goes down in a part of this. With less there is no turn."""


@dataclass(frozen=True, slots=True)
class Share:
    """An engine's part of the time: its weight, and its own bound in seconds."""

    weight: float
    at_most_s: float | None = None


def ending_s(allowed_s: float) -> float:
    """So long before its time is over an engine is told to begin nothing more, and halfway from there to end.

    A fifth: a run that goes on must come to its end, on a machine that is slow because others use it too.
    """
    return min(ENDING_MAX_S, max(ENDING_MIN_S, allowed_s / 5))


def turn_s(left_s: float, own: Share, later: Sequence[Share]) -> float:
    """How many of the seconds that are left an engine may take, and leave their part to those after it.

    What is bounded below its part leaves the rest to the others.
    """
    free, waiting = max(0.0, left_s), [own, *later]
    while True:
        weights = sum(share.weight for share in waiting)
        bounded = [
            share
            for share in waiting
            if share.at_most_s is not None and share.at_most_s < free * share.weight / weights - 1e-9
        ]
        if own in bounded and own.at_most_s is not None:
            return own.at_most_s
        if not bounded:
            return free * own.weight / weights
        for share in bounded:
            free -= share.at_most_s or 0.0
        waiting = [share for share in waiting if share not in bounded]
