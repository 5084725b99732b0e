"""Callbacks that come in the wrong order."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from fake_provider.moods import Holds, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Reorder(Holds):
    """The receiver gets the first `count` callbacks of each payment last one first, each after the answer to the other.

    They are held until all of them are there; a release sends those that are, last one first as well. What comes after
    them, retries and replays among it, is let through.
    """

    count: int = arg(2, at_least=2, at_most=100)
    _over: set[tuple[str, str]] = field(default_factory=set, init=False)

    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        if shipment.line in self._over or shipment.is_replay or shipment.callback.attempt > 1:
            return [shipment]
        self.touched += 1
        self.held.append(shipment.by(self.name))
        there = [one for one in self.held if one.line == shipment.line]
        if len({one.callback.ticket for one in there}) < self.count:
            return []
        self._over.add(shipment.line)
        self.held = [one for one in self.held if one.line != shipment.line]
        return reversed(there)

    def release(self) -> list[list[Shipment]]:
        queues = super().release()
        self._over.update(queue[0].line for queue in queues)
        return [queue[::-1] for queue in queues]
