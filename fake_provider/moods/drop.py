"""Callbacks that never come."""

from collections.abc import Iterable
from dataclasses import dataclass

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Drop(Shapes):
    """The receiver hears nothing: the callback is lost for good, later attempts included, and no connection is made.

    Only asking the provider can tell. `first` limits it to the first so many callbacks.
    """

    first: int | None = arg(None, at_least=1, at_most=1_000_000)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if self.first is not None and self.touched >= self.first:
            return [shipment]
        self.touched += 1
        return []
