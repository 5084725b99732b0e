"""How many requests are worked on at once, and what becomes of the others: turned away at the door, before any effect.

Two compartments, as in a ship: a flood of customers must not keep out the callbacks that would credit those who have paid.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum

from reference_impl.answers import Answer, problem
from reference_impl.metrics import Metrics


class Compartment(StrEnum):
    """Who shares a bound."""

    CALLBACKS = "callbacks"
    CUSTOMERS = "customers"


class Admission:
    """Bounds what is in flight, and with it all queues further in: nobody waits in one who was not admitted."""

    def __init__(self, most: Mapping[Compartment, int], metrics: Metrics) -> None:
        self.most = most
        self.metrics = metrics
        self.in_flight: Counter[Compartment] = Counter()

    def room(self, compartment: Compartment) -> bool:
        """Whether one more may come in."""
        return self.in_flight[compartment] < self.most[compartment]

    def turn_away(self, compartment: Compartment) -> Answer:
        """Nothing was done, and nothing is kept: whoever is told so comes again, the provider by its schedule."""
        self.metrics.count("topup_turned_away", compartment)
        message = "There is too much to do. Nothing was done about this; send the same again."
        return Answer(503, problem("busy", message), {"Retry-After": "1"})

    @contextmanager
    def admitted(self, compartment: Compartment) -> Iterator[None]:
        """Inside for as long as the block."""
        self.in_flight[compartment] += 1
        try:
            yield
        finally:
            self.in_flight[compartment] -= 1


def compartment_of(path: str) -> Compartment | None:
    """Who it is that asks for *path*. None for those who watch and mend: the more is going on, the more they are needed."""
    if path.startswith("/callbacks/"):
        return Compartment.CALLBACKS
    return Compartment.CUSTOMERS if path.startswith("/v1/") else None
