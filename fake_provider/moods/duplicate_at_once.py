"""Callbacks that come more than once, at the same instant."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class DuplicateAtOnce(Shapes):
    """The receiver gets `copies` of the same bytes on as many connections, all complete at the same instant.

    All connections are open, and each request is there but for its last byte, before the last bytes leave together.
    """

    copies: int = arg(2, at_least=2, at_most=100)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        self.touched += 1
        return [replace(shipment.by(self.name), copies=shipment.copies * self.copies)]
