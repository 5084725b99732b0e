"""The audit log, sealed and verified by the clock, so that the metrics say how it is."""

from collections.abc import Callable
from datetime import datetime

import structlog

from reference_impl.audit import AuditLog
from reference_impl.database import EVERYBODY, acting_for
from reference_impl.metrics import Metrics

log = structlog.get_logger()


class AuditWatch:
    """Says in the metrics when all was last sealed, and whether the chain is whole. What fails says nothing new."""

    def __init__(self, audit: AuditLog, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self.audit = audit
        self.metrics = metrics
        self.now = now

    async def seal(self) -> None:
        """Chain what is committed and not sealed yet."""
        await self.audit.seal()
        self.metrics.gauge("topup_audit_sealed_at_seconds", self.now().timestamp())

    async def verify(self) -> None:
        """Verify the whole chain, of all tenants. It takes as long as the log is long, and nobody waits for it."""
        with acting_for(EVERYBODY):
            async with self.audit.database.connection() as connection:
                verified = await self.audit.verified(connection)
        self.metrics.gauge("topup_audit_sound", verified.sound)
        if not verified.sound:
            log.error("audit broken", says=verified.as_text())
