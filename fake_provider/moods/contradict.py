"""A provider that changes its mind."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from fake_provider.dialects import Answer, Wire
from fake_provider.moods import Charge, Charges, Ends, Hands, Hears, mood
from fake_provider.payments import IllegalMove, State
from fake_provider.shipments import Shipment


@mood
@dataclass(kw_only=True, eq=False)
class Contradict(Charges, Hears, Ends):
    """The receiver is told that the payment failed, and after its answer that the payment was captured.

    The second is the truth. The API says the same as the callbacks: failed at first, then captured.
    """

    _to_capture: dict[str, int] = field(default_factory=dict, init=False)

    def charge(self, charge: Charge) -> Charge:
        if charge.payment.state is not State.PENDING or not charge.happens:
            return charge
        self.touched += 1
        self._to_capture[charge.payment.id] = charge.asked_minor
        return replace(charge, declined_by=self.name)

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        for callback in shipment.callbacks:
            if callback.notice.payment in self._to_capture:
                self._capture(callback.notice.payment, hands)

    def end(self, hands: Hands) -> None:
        for payment in list(self._to_capture):
            self._capture(payment, hands)

    def _capture(self, payment: str, hands: Hands) -> None:
        with suppress(IllegalMove):  # the customer may have paid by another way in the meantime
            hands.pay(payment, self._to_capture.pop(payment), f"paid after all ({self.name})")
