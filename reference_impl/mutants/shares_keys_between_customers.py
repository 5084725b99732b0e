from typing_extensions import override

from reference_impl.keys import IdempotencyKeys
from reference_impl.mutants import mutant


@mutant(caught_by="same-key-same-answer", under="same-key-other-customer")
class SharesKeysBetweenCustomers(IdempotencyKeys):
    """Takes a key for everybody's: whoever comes second with the same one is told that it stands for another request."""

    @override
    def scope(self, customer: str) -> str:
        """Whose keys these are: two customers may well choose the same one."""
        return "everybody"
