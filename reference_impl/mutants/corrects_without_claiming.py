from typing_extensions import override

from reference_impl.adjustments import Adjustments, Found
from reference_impl.database import Connection
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="corrected-by-hand")
class CorrectsWithoutClaiming(Adjustments):
    """Credits by hand what was found missing, once for each finding, and the callback that was only late credits it again."""

    @override
    async def claim(self, connection: Connection, found: Found) -> bool:
        """True when nobody has credited this payment so far."""
        return not await connection.fetchval(
            "SELECT true FROM claims WHERE payment = $1 AND effect = 'captured'", found.payment
        )
