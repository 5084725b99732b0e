"""Money that goes back bit by bit."""

from dataclasses import dataclass

from fake_provider.moods import Follows, Hands, arg, mood
from fake_provider.payments import Payment, State


@mood
@dataclass(kw_only=True, eq=False)
class RefundInParts(Follows):
    """The receiver is told that a captured payment is refunded, in `parts` refunds, `after_s` of the provider's time apart.

    Nobody on the receiver's side asked for it. In the end all of it has gone back.
    """

    parts: int = arg(2, at_least=1, at_most=100)
    after_s: float = arg(60.0, at_least=0, at_most=1e7)

    def moved(self, payment: Payment, hands: Hands) -> None:
        refunded = len(payment.refunds)
        if payment.state is not State.CAPTURED or refunded >= self.parts or payment.left_minor < self.parts - refunded:
            return
        self.touched += not refunded
        amount_minor = payment.left_minor // (self.parts - refunded)
        what = f"a part is refunded ({self.name})"
        hands.later(self.after_s, what, self.name, payment.id, lambda: hands.refund(payment.id, amount_minor))
