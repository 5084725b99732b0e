from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="hostile-input-is-refused", under="forged-future-timestamp")
class AcceptsFutureTimestamps(Verifier):
    """Checks how old a callback is, and takes one dated ahead for a very young one: it stays good until then."""

    @override
    def within_tolerance(self, at: int, now: datetime) -> bool:
        """Whether it was signed not too long ago nor, but for a clock that is ahead of ours, in the future."""
        return now.timestamp() - at <= self.dialect.oldest_s
