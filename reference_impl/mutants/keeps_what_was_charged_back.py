from collections.abc import Mapping
from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.ledger import Kind
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="chargeback-lost", also=("dropped-reversals",))
class KeepsWhatWasChargedBack(CallbackIntake):
    """Knows of refunds and not of banks that take money back: a chargeback leaves the credit where it is.

    Seen in production: github.com/elizaOS/eliza/issues/10920.
    """

    REVERSALS: ClassVar[Mapping[str, Kind]] = {"refunded": "refund"}
