"""The last deliveries with all their bytes, for whoever wants to look at one or send it again."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fake_provider.dialects import Answer, Wire
from fake_provider.records import Delivery
from fake_provider.shipments import Callback, Shipment

KEPT = 1000  # deliveries; the journal has all of them, without their bytes


@dataclass(slots=True)
class Attempt:
    """One delivery: as the journal has it, as it left, and what came back, once something has.

    `callback` is the one of the shipment that this is about. `is_ack` is the dialect's verdict on the answer, `acknowledged`
    what the provider makes of it in its moods.
    """

    record: Delivery
    shipment: Shipment
    callback: Callback
    wire: Wire
    at: datetime
    answer: Answer | None = None
    is_ack: bool = False
    acknowledged: bool = False
    because: str = "on its way"

    @property
    def id(self) -> str:
        return self.record.delivery


class Archive:
    """Forgets the oldest when it is full."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._attempts: dict[str, Attempt] = {}

    def add(self, attempt: Attempt) -> None:
        self._attempts[attempt.id] = attempt
        if len(self._attempts) > self._kept:
            del self._attempts[next(iter(self._attempts))]

    def get(self, delivery: str) -> Attempt | None:
        return self._attempts.get(delivery)

    def __iter__(self) -> Iterator[Attempt]:
        return iter(self._attempts.values())
