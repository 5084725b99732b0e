from uuid import uuid4

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient


@mutant(caught_by="refunded-at-most-once", under="refund-without-answer")
class NewKeyOnEveryRefund(ProviderClient):
    """Makes a new idempotency key for each attempt at a refund: an answer that is lost is money that is given back again."""

    @override
    def refund_key(self, refund: str, attempt: int) -> str:
        """Derived from the refund alone, for the same reason."""
        return f"refund-{uuid4()}"
