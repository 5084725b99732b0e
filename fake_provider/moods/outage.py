"""No way to the receiver."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.moods import Shapes, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Outage(Shapes):
    """The receiver hears nothing, though the provider tries each callback on its schedule, and gives up when that is over.

    Unlike what is dropped, a callback whose schedule is not over when the outage ends arrives after all.
    """

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        self.touched += 1
        return [replace(shipment.by(self.name), manner=replace(shipment.manner, lost=True))]
