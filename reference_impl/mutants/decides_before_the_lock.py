from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="instant-duplicates")
class DecidesBeforeTheLock(CallbackIntake):
    """Looks before it takes the lock, and does not look again once it has it: the lock guards a decision already made."""

    @override
    async def apply(self, event: Event) -> Outcome:
        """Claim, effect and record in one transaction. The claims come first: whoever comes second waits there.

        They are taken in one order by everybody, and all of them before the top-up is locked: nobody waits in a circle.
        """
        async with self.database.connection() as connection:
            known = await connection.fetchval("SELECT true FROM postings WHERE payment = $1", event.payment)
        async with self.database.transaction() as connection:
            outcome = Outcome.DUPLICATE if known else await self.take_effect(connection, event)
            await self.remember(connection, event, outcome)
        return outcome
