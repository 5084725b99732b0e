"""Old callbacks, byte for byte."""

from dataclasses import dataclass, field, replace

from fake_provider.dialects import Answer, Wire
from fake_provider.moods import Hands, Hears, arg, mood
from fake_provider.shipments import Shipment, Ticket


@mood
@dataclass(kw_only=True, eq=False)
class Replay(Hears):
    """After its acknowledgement the receiver gets each callback `times` times more: same id, signature and bytes.

    One after another; whether they are answered makes no difference any more.
    """

    times: int = arg(1, at_least=1, at_most=100)
    _done: set[Ticket] = field(default_factory=set, init=False)

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        ticket = shipment.callback.ticket
        if not acknowledged or signed is None or ticket in self._done:
            return
        self._done.add(ticket)
        self.touched += 1
        again = replace(shipment, copies=1, moods=(self.name,), signed=signed)
        hands.send([again] * self.times)
