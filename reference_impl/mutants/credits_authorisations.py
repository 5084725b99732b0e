from typing import ClassVar

from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="only-real-payments-credit", under="authorised-then-failed")
class CreditsAuthorisations(CallbackIntake):
    """Takes an authorisation for the money: what was promised is credited, and stays when the promise is broken."""

    CREDITING: ClassVar[tuple[str, ...]] = ("authorised", "captured")
