from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="only-real-payments-credit", under="forged-wrong-key")
class AcceptsAnySignature(Verifier):
    """Finds that the signature looks right, and does not compute it."""

    @override
    def matches(self, signature: bytes, signed: bytes, now: datetime) -> bool:
        """Whether one of our keys makes *signature*; takes as long whatever the answer is."""
        return len(signature) >= 32
