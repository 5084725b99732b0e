from typing_extensions import override

from reference_impl.breaker import CircuitOpen
from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Declined, Payment
from reference_impl.topups import TopUp


@mutant(caught_by="told-the-truth", under="breaker-opens")
class TakesOpenCircuitForDecline(ProviderClient):
    """Says that the payment failed when the circuit is open: an attempt went out before it opened, and that one was paid."""

    @override
    def on_open_circuit(self, top_up: TopUp, unsent: CircuitOpen) -> Payment:
        """Nor is a request that was not sent: an attempt before it may have been, and it can still be."""
        raise Declined(str(unsent))
