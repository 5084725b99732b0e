from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="chargeback-won")
class GivesBackEveryTime(CallbackIntake):
    """Guards what it credits and what it takes back, and gives back whenever it hears that a dispute was won."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        return event.kind == "won" or await super().claim(connection, event)
