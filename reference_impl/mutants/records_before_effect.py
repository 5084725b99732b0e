from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="acknowledged-is-durable", under="killed-after-transaction")
class RecordsBeforeEffect(CallbackIntake):
    """Writes down that a callback was processed, then processes it: dying in between, it waves the redelivery through."""

    @override
    async def apply(self, event: Event) -> Outcome:
        """Claim, effect and record in one transaction. The claim comes first: whoever comes second waits there."""
        async with self.database.transaction() as connection:
            if await connection.fetchval("SELECT true FROM callbacks WHERE webhook_id = $1", event.delivery):
                return Outcome.DUPLICATE
            await self.remember(connection, event, Outcome.CREDITED)
        async with self.database.transaction() as connection:
            first = await self.claim(connection, event)
            return await self.take_effect(connection, event) if first else Outcome.DUPLICATE
