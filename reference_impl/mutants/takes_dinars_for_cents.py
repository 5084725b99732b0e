from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.money import EXPONENTS, Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="credit-matches-payment", under="other-minor-units")
class TakesDinarsForCents(CallbackIntake):
    """Believes that no currency has more than two minor digits: a dinar is credited tenfold.

    Seen in production: github.com/woocommerce/woocommerce-gateway-stripe/issues/2720.
    """

    @override
    def amount_of(self, event: Event, top_up: TopUp) -> Money:
        """What to credit: what was captured, provided that everything is as it was stored."""
        exact = super().amount_of(event, top_up)
        return Money(exact.amount_minor * 10 ** max(0, EXPONENTS[exact.currency] - 2), exact.currency)
