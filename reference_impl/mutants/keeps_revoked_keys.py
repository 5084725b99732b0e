from typing_extensions import override

from reference_impl.access import Access, Stored
from reference_impl.mutants import mutant


@mutant(caught_by="access-is-kept", under="revoked-key")
class KeepsRevokedKeys(Access):
    """Finds the key, and does not look whether it was revoked: whoever has left still comes in."""

    @override
    def is_good(self, stored: Stored) -> bool:
        """Whether nobody has revoked it."""
        return True
