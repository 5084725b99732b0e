from uuid import uuid4

from typing_extensions import override

from reference_impl.keys import IdempotencyKeys
from reference_impl.mutants import mutant


@mutant(caught_by="same-key-same-answer", under="same-key-again")
class IgnoresTheKey(IdempotencyKeys):
    """Takes every request for a new one: a client that asks again has asked for two.

    Seen in public: github.com/getlago/lago-api/issues/5870.
    """

    @override
    def scope(self, customer: str) -> str:
        """Whose keys these are: two customers may well choose the same one."""
        return f"{customer}-{uuid4()}"
