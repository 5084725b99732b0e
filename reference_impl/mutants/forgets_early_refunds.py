from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="acknowledged-is-durable", under="refund-before-capture")
class ForgetsEarlyRefunds(CallbackIntake):
    """Finds nothing to take back when a refund is heard of before its capture, and says thank you: then the capture comes.

    Seen in production: github.com/mollie/WooCommerce/issues/1252.
    """

    @override
    async def receive(self, event: Event) -> Outcome:
        """Apply *event*, or write down why not. The way in for callbacks and for answers to queries alike."""
        if event.kind == "refunded":
            async with self.database.connection() as connection:
                credited = await connection.fetchval("SELECT true FROM postings WHERE payment = $1", event.payment)
            if not credited:
                return Outcome.UNCHANGED
        return await super().receive(event)
