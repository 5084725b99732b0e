from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant

_seen: set[tuple[str, str]] = set()


@mutant(caught_by="credited-at-most-once", under="killed-after-transaction")
class RemembersInMemory(CallbackIntake):
    """Keeps the payments that it has seen in memory: after a restart all are new."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        first = (event.payment, event.effect) not in _seen
        _seen.add((event.payment, event.effect))
        return first
