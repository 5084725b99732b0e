from typing_extensions import override

from reference_impl.answers import Answer, problem
from reference_impl.initiation import Initiation, Request
from reference_impl.mutants import mutant


@mutant(caught_by="odd-is-reviewed", under="large-amounts")
class DeniesWhatIsOdd(Initiation):
    """Turns a customer away because he wants to pay in a lot: he is told no reason, and nobody hears of it."""

    @override
    async def start(self, customer: str, key: str, request: Request) -> Answer:
        """Answer one request, or one of its repetitions."""
        if request.amount.amount_minor >= 10_000_000:
            return Answer(403, problem("not_possible", "This is not possible."))
        return await super().start(customer, key, request)
