from datetime import datetime

from typing_extensions import override

from reference_impl.answers import Refused
from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="only-real-payments-credit", under="forged-malformed-signature")
class FailsOpen(Verifier):
    """Takes a signature that it cannot read for a problem of its own, and lets the callback in."""

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        try:
            self.claim_of(headers, body)
        except Refused:
            return
        super().verify(headers, body, now)
