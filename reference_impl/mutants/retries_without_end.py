from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient


@mutant(caught_by="provider-is-not-hammered", under="provider-down")
class RetriesWithoutEnd(ProviderClient):
    """Tries again at once, until there is an answer: a provider that is down is kept down."""

    @override
    def next_attempt(self, attempt: int) -> float | None:
        """How long to wait after the *attempt*-th failed, or None: enough. The one place that ends the retries."""
        return 0.001
