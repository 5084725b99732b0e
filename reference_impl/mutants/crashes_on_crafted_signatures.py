from typing_extensions import override

from reference_impl.dialects import Claim, Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="hostile-input-is-refused", under="forged-malformed-signature")
class CrashesOnCraftedSignatures(Verifier):
    """Takes every signature header for text: a crafted one raises, and is answered 500.

    Seen in public: github.com/mishrasanjeev/grantex/issues/892.
    """

    @override
    def claim_of(self, headers: Headers, body: bytes) -> Claim:
        """What the message says about itself; `Refused` when any part is missing, doubled or malformed."""
        for name, value in headers:
            if name.endswith(b"-signature"):
                value.decode("ascii")
        return super().claim_of(headers, body)
