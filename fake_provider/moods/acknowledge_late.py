"""Acknowledgements that come too late."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class AcknowledgeLate(Shapes):
    """The receiver gets the whole callback, and the connection ends under its hands before it can answer.

    The provider waits for `patience_s` real seconds only, in the first `first` attempts of each callback, and tries again
    on its schedule. What the receiver did with the callback, it did.
    """

    first: int = arg(1, at_least=1, at_most=100)
    patience_s: float = arg(0.0, at_least=0, at_most=60)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if shipment.callback.attempt > self.first:
            return [shipment]
        self.touched += 1
        return [replace(shipment.by(self.name), manner=replace(shipment.manner, patience_s=self.patience_s))]
