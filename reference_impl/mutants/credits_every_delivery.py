from typing_extensions import override

from reference_impl.callbacks import CallbackIntake
from reference_impl.database import Connection
from reference_impl.events import Event
from reference_impl.mutants import mutant


@mutant(
    caught_by="credited-at-most-once",
    under="duplicate-callbacks",
    also=(
        "replayed-bytes",
        "never-acknowledged",
        "commit-answer-lost",
        "acknowledged-too-late",
        "retried-after-acknowledged",
    ),
)
class CreditsEveryDelivery(CallbackIntake):
    """Takes each delivery for a new payment: one redelivery, and the customer is paid twice."""

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        """True for the first time that this effect of this payment is seen, under whatever delivery id."""
        return True
