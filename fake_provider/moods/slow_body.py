"""Callbacks that trickle in."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class SlowBody(Shapes):
    """The receiver gets each callback in `pieces`, spread over `over_s` real seconds, and whole in the end.

    All of it, answer included, must fit into the time that one attempt may take; else it breaks off there. Copies at the
    same instant trickle in side by side, and are complete at the same instant still.
    """

    over_s: float = arg(0.5, at_least=0, at_most=60)
    pieces: int = arg(10, at_least=2, at_most=1000)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        self.touched += 1
        manner = replace(shipment.manner, over_s=self.over_s, pieces=self.pieces)
        return [replace(shipment.by(self.name), manner=manner)]
