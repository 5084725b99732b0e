from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.money import Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="reversed-once", under="other-minor-units")
class TakesYenForCents(CallbackIntake):
    """Knows on the way in that yen have no cents, and has forgotten it on the way back: a refund is a hundredfold.

    Seen in production: github.com/calcom/cal.diy/pull/30039.
    """

    @override
    def reversed_by(self, event: Event, top_up: TopUp) -> Money:
        """How much goes back: what this refund or this dispute is about, however much was before it."""
        factor = 100 if event.currency == "JPY" else 1
        return Money(event.amount_minor * factor, event.currency)
