from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.ledger import Ledger
from reference_impl.mutants import mutant


@mutant(caught_by="balance-is-sum-of-entries", under="commit-never-arrives", also=("killed-inside-transaction",))
class MovesBalanceApart(Ledger):
    """Moves the balance on a connection of its own: when the rest is rolled back, the balance stays moved."""

    @override
    async def move_balance(self, connection: Connection, account: str, amount_minor: int) -> None:
        """Add to the balance where it lies, in one statement: nothing is read that could be old when it is written."""
        async with self.database.connection() as own:
            await super().move_balance(own, account, amount_minor)
