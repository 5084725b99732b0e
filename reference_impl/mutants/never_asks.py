from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.mutants import mutant
from reference_impl.reconciler import Reconciler
from reference_impl.topups import TopUp


@mutant(
    caught_by="every-payment-is-credited",
    under="dropped-callbacks",
    also=(
        "truncated-callbacks",
        "outage-longer-than-the-schedule",
        "endpoint-disabled",
        "skewed-clock",
    ),
)
class NeverAsks(Reconciler):
    """Waits for the provider to report: a callback that never comes is a credit that never comes.

    Seen in production: github.com/btcpayserver/btcpayserver/issues/3146.
    """

    @override
    async def due(self, connection: Connection) -> list[TopUp]:
        """Which top-ups to ask about: all that are not final, oldest first."""
        return []
