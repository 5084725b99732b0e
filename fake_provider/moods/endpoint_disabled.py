"""A provider that loses patience with its receiver."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fake_provider.dialects import Answer, Wire
from fake_provider.moods import Hands, Hears, Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class EndpointDisabled(Shapes, Hears):
    """After `refusals` attempts in a row that were not acknowledged the receiver hears nothing more.

    The endpoint is disabled: callbacks are lost for good, later attempts of earlier ones included, until the mood ends.
    """

    refusals: int = arg(3, at_least=1, at_most=1000)
    _in_a_row: int = field(default=0, init=False)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if self._in_a_row < self.refusals:
            return [shipment]
        self.touched += 1
        return []

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        if signed is not None and self._in_a_row < self.refusals:
            self._in_a_row = 0 if acknowledged else self._in_a_row + 1
