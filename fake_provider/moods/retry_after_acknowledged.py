"""A provider that goes on although it was heard."""

from dataclasses import dataclass

from fake_provider.dialects import Answer, Wire
from fake_provider.moods import Hands, Hears, arg, mood
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class RetryAfterAcknowledged(Hears):
    """The receiver gets each callback again on its schedule up to the `attempts`-th time, whatever it has answered.

    Same id, fresh signature. The provider has noted the acknowledgement, and another part of it has not.
    """

    attempts: int = arg(3, at_least=2, at_most=100)

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        for callback in shipment.callbacks:
            if acknowledged and not shipment.is_replay and callback.attempt < self.attempts:
                self.touched += 1
                hands.again(callback)
