from uuid import uuid4

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.topups import TopUp


@mutant(
    caught_by="captured-at-most-once",
    under="timeout-after-initiation",
    also=("provider-slow", "request-arrives-late", "provider-errs-after-capture", "redirected-answers"),
)
class NewKeyOnEveryRetry(ProviderClient):
    """Makes a new idempotency key for each attempt: an answer that is lost is a customer who is charged again.

    Seen in production: github.com/akash-network/console/pull/3449.
    """

    @override
    def idempotency_key(self, top_up: TopUp, attempt: int) -> str:
        """Derived from the top-up alone: every attempt, also after a restart, is the same request to the provider."""
        return f"top-up-{uuid4()}"
