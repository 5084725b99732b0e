import json
from datetime import UTC

from typing_extensions import override

from reference_impl.audit import AuditLog, Record
from reference_impl.mutants import mutant


@mutant(caught_by="tampering-is-found", under="audit-rewritten")
class ChainsWithoutTheActor(AuditLog):
    """Chains what was done, when and to what, and forgets by whom: another name can be put in, and every line still fits."""

    @override
    @classmethod
    def canonical(cls, record: Record) -> str:
        """The same text for the same record, whoever reads it and in whatever time zone: JSON, in this order."""
        at = record.at.astimezone(UTC).isoformat(timespec="microseconds")
        return json.dumps(
            [record.record, at, record.tenant, record.action, record.subject, record.detail, record.correlation]
        )
