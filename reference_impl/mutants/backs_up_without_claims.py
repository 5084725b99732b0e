from collections.abc import Sequence

from typing_extensions import override

from reference_impl.backup import Backup
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="restored-from-backup")
class BacksUpWithoutClaims(Backup):
    """Leaves the claims out of the backup, as if the ledger were enough: what is told after a restore is credited again."""

    @override
    def left_out(self) -> Sequence[str]:
        """Tables whose rows need not be kept."""
        return ("claims",)
