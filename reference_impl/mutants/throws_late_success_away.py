from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant
from reference_impl.states import State


@mutant(caught_by="every-payment-is-credited", under="contradicting-callbacks", also=("failed-then-paid",))
class ThrowsLateSuccessAway(CallbackIntake):
    """Takes a failure for the last word: a success after it is thrown away, and the money with it.

    Seen in production: github.com/open-formulieren/open-forms/issues/5942.
    """

    @override
    async def take_effect(self, connection: Connection, event: Event) -> Outcome:
        """What *event* does to the top-up it is about, which is locked from here to the commit."""
        top_up = await self.find_top_up(connection, event)
        if top_up is not None and top_up.state == State.FAILED:
            return Outcome.UNCHANGED
        return await super().take_effect(connection, event)
