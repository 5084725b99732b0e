from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.money import Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="reversed-once", under="partial-refunds", also=("refund-after-credit", "chargeback-won"))
class ReversesTheWholePayment(CallbackIntake):
    """Takes the whole credit back, however little was refunded."""

    @override
    def reversed_by(self, event: Event, top_up: TopUp) -> Money:
        """How much goes back: what this refund or this dispute is about, however much was before it."""
        return top_up.money
