"""A promise that is broken."""

from dataclasses import dataclass, replace

from fake_provider.moods import Charge, Charges, Follows, Hands, arg, mood
from fake_provider.payments import Payment, State


@mood
@dataclass(kw_only=True, eq=False)
class AuthoriseThenFail(Charges, Follows):
    """The receiver is told that the payment was authorised, and `after_s` of the provider's time later that it failed.

    Both are true, and no money ever moved.
    """

    after_s: float = arg(3600.0, at_least=0, at_most=1e7)

    def charge(self, charge: Charge) -> Charge:
        if not charge.happens or charge.payment.state is not State.PENDING:
            return charge
        return replace(charge, authorised_by=self.name)

    def moved(self, payment: Payment, hands: Hands) -> None:
        if payment.state is State.AUTHORISED and payment.history[-1].cause == self.name:
            self.touched += 1
            what = f"the capture fails ({self.name})"
            hands.later(self.after_s, what, self.name, payment.id, lambda: hands.decline(payment.id, what))
