from typing_extensions import override

from reference_impl.answers import Problem
from reference_impl.mutants import mutant
from reference_impl.rates import RateLimits, Turn


@mutant(caught_by="limits-are-kept", under="asks-too-often")
class CountsDeniedRequestsAsServed(RateLimits):
    """Takes a turn for each request that it turns away: whoever goes on asking, as his app does for him, is never served again."""

    @override
    async def deny(self, turn: Turn) -> Problem:
        """What whoever comes too soon is told. It costs him no turn: he need not wait longer for having asked."""
        async with self.database.connection() as connection:
            await connection.execute(
                "UPDATE rate_limits SET free_at = free_at + $2 WHERE bucket = $1", turn.bucket, turn.rate.every
            )
        return await super().deny(turn)
