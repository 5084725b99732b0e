"""A customer who tries again."""

from dataclasses import dataclass, field, replace

from fake_provider.moods import Charge, Charges, Follows, Hands, arg, mood
from fake_provider.payments import Payment, State


@mood
@dataclass(kw_only=True, eq=False)
class FailThenSucceed(Charges, Follows):
    """The receiver is told that the payment failed, and `after_s` of the provider's time later that it was captured.

    Both are true: the customer took another card. The failure has long been acknowledged by then, and believed.
    """

    after_s: float = arg(3600.0, at_least=0, at_most=1e7)
    _to_capture: dict[str, int] = field(default_factory=dict, init=False)

    def charge(self, charge: Charge) -> Charge:
        if not charge.happens or charge.payment.state is not State.PENDING:
            return charge
        self._to_capture[charge.payment.id] = charge.asked_minor
        return replace(charge, declined_by=self.name)

    def moved(self, payment: Payment, hands: Hands) -> None:
        amount_minor = self._to_capture.pop(payment.id, None)
        if payment.state is State.FAILED and amount_minor is not None:
            self.touched += 1
            what = f"paid with another card ({self.name})"
            hands.later(self.after_s, what, self.name, payment.id, lambda: hands.pay(payment.id, amount_minor, what))
