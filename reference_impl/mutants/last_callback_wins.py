from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.states import State, States


@mutant(caught_by="status-never-goes-back", under="reordered-callbacks")
class LastCallbackWins(States):
    """Goes wherever the latest news points: a failure that arrives late undoes a success.

    Seen in production: github.com/NEARBuilders/nearmerch.com/issues/209.
    """

    @override
    def advance(self, current: State, event: str) -> State | None:
        """Where *event* takes a top-up that is in *current*, or None when it changes nothing."""
        if event in ("captured", "failed"):
            return self.TARGETS[event] if self.TARGETS[event] is not current else None
        return super().advance(current, event)
