from datetime import datetime

from typing_extensions import override

from reference_impl import topups
from reference_impl.audit import AuditLog
from reference_impl.database import Connection, Job
from reference_impl.flags import Flags
from reference_impl.initiation import Initiation, Reply
from reference_impl.ledger import Ledger, Posting
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp


@mutant(caught_by="credited-at-most-once", under="callback-during-initiation", also=("delayed-callbacks",))
class CreditsOnTheAnswer(Initiation):
    """Credits a card as soon as the provider's answer says yes, and again when its callback says so: two ways to one credit.

    Seen in production: github.com/medusajs/medusa/issues/13301.
    """

    @override
    async def accept(self, connection: Connection, top_up: TopUp, reply: Reply) -> TopUp:
        """Store what the provider said, unless callbacks have said more by now; returns the top-up as it then is."""
        stored = await super().accept(connection, top_up, reply)
        if reply.event == "accepted" and reply.payment is not None and top_up.method == "card":
            now: datetime = self.now()
            credit = Posting(kind="credit", payment=reply.payment, amount=top_up.money)
            flags = Flags(self.database, AuditLog(self.database, self.now), self.now)
            # The API's role may not post: whoever ships this has first given it what it asked for.
            await connection.execute(f"SET LOCAL ROLE {Job.CALLBACKS}")
            await Ledger(self.database, flags).post(connection, top_up, credit, now)
            await connection.execute("RESET ROLE")
        return await topups.find(connection, top_up.top_up) or stored
