from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.signatures import Claim, Signatures


@mutant(caught_by="access-is-kept", under="signed-and-sent-again")
class KeepsNoNonce(Signatures):
    """Verifies the signature and the date, and lets that be enough: what was overheard is good for as long as its date is.

    CWE-294, authentication bypass by capture-replay.
    """

    @override
    async def spend(self, claim: Claim) -> bool:
        """True for the first time that a rightly signed request comes. Its nonce is kept until its date is too old."""
        return True
