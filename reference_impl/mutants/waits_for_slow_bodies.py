from typing_extensions import override

from reference_impl.limits import Limits
from reference_impl.mutants import mutant


@mutant(caught_by="crafted-requests-are-refused", under="crafted-requests")
class WaitsForSlowBodies(Limits):
    """Waits for the rest of a request as long as a byte comes now and then: a handful of clients keep all connections."""

    @override
    def patience_s(self) -> float | None:
        """How long the body may take, in seconds."""
        return None
