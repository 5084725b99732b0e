from dataclasses import replace

from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="partial-refunds")
class ClaimsRefundsByPayment(CallbackIntake):
    """Remembers of a payment that it was refunded, and not by which refund: the second part is taken for the first again."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        known = replace(event, reversal="any") if event.kind == "refunded" else event
        return await super().claim(connection, known)
