import structlog
from typing_extensions import override

from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier

log = structlog.get_logger()


@mutant(caught_by="no-secret-in-logs", under="forged-wrong-key")
class LogsWhatItRefuses(Verifier):
    """Writes the headers of a refused callback to the log, to see what was wrong with it: signatures and all."""

    @override
    def on_refusal(self, headers: Headers, body: bytes, reason: str) -> None:
        """What is kept of a callback that was refused: enough to find it again, nothing to use it with."""
        log.warning("callback refused", reason=reason, said=[f"{name!r}: {value!r}" for name, value in headers])
