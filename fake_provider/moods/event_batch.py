"""One message that carries several events."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fake_provider.moods import Holds, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class EventBatch(Holds):
    """The receiver gets `count` events in one message, of one payment or of several, and acknowledges all of them or none.

    They are held until so many are there; a release sends those that are. What was not acknowledged is tried again
    together, when it is due together. Only for dialects in which a message can carry several events.
    """

    needs_batches: ClassVar[bool] = True
    count: int = arg(2, at_least=2, at_most=6)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if shipment.is_replay:
            return [shipment]
        self.touched += 1
        self.held.append(shipment.by(self.name))
        there = [one for one in self.held if _like(one) == _like(self.held[-1])]
        if len(there) < self.count:
            return []
        self.held = [one for one in self.held if one not in there]
        return [_together(there)]

    def release(self) -> list[list[Shipment]]:
        held, self.held = self.held, []
        alike: dict[object, list[Shipment]] = {}
        for shipment in held:
            alike.setdefault(_like(shipment), []).append(shipment)
        return [[_together(there)] for there in alike.values()]


def _like(shipment: Shipment) -> object:
    """What must be the same of all that leaves in one message: where it goes, and what other moods make of it."""
    return (shipment.callback.wire.url, shipment.copies, shipment.moods, shipment.manner, shipment.skew)


def _together(shipments: Sequence[Shipment]) -> Shipment:
    callbacks = [callback for one in shipments for callback in one.callbacks]
    return replace(shipments[0], riders=tuple(callbacks[1:]))
