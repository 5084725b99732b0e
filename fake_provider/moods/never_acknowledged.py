"""A provider that does not hear what it is told."""

from dataclasses import dataclass, field

from fake_provider.dialects import Answer
from fake_provider.moods import Hears, arg, mood
from fake_provider.shipments import Shipment, Ticket


@mood
@dataclass(kw_only=True, eq=False)
class NeverAcknowledged(Hears):
    """The receiver's first `n` acknowledgements of each callback go unheard, so it comes again on schedule.

    Same id, fresh signature, although the receiver has long said that all is well.
    """

    n: int = arg(3, at_least=1, at_most=100)
    _unheard: dict[Ticket, int] = field(default_factory=dict, init=False)

    def acknowledged(self, shipment: Shipment, answer: Answer, acknowledged: bool) -> tuple[bool, str]:
        tickets = [callback.ticket for callback in shipment.callbacks]
        unheard = min(self._unheard.get(ticket, 0) for ticket in tickets)
        if not acknowledged or shipment.is_replay or unheard >= self.n:
            return acknowledged, answer.because
        self._unheard |= dict.fromkeys(tickets, unheard + 1)
        self.touched += 1
        return False, f"{answer.because}, unheard ({self.name})"
