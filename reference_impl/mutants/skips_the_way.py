from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.states import State, States


@mutant(caught_by="transitions-are-legal", under="callback-during-initiation")
class SkipsTheWay(States):
    """Assumes that a capture finds the top-up waiting for it: one that comes earlier skips steps that nobody recorded."""

    @override
    def path(self, current: State, target: State) -> tuple[State, ...]:
        """The shortest legal way, *target* last, so that no step is skipped in the record.

        Whether to go at all is `advance`'s decision alone. Were it wrong, the record would show the bare step.
        """
        if target is State.CREDITED:
            return State.CALLBACK_RECEIVED, State.CREDITED
        return super().path(current, target)
