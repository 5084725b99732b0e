from typing_extensions import override

from reference_impl.audit import AuditLog, log
from reference_impl.mutants import mutant


@mutant(caught_by="audit-is-complete", under="audited")
class ForgetsWhoAsked(AuditLog):
    """Says who had the books settled in the log of the program, which is thrown away after a month, and not in the audit log."""

    @override
    async def asked(self, action: str) -> None:
        """Write down what the current actor is about to set going."""
        log.info(action)
