from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="replayed-fresh-id")
class DedupesByDelivery(CallbackIntake):
    """Remembers the delivery's id and not the payment's: the same payment under a fresh id slips through."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        return (
            await connection.fetchval(
                """INSERT INTO claims (payment, effect, claimed_at) VALUES ($1, $2, $3)
                   ON CONFLICT DO NOTHING RETURNING true""",
                event.delivery or event.payment,
                event.effect,
                self.now(),
            )
            is not None
        )
