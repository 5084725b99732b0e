from dataclasses import replace

from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.discrepancies import Disagreement
from reference_impl.events import Event
from reference_impl.money import Money
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="credit-matches-payment", under="settled-in-another-currency")
class IgnoresTheCurrency(CallbackIntake):
    """Compares the number and not the currency: a thousand yen that were paid credit a thousand cents."""

    @override
    def amount_of(self, event: Event, top_up: TopUp) -> Money:
        """What to credit: what was captured, provided that everything is as it was stored."""
        found = self.mismatch(replace(event, currency=top_up.currency), top_up)
        if found:
            raise Disagreement(found.field, found.expected, found.found, top_up.top_up)
        return Money(event.amount_minor, top_up.currency)
