from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="every-payment-is-credited", under="failed-then-paid", also=("contradicting-callbacks",))
class ClaimsOnceForAllNews(CallbackIntake):
    """Remembers that it has heard of a payment, and not what: the first news of it, whatever that was, is the last.

    Seen in production: github.com/koala73/worldmonitor/issues/4436.
    """

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        known = await connection.fetchval("SELECT true FROM claims WHERE payment = $1", event.payment)
        first = await super().claim(connection, event)
        return first and (known is None or event.reversal is not None)
