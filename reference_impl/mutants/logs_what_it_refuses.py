import sys

from typing_extensions import override

from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="no-secret-in-logs", under="forged-wrong-key")
class LogsWhatItRefuses(Verifier):
    """Still has the line from the day when signatures did not fit: it writes headers past the logger that would redact them."""

    @override
    def on_refusal(self, headers: Headers, body: bytes, reason: str) -> None:
        """What is kept of a callback that was refused: enough to find it again, nothing to use it with."""
        sys.stderr.write(f"callback refused: {reason}: {headers}\n")
        sys.stderr.flush()
