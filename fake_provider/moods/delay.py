"""Callbacks that come late."""

from collections.abc import Iterable
from dataclasses import dataclass

from fake_provider.moods import Holds, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Delay(Holds):
    """The receiver hears nothing until the callbacks are released or the mood ends, and then everything at once.

    The callbacks of one payment keep their order. Signatures are made when they leave, so none of them is stale.
    """

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        self.touched += 1
        self.held.append(shipment.by(self.name))
        return []
