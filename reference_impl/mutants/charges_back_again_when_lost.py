from collections.abc import Mapping
from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.ledger import Kind
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="chargeback-lost", also=("chargeback-out-of-order",))
class ChargesBackAgainWhenLost(CallbackIntake):
    """Takes the money back when a dispute is opened, and once more when it is lost: each is an event of its own, after all."""

    REVERSALS: ClassVar[Mapping[str, Kind]] = {
        "refunded": "refund",
        "disputed": "chargeback",
        "won": "chargeback-won",
        "lost": "chargeback",
    }
