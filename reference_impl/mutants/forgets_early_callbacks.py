from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="acknowledged-is-durable", under="callback-during-initiation", also=("callback-before-answer",))
class ForgetsEarlyCallbacks(CallbackIntake):
    """Looks for the provider's payment id, which it does not know before its own call returns: what comes earlier is dropped.

    Seen in production: github.com/PrestaShopCorp/ps_checkout/pull/359.
    """

    @override
    async def find_top_up(self, connection: Connection, event: Event) -> TopUp | None:
        """By our own reference, which is known before the provider has told us its payment's id."""
        top_up = await super().find_top_up(connection, event)
        return top_up if top_up is not None and top_up.payment == event.payment else None
