import json
from contextlib import suppress
from datetime import datetime

from typing_extensions import override

from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="settles-in-time", under="reformatted-callbacks")
class VerifiesWhatItWrites(Verifier):
    """Verifies the document as it would write it, and not the bytes that came: it refuses who writes otherwise.

    Seen in public: github.com/getsentry/sentry/issues/71025.
    """

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        with suppress(ValueError, RecursionError):
            body = json.dumps(json.loads(body), separators=(",", ":"), ensure_ascii=False).encode()
        super().verify(headers, body, now)
