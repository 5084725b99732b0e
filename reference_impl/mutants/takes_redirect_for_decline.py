from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Fate


@mutant(caught_by="told-the-truth", under="redirected-answers")
class TakesRedirectForDecline(ProviderClient):
    """Takes every answer that is no success for a no: a redirect came after the money was taken."""

    @override
    def classify(self, status: int) -> Fate:
        """What became of a request that was answered with *status*."""
        fate = super().classify(status)
        return Fate.DECLINED if fate is Fate.UNKNOWN and status < 400 else fate
