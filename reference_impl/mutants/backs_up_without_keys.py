from collections.abc import Sequence

from typing_extensions import override

from reference_impl.backup import Backup
from reference_impl.mutants import mutant


@mutant(caught_by="same-key-same-answer", under="restored-from-backup")
class BacksUpWithoutKeys(Backup):
    """Leaves the idempotency keys out of the backup, as if they were a cache: after a restore, who asks again has asked for two.

    Seen in public: github.com/formancehq/ledger/pull/1607.
    """

    @override
    def left_out(self) -> Sequence[str]:
        """Tables whose rows need not be kept."""
        return ("idempotency_keys",)
