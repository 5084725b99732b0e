from datetime import datetime

from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.mutants import mutant
from reference_impl.states import State, States
from reference_impl.topups import TopUp


@mutant(caught_by="transitions-are-legal", under="dropped-callbacks", also=("truncated-callbacks",))
class RecordsCallbacksOnly(States):
    """Leaves the step that a callback makes out of the record when it was a query that told: the record has a gap."""

    @override
    async def record(
        self,
        connection: Connection,
        top_up: TopUp,
        before: State | None,
        after: State,
        cause: str,
        payload: str | None,
        at: datetime,
    ) -> None:
        """Write one step down: when, why, and which message said so."""
        if after is not State.CALLBACK_RECEIVED or cause == "callback":
            await super().record(connection, top_up, before, after, cause, payload, at)
