from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import TOLERANCE_S, Verifier


@mutant(caught_by="hostile-input-is-refused", under="forged-stale-timestamp")
class AcceptsOldTimestamps(Verifier):
    """Refuses what is dated ahead and forgets to refuse what is old: a callback once overheard is good for ever.

    Seen in public: GHSA-q9g3-q6fj-hc2x.
    """

    @override
    def within_tolerance(self, timestamp: str, now: datetime) -> bool:
        """Whether it was signed at most five minutes ago or, by a clock that is ahead of ours, from now."""
        return int(timestamp) - now.timestamp() <= TOLERANCE_S
