from typing_extensions import override

from reference_impl.metrics import Metrics
from reference_impl.mutants import mutant


@mutant(caught_by="duplicates-are-counted", under="replayed-bytes")
class CountsOnlyEffects(Metrics):
    """Counts callbacks where their effect is made: a duplicate has none, and the counter that tells of storms never moves."""

    @override
    def of_event(self, cause: str, outcome: str) -> None:
        """The provider said something, and this is what it did: also when, as for a duplicate, that is nothing."""
        if outcome != "duplicate":
            self.count("topup_events", cause, outcome)
