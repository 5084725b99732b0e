from datetime import datetime

from typing_extensions import override

from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="only-real-payments-credit", under="forged-unsigned")
class TrustsUnsignedCallbacks(Verifier):
    """Verifies a signature where there is one: who leaves the header out is believed.

    Seen in public: CVE-2026-0656.
    """

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        if any(name.endswith(b"-signature") for name, _ in headers):
            super().verify(headers, body, now)
