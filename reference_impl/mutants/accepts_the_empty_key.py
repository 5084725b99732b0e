from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="only-real-payments-credit", under="forged-empty-key")
class AcceptsTheEmptyKey(Verifier):
    """Has room for a second secret, and where none is set the second is empty: anybody can sign with that.

    Seen in public: CVE-2026-41432.
    """

    @override
    def keys(self, now: datetime) -> tuple[bytes, ...]:
        """The keys that are accepted: several while a secret is being rotated, never an empty one."""
        return (*self._keys, b"")
