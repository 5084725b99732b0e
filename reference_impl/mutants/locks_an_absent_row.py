from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="instant-duplicates")
class LocksAnAbsentRow(CallbackIntake):
    """Locks the row of an earlier credit with SELECT FOR UPDATE: at the first credit there is no row, and so no lock."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        await connection.execute("SET LOCAL ROLE NONE")  # its job's role may not lock what it may not change
        found = await connection.fetchval("SELECT true FROM postings WHERE payment = $1 FOR UPDATE", event.payment)
        await connection.execute("RESET ROLE")
        return found is None
