from collections.abc import Mapping
from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.rates import RateLimits, Turn

_free_at: dict[str, datetime] = {}


@mutant(caught_by="limits-are-kept", under="restarted-while-limited")
class LimitsEachProcessAlone(RateLimits):
    """Counts in its own memory: each of several processes lets as many in as all of them should, and so does each new one."""

    @override
    async def take(self, buckets: Mapping[str, str]) -> Turn | None:
        """Take a turn of each bucket, or of none: then which of them is full, and for how long. One statement."""
        at = self.now()
        for by, bucket in buckets.items():
            rate, free_at = self.rates[by], max(_free_at.get(f"{by} {bucket}", at), at)
            if free_at > at + rate.tolerance:
                return Turn(by, f"{by} {bucket}", rate, free_at - rate.tolerance - at)
            _free_at[f"{by} {bucket}"] = free_at + rate.every
        return None
