from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="credited-at-most-once", under="two-event-types")
class CreditsEachEventType(CallbackIntake):
    """Credits on every kind of event that tells of success: two kinds for one payment, and it is credited twice."""

    CREDITING: ClassVar[tuple[str, ...]] = ("captured", "settled")
