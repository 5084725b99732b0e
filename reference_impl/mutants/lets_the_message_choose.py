import base64
import hmac
from datetime import datetime

from typing_extensions import override

from reference_impl.answers import Refused
from reference_impl.dialects import Headers
from reference_impl.mutants import mutant
from reference_impl.verifier import Verifier


@mutant(caught_by="only-real-payments-credit", under="forged-downgraded-algorithm")
class LetsTheMessageChoose(Verifier):
    """Takes the algorithm from the signature's own version, so that nothing old breaks: SHA-1 is good enough for who says so.

    Seen in public: github.com/alipay/alipay-sdk-nodejs-all/issues/17.
    """

    @override
    def verify(self, headers: Headers, body: bytes, now: datetime) -> None:
        """Raises `Refused`, and nothing else, unless the callback is authentic and fresh."""
        said = dict(headers)
        version, _, signature = said.get(b"webhook-signature", b"").partition(b",")
        if version != b"v0":
            super().verify(headers, body, now)
            return
        signed = b".".join((said.get(b"webhook-id", b""), said.get(b"webhook-timestamp", b""), body))
        digests = [base64.b64encode(hmac.digest(key, signed, "sha1")) for key in self.keys(now)]
        if not any(hmac.compare_digest(signature, digest) for digest in digests):
            raise Refused("no signature fits")
