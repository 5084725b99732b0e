from dataclasses import replace

from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="credit-matches-payment", under="reported-for-another-account")
class TakesTheAccountFromTheCallback(CallbackIntake):
    """Credits the account that the callback names, whatever was stored with the order that it is about.

    Seen in public: github.com/lostspezi/packattack/issues/6.
    """

    @override
    async def find_top_up(self, connection: Connection, event: Event) -> TopUp | None:
        """By our own reference, which is known before the provider has told us its payment's id."""
        found = await super().find_top_up(connection, event)
        return found and replace(found, account=event.account)
