"""Callbacks that come more than once, one after another."""

from collections.abc import Iterable
from dataclasses import dataclass

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Duplicate(Shapes):
    """The receiver gets each callback `copies` times under the same id; each copy waits for the answer to the last.

    It makes no difference what the first answer was: copies come also after an acknowledgement.
    """

    copies: int = arg(2, at_least=2, at_most=100)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        self.touched += 1
        return [shipment.by(self.name)] * self.copies
