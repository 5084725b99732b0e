from collections.abc import Mapping
from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.ledger import Kind
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="chargeback-won", also=("chargeback-out-of-order",))
class NeverGivesBack(CallbackIntake):
    """Takes the credit away when a dispute is opened, and has no use for the news that it was won.

    Seen in production: github.com/elizaOS/eliza/issues/10997.
    """

    REVERSALS: ClassVar[Mapping[str, Kind]] = {"refunded": "refund", "disputed": "chargeback"}
