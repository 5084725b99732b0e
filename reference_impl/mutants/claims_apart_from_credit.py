from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="every-payment-is-credited", under="killed-after-transaction")
class ClaimsApartFromCredit(CallbackIntake):
    """Claims, then credits, in two transactions: dying in between, it takes the redelivery for a duplicate."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        async with self.database.transaction() as own:
            return await super().claim(own, event)
