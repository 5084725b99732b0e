from datetime import datetime

from typing_extensions import override

from reference_impl.answers import Refused
from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier

_good: set[tuple[bytes, bytes]] = set()


@mutant(caught_by="hostile-input-is-refused", under="forged-fresh-timestamp")
class ForgetsThatTheTimeIsSigned(Verifier):
    """Knows a signature again that was found good over the same body, whatever time stands beside it now: what was overheard
    once stays fresh for ever.

    Seen in public: github.com/Agent-Field/agentfield/pull/717.
    """

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        claim = self.claim_of(headers, body)
        if not self.within_tolerance(claim.at, now):
            raise Refused("the timestamp is too far from now")
        signed = {(signature, body) for signature in claim.signatures}
        if not signed & _good and not any(self.matches(each, claim.signed, now) for each in claim.signatures):
            raise Refused("no signature fits")
        _good.update(signed)
