"""Callbacks that break off in the middle."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Truncate(Shapes):
    """The receiver gets `percent` of each callback's body, less than was announced, and then the connection ends.

    The provider takes that for a failed attempt and tries again on its schedule. `first` limits it to the first so many
    attempts of each callback.
    """

    percent: int = arg(50, at_least=0, at_most=99)
    first: int | None = arg(None, at_least=1, at_most=100)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if self.first is not None and shipment.callback.attempt > self.first:
            return [shipment]
        self.touched += 1
        return [replace(shipment.by(self.name), manner=replace(shipment.manner, cut_percent=self.percent))]
