from collections.abc import Sequence

from typing_extensions import override

from reference_impl.comparison import Comparer
from reference_impl.findings import Book, Class, Finding
from reference_impl.mutants import mutant
from reference_impl.provider_answers import Payment


@mutant(caught_by="reconciliation-finds-all", under="settled-for-more", also=("settled-in-another-currency",))
class ComparesCountsOnly(Comparer):
    """Compares how many payments each side has: as many there as here, and it is content, whatever they are of."""

    @override
    def of_top_up(self, book: Book, payments: Sequence[Payment]) -> list[Finding]:
        """What differs about one top-up: payment by payment, amount by amount."""
        here, there = 1, len(payments)
        return [Finding(Class.MISSING, book.top_up, "", f"{there} payments", f"{here}")] if there > here else []
