from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import TOLERANCE_S, Verifier


@mutant(caught_by="hostile-input-is-refused", under="forged-future-timestamp")
class AcceptsFutureTimestamps(Verifier):
    """Checks how old a callback is, and takes one dated ahead for a very young one: it stays good until then."""

    @override
    def within_tolerance(self, timestamp: str, now: datetime) -> bool:
        """Whether it was signed at most five minutes ago or, by a clock that is ahead of ours, from now."""
        return now.timestamp() - int(timestamp) <= TOLERANCE_S
