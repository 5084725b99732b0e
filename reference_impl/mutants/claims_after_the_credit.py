from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="killed-after-transaction")
class ClaimsAfterTheCredit(CallbackIntake):
    """Credits, and then notes that it has: dying in between, it takes the redelivery for the first.

    Seen in public: github.com/InsForge/InsForge/pull/1172.
    """

    @override
    async def apply(self, event: Event) -> Outcome:
        """Claim, effect and record in one transaction. The claims come first: whoever comes second waits there.

        They are taken in one order by everybody, and all of them before the top-up is locked: nobody waits in a circle.
        """
        outcome = Outcome.DUPLICATE
        async with self.database.transaction() as connection:
            claimed = "SELECT true FROM claims WHERE payment = $1 AND effect = $2"
            new = [
                step
                for step in self.steps_of(event)
                if not await connection.fetchval(claimed, step.payment, step.effect)
            ]
            for step in new:
                outcome = await self.take_effect(connection, step)
        async with self.database.transaction() as connection:
            for step in new:
                await self.claim(connection, step)
            await self.remember(connection, event, outcome)
        return outcome
