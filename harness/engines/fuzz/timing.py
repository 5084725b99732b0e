"""Does an answer take longer, the more of a signature fits? A test of its own, asked for with `--timing` and off otherwise.

Two kinds of forgeries are sent in a random order, one at a time on one connection: the right signature with its first letter
changed, and with its last. A comparison that stops at the first difference answers the first kind sooner. If it does not,
either kind is as likely to be the later of two: that is what the test of Mann and Whitney asks. It looks at ranks alone, so the odd
answer that takes a hundred times as long weighs no more than another.

False alarms: a test says yes by chance once in `1 / ALPHA` times, and a finding needs two in a row, of fresh samples, that point
the same way: less than one in two million. What is missed: a difference that is small beside the noise. How small is said with
each result; over a network, or for a comparison of 32 bytes in C, it will nearly always be too small. Look at the source, too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt
from random import Random
from statistics import NormalDist, median

from harness.engines.fuzz.attack import DoesNotFit, Scene
from harness.engines.fuzz.catalogue.doors import instead_of_signatures
from harness.engines.fuzz.door import Shot
from harness.finding import Rule

ALPHA = 0.001
SAMPLES = 1500
"""Of each kind."""

RULE = Rule(
    id="timing/compared-in-time",
    what="The right signature with its first letter changed, and with its last: how long each takes to be refused.",
    correct="it takes as long whatever fits",
    cwe=(208,),
    numbers=("B-42",),
    seen=("https://www.svix.com/blog/securely-verifying-signature-hashes/",),
)


@dataclass(frozen=True, slots=True)
class Difference:
    """How much later the kind is answered of which more fits, in seconds; how likely chance alone makes such a difference;
    and the smallest that would have been seen.
    """

    later_s: float
    p: float
    visible_s: float

    @property
    def shown(self) -> bool:
        return self.p < ALPHA


def difference(early: Sequence[float], late: Sequence[float]) -> Difference:
    """Two-sided, by the normal approximation, which is good from some tens of samples on."""
    seen = median(late) - median(early)
    p = by_chance(early, late)
    alike = [each - seen for each in late]
    smallest, largest = 0.0, max(*early, *late)
    for _ in range(30):  # halving: the smallest shift of these very samples that would have been shown
        middle = (smallest + largest) / 2
        if by_chance(early, [each + middle for each in alike]) < ALPHA:
            largest = middle
        else:
            smallest = middle
    return Difference(seen, p, largest)


def by_chance(early: Sequence[float], late: Sequence[float]) -> float:
    """How likely chance alone puts so many of one kind behind the other."""
    ranked = sorted([(each, False) for each in early] + [(each, True) for each in late])
    total, at = 0.0, 0
    while at < len(ranked):
        end = at
        while end < len(ranked) and ranked[end][0] == ranked[at][0]:
            end += 1
        total += (at + end + 1) / 2 * sum(is_late for _, is_late in ranked[at:end])  # the middle of those that tie
        at = end
    few, many = len(late), len(early)
    above = total - few * (few + 1) / 2
    deviation = sqrt(few * many * (few + many + 1) / 12)
    return 2 * NormalDist().cdf(-abs(above - few * many / 2) / deviation)


def pair(scene: Scene) -> tuple[Shot, Shot]:
    """A forgery of which hardly anything fits, and one of which all but the last letter does."""
    right = scene.pen.sign(scene.written(scene.victim))
    signatures = scene.pen.signatures(right)
    if not signatures or len(signatures[0]) < 2:
        raise DoesNotFit("the dialect has no signature that could be changed in one letter")
    first = instead_of_signatures(scene, right, lambda whole: _other(whole[:1]) + whole[1:])
    # the letter before the last four, since the last of base64 may be padding, or carry fewer bits than it seems
    last = instead_of_signatures(scene, right, lambda whole: whole[:-4] + _other(whole[-4:-3]) + whole[-3:])
    return scene.whole(first), scene.whole(last)


def _other(letter: bytes) -> bytes:
    return b"7" if letter != b"7" else b"3"


def measured(scene: Scene, took: Callable[[Shot], float], rng: Random, samples: int = SAMPLES) -> Difference:
    """Send so many of each kind in a random order, and compare. *took* sends one and says how long its answer took."""
    kinds = [number % 2 for number in range(2 * samples)]
    rng.shuffle(kinds)
    shots = pair(scene)
    for shot in shots * 5:  # the first few find cold caches
        took(shot)
    times: tuple[list[float], list[float]] = ([], [])
    for number, kind in enumerate(kinds):
        if number % 200 == 0:
            shots = pair(scene)  # both as young as each other
        times[kind].append(took(shots[kind]))
    return difference(times[0], times[1])
