from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Outgoing, Verifier


@mutant(caught_by="only-real-payments-credit", under="rotated-secret")
class KeepsTheOldSecret(Verifier):
    """Goes on believing the secret that was rotated out, in case something still signs with it: whoever stole it does.

    Seen in public: github.com/JSONbored/metagraphed/issues/1931.
    """

    @override
    def still_accepts(self, outgoing: Outgoing, now: datetime) -> bool:
        """Whether the secret that was rotated out is still good: until its time, and not a moment longer."""
        return True
