from typing_extensions import override

from reference_impl.callbacks import Outcome
from reference_impl.mutants import mutant
from reference_impl.reconciler import Reconciler


@mutant(caught_by="reversed-once", under="dropped-reversals")
class NeverAsksWhatWentBack(Reconciler):
    """Asks about what is not final yet, and takes a credit for final: a refund that no callback told of stays on the account."""

    @override
    async def hear_reversals(self) -> list[Outcome]:
        """Read on in the provider's list of what went back, from where it was last read and applied to the end."""
        return []
