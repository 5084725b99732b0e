from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.events import Event
from reference_impl.money import Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(
    caught_by="credit-matches-payment",
    under="partial-capture",
    also=(
        "settled-for-more",
        "settled-in-another-currency",
        "captured-in-parts",
    ),
)
class CreditsTheRequestedAmount(CallbackIntake):
    """Credits what was asked for, whatever was paid.

    Seen in public: CVE-2026-9189.
    """

    @override
    def amount_of(self, event: Event, top_up: TopUp) -> Money:
        """What to credit: what was captured, provided that everything is as it was stored."""
        return top_up.money
