from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.mutants import mutant
from reference_impl.reconciler import Reconciler
from reference_impl.states import State
from reference_impl.topups import TopUp


@mutant(caught_by="every-payment-is-credited", under="neither-answer-nor-callback")
class AsksOnlyAboutTheAccepted(Reconciler):
    """Asks about what the provider has accepted, and leaves pending for ever what it never answered about.

    Seen in production: github.com/offspot/imager-service/issues/525.
    """

    @override
    async def due(self, connection: Connection) -> list[TopUp]:
        """Which top-ups to ask about: all that are not final, oldest first."""
        return [each for each in await super().due(connection) if each.state not in (State.CREATED, State.INITIATED)]
