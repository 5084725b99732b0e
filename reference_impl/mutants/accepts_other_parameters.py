from typing_extensions import override

from reference_impl.keys import IdempotencyKeys, Row
from reference_impl.mutants import mutant


@mutant(caught_by="same-key-same-answer", under="same-key-other-amount")
class AcceptsOtherParameters(IdempotencyKeys):
    """Looks at the key alone: a request for another amount gets the answer to the first one."""

    @override
    def same_request(self, row: Row, request: str) -> bool:
        """Whether it is a request for the very same thing as the first time: amount, currency, account and all."""
        return True
