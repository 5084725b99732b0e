from datetime import datetime

from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Outgoing, Verifier


@mutant(caught_by="rotation-refuses-nobody", under="rotated-secret")
class DropsTheOldSecret(Verifier):
    """Knows one secret at a time: as soon as it has the new one, all that the provider still signs with the old is refused.

    Seen in public: github.com/liwala/ay-framework/issues/407.
    """

    @override
    def still_accepts(self, outgoing: Outgoing, now: datetime) -> bool:
        """Whether the secret that was rotated out is still good: until its time, and not a moment longer."""
        return False
