from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.outbox import Outbox
from reference_impl.statuses import PROCESSING


@mutant(caught_by="told-once", under="late-payment")
class SaysLateEveryTime(Outbox):
    """Reminds whoever waits each time that it looks, as if it had never said so: by the third message he calls his bank."""

    @override
    async def tell_late(self) -> None:
        """Have the customers told, once each, whose payments are still on their way after so long: that word is Processing.

        Rows that somebody has locked are left for the next time: they are about to move.
        """
        await super().tell_late()
        async with self.database.connection() as connection:
            await connection.execute("UPDATE outbox SET sent_at = NULL WHERE status = $1", PROCESSING)
