from collections.abc import Mapping

from typing_extensions import override

from reference_impl.events import Event
from reference_impl.mutants import mutant
from reference_impl.reconciler import Reconciler
from reference_impl.topups import TopUp


@mutant(caught_by="only-real-payments-credit", under="returns-without-paying")
class CreditsOnReturn(Reconciler):
    """Takes the browser's word for the payment: whoever comes back from the provider's page with a success is credited.

    Seen in public: github.com/grails-plugins/grails-paypal/issues/8.
    """

    @override
    async def on_return(self, top_up: TopUp, said: Mapping[str, str]) -> None:
        """A customer's browser is back from the provider's page, and *said*, the query, is how it went."""
        if said.get("status") == "success" and top_up.payment is not None:
            event = Event(
                kind="captured",
                payment=top_up.payment,
                reference=top_up.top_up,
                amount_minor=top_up.amount_minor,
                currency=top_up.currency,
                account=top_up.account,
                merchant=top_up.merchant,
                environment=top_up.environment,
            )
            await self.callbacks.receive(event)
