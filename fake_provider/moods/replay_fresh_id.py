"""Old news in a new envelope."""

from dataclasses import dataclass, field

from fake_provider.dialects import Answer, Wire
from fake_provider.moods import Hands, Hears, arg, mood
from fake_provider.shipments import Shipment, Ticket


@mood
@dataclass(kw_only=True, eq=False)
class ReplayFreshId(Hears):
    """After its acknowledgement the receiver gets each callback `times` times more, each under a new id and signature.

    Nothing in the envelope says that this payment was reported before; only the payment's own id does.
    """

    times: int = arg(1, at_least=1, at_most=100)
    _done: set[Ticket] = field(default_factory=set, init=False)

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        for callback in shipment.callbacks:
            if not acknowledged or callback.made_by == self.name or callback.ticket in self._done:
                continue
            self._done.add(callback.ticket)
            self.touched += 1
            fresh = (hands.callback(callback.notice, callback, made_by=self.name) for _ in range(self.times))
            hands.send([Shipment(one, moods=(self.name,)) for one in fresh])
