from datetime import datetime

import structlog
from typing_extensions import override

from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier

log = structlog.get_logger()


@mutant(caught_by="only-real-payments-credit", under="forged-malformed-signature")
class BelievesWhatItCannotVerify(Verifier):
    """Takes an accident while verifying for its own fault, and lets the callback through rather than lose it."""

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        try:
            said = [(name, value.decode("ascii").encode()) for name, value in headers]
        except UnicodeDecodeError:
            log.error("callback not verified: a header cannot be read")
            return
        super().verify(said, body, now)
