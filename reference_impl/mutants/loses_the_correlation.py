from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="timeline-is-complete", under="callback-before-answer", also=("callback-during-initiation",))
class LosesTheCorrelation(CallbackIntake):
    """Keeps the correlation id beside the payment's: a callback that tells of a payment not yet known begins a story of its own."""

    @override
    def correlation_of(self, event: Event, top_up: TopUp) -> str:
        """Under which id the rest of this is told: the top-up's own, however and in what order its news come."""
        return top_up.correlation if top_up.payment == event.payment else ""
