from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="instant-duplicates", also=("slow-callbacks",))
class ChecksThenActs(CallbackIntake):
    """Looks whether the payment was credited, and credits it if not: two deliveries at once both look before either writes."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        found = await connection.fetchval("SELECT true FROM postings WHERE payment = $1", event.payment)
        return found is None
