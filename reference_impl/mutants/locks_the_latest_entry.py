from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.ledger import Ledger
from reference_impl.mutants import mutant


@mutant(caught_by="balance-is-sum-of-entries", under="concurrent-top-ups")
class LocksTheLatestEntry(Ledger):
    """Locks the account's latest entry before it reads the balance: that is its own, so two at once lock two rows.

    Seen in public: github.com/Climactic/laravel-credits/pull/20.
    """

    @override
    async def move_balance(self, connection: Connection, account: str, amount_minor: int) -> None:
        """Add to the balance where it lies, in one statement: nothing is read that could be old when it is written."""
        await connection.execute("SET LOCAL ROLE NONE")  # its job's role may not lock what it may not change
        await connection.fetchval(
            "SELECT entry FROM entries WHERE account = $1 ORDER BY entry DESC LIMIT 1 FOR UPDATE", account
        )
        await connection.execute("RESET ROLE")
        balance = await connection.fetchval("SELECT balance_minor FROM accounts WHERE account = $1", account)
        await connection.execute(
            "UPDATE accounts SET balance_minor = $2 WHERE account = $1", account, balance + amount_minor
        )
