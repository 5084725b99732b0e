from typing_extensions import override

from reference_impl import topups
from reference_impl.callbacks import Outcome
from reference_impl.mutants import mutant
from reference_impl.provider_answers import Payment
from reference_impl.reconciler import Reconciler, events_of
from reference_impl.topups import TopUp


@mutant(caught_by="credited-at-most-once", under="delayed-callbacks")
class ReconcilesWithoutClaiming(Reconciler):
    """Credits what the provider knows of without claiming it: the callback that comes later credits it again.

    Seen in production: github.com/opencollective/opencollective-api/pull/4641.
    """

    @override
    async def settle_one(self, top_up: TopUp, payments: list[Payment]) -> list[Outcome]:
        """Apply what the provider knows about one top-up, first completing the initiation if that was cut short."""
        outcomes = []
        for event in [event for payment in payments for event in events_of(payment)]:
            async with self.database.transaction() as connection:
                if await topups.lock(connection, top_up.top_up) is not None:
                    outcomes.append(await self.callbacks.take_effect(connection, event))
        return outcomes
