from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Declined, Payment
from reference_impl.topups import TopUp


@mutant(caught_by="told-the-truth", under="timeout-after-initiation", also=("provider-slow",))
class TakesTimeoutForDecline(ProviderClient):
    """Takes silence for a no: the customer reads that the payment failed, and the money was taken."""

    @override
    def on_timeout(self, top_up: TopUp) -> Payment:
        """Silence is not a no: the money may have been taken."""
        raise Declined(f"no answer about {top_up.top_up}")
