from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="refund-of-partial-capture")
class TakesBackWhatItNeverGave(CallbackIntake):
    """Takes a refund for itself, whatever became of its capture: one that was never credited is taken back all the same."""

    @override
    def steps_of(self, event: Event) -> tuple[Event, ...]:
        """All that *event* says has happened. A refund that is heard of before its capture is a capture, then a refund."""
        return (event,)
