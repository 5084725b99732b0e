from typing_extensions import override

from reference_impl.answers import Answer
from reference_impl.initiation import Initiation, Request
from reference_impl.keys import Go, answer_of
from reference_impl.logs import current_correlation
from reference_impl.mutants import mutant
from reference_impl.states import State
from reference_impl.topups import TopUp


@mutant(caught_by="acknowledged-is-durable", under="callback-before-answer", also=("callback-during-initiation",))
class StoresTheIntentTooLate(Initiation):
    """Asks for the money first, and stores what it is for when there is an answer: a callback that is faster finds nothing.

    Seen in production: github.com/mollie/PrestaShop/pull/1510.
    """

    @override
    async def start(self, customer: str, key: str, request: Request) -> Answer:
        """Answer one request, or one of its repetitions."""
        decision = await self.keys.begin(customer, key, request.canonical)
        if not isinstance(decision, Go):
            return answer_of(decision)
        unstored = TopUp(
            top_up=decision.id,
            customer=customer,
            account=request.account,
            amount_minor=request.amount.amount_minor,
            currency=request.amount.currency,
            method=request.method,
            merchant=self.merchant,
            environment=self.environment,
            state=State.CREATED,
            payment=None,
            correlation=current_correlation(),
            created_at=self.now(),
        )
        reply = await self.ask(unstored)
        return await self.conclude(await self.open(decision.id, customer, request), key, reply)
