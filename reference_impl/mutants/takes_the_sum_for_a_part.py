from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.money import Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="reversed-once", under="partial-refunds")
class TakesTheSumForAPart(CallbackIntake):
    """Takes what was refunded so far for what was refunded now: the second part takes the first back again.

    Seen in production: github.com/elizaOS/eliza/issues/11155.
    """

    @override
    def reversed_by(self, event: Event, top_up: TopUp) -> Money:
        """How much goes back: what this refund or this dispute is about, however much was before it."""
        return Money(event.refunded_minor, event.currency) if event.kind == "refunded" else event.money
