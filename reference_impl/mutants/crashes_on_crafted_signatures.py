from typing_extensions import override

from reference_impl.mutants import mutant
from reference_impl.verifier import Headers, Signature, Verifier, delivery_id, only


@mutant(caught_by="hostile-input-is-refused", under="forged-malformed-signature")
class CrashesOnCraftedSignatures(Verifier):
    """Takes every signature header for a well-formed one: a crafted one raises, and is answered 500.

    Seen in public: github.com/mishrasanjeev/grantex/issues/892.
    """

    @override
    def signature_of(self, headers: Headers) -> Signature:
        """The claim in the headers; `Refused` when any part is missing, doubled or malformed."""
        good = super().signature_of
        for token in only(headers, b"webhook-signature").decode("ascii").split(" "):
            _version, _digest = token.split(",")
        return good(headers) if delivery_id(headers) else Signature("", "", ())
