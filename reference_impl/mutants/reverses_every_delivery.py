from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(
    caught_by="reversed-once",
    under="chargeback-lost",
    also=("refund-after-credit", "refund-beside-callback", "partial-refunds"),
)
class ReversesEveryDelivery(CallbackIntake):
    """Takes care to credit once, and takes back as often as it is told: a chargeback that is reported twice is two."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        return event.kind in ("refunded", "disputed") or await super().claim(connection, event)
