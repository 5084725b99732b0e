from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.ledger import Ledger
from reference_impl.mutants import mutant


@mutant(caught_by="balance-is-sum-of-entries", under="large-amounts")
class KeepsBalancesInFloats(Ledger):
    """Adds in single precision: beyond sixteen million minor units, cents are rounded away.

    Seen in production: github.com/coffee-software/coffee.wallet/issues/24.
    """

    @override
    async def move_balance(self, connection: Connection, account: str, amount_minor: int) -> None:
        """Add to the balance where it lies, in one statement: nothing is read that could be old when it is written."""
        await connection.execute(
            "UPDATE accounts SET balance_minor = (balance_minor::real + $2::bigint::real)::bigint WHERE account = $1",
            account,
            amount_minor,
        )
