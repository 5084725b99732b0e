from uuid import uuid4

from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.keys import Decision, Go, IdempotencyKeys
from reference_impl.mutants import mutant


@mutant(caught_by="captured-at-most-once", under="killed-while-asking")
class ForgetsUnansweredKeys(IdempotencyKeys):
    """Takes a key whose first request was never answered for unused: it begins anew, and the customer is charged again.

    Seen in production: github.com/akash-network/console/pull/3495.
    """

    @override
    async def again(self, connection: Connection, customer: str, key: str, request: str) -> Decision:
        """What to do about a key that was used before; its row is locked meanwhile."""
        decision = await super().again(connection, customer, key, request)
        return Go(f"tu_{uuid4().hex}") if isinstance(decision, Go) else decision
