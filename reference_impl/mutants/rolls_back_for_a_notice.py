from datetime import datetime

from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.mutants import mutant
from reference_impl.outbox import Outbox
from reference_impl.states import State
from reference_impl.statuses import status_of
from reference_impl.topups import TopUp


@mutant(caught_by="reversed-once", under="dropped-reversals")
class RollsBackForANotice(Outbox):
    """Cannot tell a customer the same word twice: the error that this raises undoes the posting that it was about.

    Seen in public: github.com/danny-avila/LibreChat/pull/13812.
    """

    @override
    async def write(self, connection: Connection, top_up: TopUp, state: State, at: datetime) -> None:
        """Have the customer told the word for *state*, if and when the caller's transaction commits."""
        await connection.execute(
            "INSERT INTO outbox (top_up, status, written_at) VALUES ($1, $2, $3)",
            top_up.top_up,
            status_of(state),
            at,
        )
