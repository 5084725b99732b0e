from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient


@mutant(caught_by="answered-in-time", under="request-arrives-late", also=("breaker-opens",))
class WaitsWithoutEnd(ProviderClient):
    """Waits for the provider for as long as it takes: what hangs there hangs here, and with it every customer who asks."""

    @override
    def bound_s(self) -> float | None:
        """How long one attempt may take as a whole, from the wait for a connection to the last byte."""
        return None
