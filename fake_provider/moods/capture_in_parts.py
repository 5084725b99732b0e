"""Money that comes bit by bit."""

from dataclasses import dataclass, field, replace

from fake_provider.moods import Charge, Charges, Follows, Hands, arg, mood
from fake_provider.payments import Payment, State


@mood
@dataclass(kw_only=True, eq=False)
class CaptureInParts(Charges, Follows):
    """The receiver is told of a capture `parts` times, `after_s` of the provider's time apart; each tells the sum so far.

    In the end `percent` of the amount is captured. Parts are equal but for the last, which has what is left over.
    """

    parts: int = arg(2, at_least=2, at_most=100)
    percent: int = arg(100, at_least=1, at_most=100)
    after_s: float = arg(60.0, at_least=0, at_most=1e7)
    _aims: dict[str, tuple[int, int]] = field(default_factory=dict, init=False)  # one part, and all of them

    def charge(self, charge: Charge) -> Charge:
        goal = charge.taken_minor * self.percent // 100
        part = goal // self.parts
        as_ordered = charge.currency == charge.payment.order.currency and goal <= charge.payment.order.amount_minor
        if not charge.happens or not part or not as_ordered:
            return charge
        self.touched += 1
        self._aims[charge.payment.id] = part, goal
        return replace(charge, taken_minor=part)

    def moved(self, payment: Payment, hands: Hands) -> None:
        part, goal = self._aims.get(payment.id, (0, 0))
        missing = goal - payment.captured_minor
        if payment.state is not State.CAPTURED or payment.refunds or payment.disputes or missing <= 0:
            return
        amount_minor = missing if missing < 2 * part else part
        what = f"another part is captured ({self.name})"
        hands.later(self.after_s, what, self.name, payment.id, lambda: hands.pay_more(payment.id, amount_minor, what))
