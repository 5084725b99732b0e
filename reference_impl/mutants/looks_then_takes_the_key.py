from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.keys import IdempotencyKeys
from reference_impl.mutants import mutant


@mutant(caught_by="captured-at-most-once", under="same-key-at-once")
class LooksThenTakesTheKey(IdempotencyKeys):
    """Looks whether the key was used, and takes it if not, over whoever took it meanwhile: two at once both begin."""

    @override
    async def reserve(self, connection: Connection, customer: str, key: str, request: str, id: str) -> str | None:
        """Take a key that nobody has used, with the *id* of what it will stand for; None if it was used."""
        used = await connection.fetchval(
            "SELECT true FROM idempotency_keys WHERE customer = $1 AND key = $2", self.scope(customer), key
        )
        if used:
            return None
        reserved: str | None = await connection.fetchval(
            """INSERT INTO idempotency_keys (customer, key, request, top_up, leased_until) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (customer, key) DO UPDATE SET top_up = excluded.top_up RETURNING top_up""",
            self.scope(customer),
            key,
            request,
            id,
            self.now() + self.lease,
        )
        return reserved
