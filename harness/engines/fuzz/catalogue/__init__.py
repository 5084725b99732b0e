"""The catalogue: attacks on receivers of callbacks that were really seen, one file for each family.

Each attack bears its numbers in the list of `fake_provider.attacks`, which names those that forgeries play; the others stand
here. `NOT_SENT` says of each number that is left why nothing is sent for it.
"""

from collections.abc import Mapping, Sequence

from fake_provider.dialects import all_shown
from fake_provider.pen import Pen
from harness.engines.fuzz.attack import Attack
from harness.engines.fuzz.catalogue.doors import DOORS
from harness.engines.fuzz.catalogue.forged import forged
from harness.engines.fuzz.catalogue.framing import FRAMING
from harness.engines.fuzz.catalogue.money import MONEY
from harness.engines.fuzz.catalogue.news import NEWS
from harness.engines.fuzz.catalogue.spelling import SPELLING

NOT_SENT: Mapping[str, str] = {
    "B-11": "a receiver that forgets an id too early shows it only after its window has passed: minutes, not a shot",
    "B-42": "a difference in time is seen in the source (--source) and hardly from outside (--timing, which says how hardly)",
    "B-44": "what a receiver does before it verifies is not seen from outside, except by what it logs",
    "B-50": "about a client's keys, and not about callbacks: the scenarios about keys ask it",
    "B-51": "a race needs every order of two callbacks: `interleave` tries them",
    "B-52": "about those who send callbacks, and not about those who receive them",
}


def catalogue(pen: Pen) -> Sequence[Attack]:
    """Every attack there is in the dialect of *pen*; some may turn out not to fit when they are made."""
    return (*forged(pen), *NEWS, *MONEY, *SPELLING, *DOORS, *FRAMING)


def catalogue_names() -> Sequence[str]:
    """The name of every attack in any dialect."""
    forgeries = dict.fromkeys(f"forged/{name}" for shown in all_shown().values() for name in shown["forgeries"])
    return (*forgeries, *(each.name for each in (*NEWS, *MONEY, *SPELLING, *DOORS, *FRAMING)))
