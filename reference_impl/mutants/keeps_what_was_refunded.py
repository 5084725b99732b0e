from collections.abc import Mapping
from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.ledger import Kind
from reference_impl.mutants import mutant


@mutant(caught_by="reversed-once", under="refund-after-credit", also=("partial-refunds", "dropped-reversals"))
class KeepsWhatWasRefunded(CallbackIntake):
    """Knows of chargebacks and not of refunds: the customer has the money back, and the credit as well.

    Seen in public: github.com/pocketpaw/pocketpaw/pull/2041.
    """

    REVERSALS: ClassVar[Mapping[str, Kind]] = {"disputed": "chargeback", "won": "chargeback-won"}
