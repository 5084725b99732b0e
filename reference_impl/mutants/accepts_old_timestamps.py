from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="hostile-input-is-refused", under="forged-stale-timestamp")
class AcceptsOldTimestamps(Verifier):
    """Refuses what is dated ahead and forgets to refuse what is old: a callback once overheard is good for ever.

    Seen in public: GHSA-q9g3-q6fj-hc2x.
    """

    @override
    def within_tolerance(self, at: int, now: datetime) -> bool:
        """Whether it was signed not too long ago nor, but for a clock that is ahead of ours, in the future."""
        return at - now.timestamp() <= self.dialect.ahead_s
