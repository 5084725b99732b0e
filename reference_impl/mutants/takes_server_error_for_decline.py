from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Declined, Payment
from reference_impl.topups import TopUp


@mutant(caught_by="told-the-truth", under="provider-errs-after-capture")
class TakesServerErrorForDecline(ProviderClient):
    """Takes the provider's 500 for a no: it came after the money was taken."""

    @override
    def on_server_error(self, top_up: TopUp, status: int) -> Payment:
        """Neither is an error on their side."""
        raise Declined(f"{status} about {top_up.top_up}")
