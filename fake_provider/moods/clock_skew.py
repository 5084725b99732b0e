"""A provider whose clock is wrong."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from fake_provider.moods import Shapes, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class ClockSkew(Shapes):
    """The receiver gets genuine callbacks whose signatures are dated `seconds` ahead of the time, or behind it.

    A receiver should put up with a little of that, and refuse what is out by more than its tolerance. Replays keep the
    date that they have.
    """

    seconds: int = arg(120, at_least=-86_400, at_most=86_400)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if shipment.is_replay:
            return [shipment]
        self.touched += 1
        return [replace(shipment.by(self.name), skew=shipment.skew + timedelta(seconds=self.seconds))]
