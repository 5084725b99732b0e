"""Signed requests, Alibaba Cloud's way: ACS3-HMAC-SHA256, verified as the cloud's gateway does it.

No callbacks: this is how a merchant may prove who asks, instead of sending a key along. What is signed is a canonical form of
the request: method, path as it is written, query (decoded, sorted, encoded again by RFC 3986), the headers named in
`SignedHeaders`, and the digest of the body. A request is good for fifteen minutes both ways, and once: its nonce is
kept for as long as its date is good (help.aliyun.com, request syntax and signature method V3).

Known quirks: clients write a space in the query as `+` and sign it as `%20`; the official Python package signs every header
that it sets, and the names of parameters without encoding them, so both forms of a name are taken.
"""

import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, quote

from fake_provider.clock import Now
from fake_provider.fields import Refused

ALGORITHM = "ACS3-HMAC-SHA256"
WINDOW = timedelta(minutes=15)
INDISPENSABLE = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce")
NONCE_LONGEST = 128
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([^,\s]+), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{{64}})"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in: path and query as they were written, header names in lower case."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes


class Gate:
    """Lets in what is signed with one of *secrets* (by access key id), now, and for the first time."""

    def __init__(self, secrets: Mapping[str, str], now: Now) -> None:
        self._secrets = secrets
        self._now = now
        self._nonces: dict[tuple[str, str], datetime] = {}

    def check(self, asked: Asked) -> str:
        """The access key id of whoever asks; `Refused` with the gateway's own code unless everything is right."""
        headers = _single(asked.headers)
        id, signed, signature = _claimed(headers)
        if id not in self._secrets:
            raise _no("InvalidAccessKeyId.NotFound", "there is no such access key id", "Authorization")
        at = self._dated(headers["x-acs-date"])
        if hashlib.sha256(asked.body).hexdigest() != headers["x-acs-content-sha256"]:
            raise _no("SignatureDoesNotMatch", "it is not the digest of this body", "x-acs-content-sha256")
        if not any(
            hmac.compare_digest(signature, signed_with(self._secrets[id], canonical(asked, signed, raw_names=raw)))
            for raw in (False, True)
        ):
            raise _no("SignatureDoesNotMatch", "the signature is not that of this request", "Authorization")
        self._spend(id, headers["x-acs-signature-nonce"], at)
        return id

    def _dated(self, date: str) -> datetime:
        try:
            at = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if _DATE.fullmatch(date) else None
        except ValueError:
            at = None
        if at is None:
            raise _no("InvalidTimeStamp.Format", "write it as 2026-01-01T00:00:00Z", "x-acs-date")
        if abs(self._now() - at) > WINDOW:
            raise _no("InvalidTimeStamp.Expired", "it is more than fifteen minutes away", "x-acs-date")
        return at

    def _spend(self, id: str, nonce: str, at: datetime) -> None:
        """Only what is rightly signed spends a nonce. It is kept until its request would be too old by its own date."""
        now = self._now()
        self._nonces = {key: until for key, until in self._nonces.items() if until >= now}
        if not 0 < len(nonce) <= NONCE_LONGEST:
            raise _no("InvalidNonce", f"give 1 to {NONCE_LONGEST} characters", "x-acs-signature-nonce")
        if (id, nonce) in self._nonces:
            raise _no(
                "SignatureNonceUsed", "draw a new one for every request, also for a retry", "x-acs-signature-nonce"
            )
        self._nonces[id, nonce] = at + WINDOW


def canonical(asked: Asked, signed: Iterable[str], *, raw_names: bool = False) -> bytes:
    """What is signed of a request. *raw_names* leaves the names of query parameters as they are."""
    pairs = sorted(parse_qsl(asked.query, keep_blank_values=True))
    query = "&".join(f"{name if raw_names else _encoded(name)}={_encoded(value)}" for name, value in pairs)
    headers = _single(asked.headers)
    names = sorted(signed)
    lines = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in names)
    digest = hashlib.sha256(asked.body).hexdigest()
    return "\n".join((asked.method, asked.path or "/", query, lines, ";".join(names), digest)).encode()


def signed_with(secret: str, canonical_request: bytes) -> str:
    """The signature of a canonical request."""
    text = f"{ALGORITHM}\n{hashlib.sha256(canonical_request).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _claimed(headers: Mapping[str, str]) -> tuple[str, list[str], str]:
    found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
    if found is None:
        message = f"send {ALGORITHM} Credential=…,SignedHeaders=…,Signature=…"
        raise _no("MissingAuthorization", message, "Authorization")
    id, names, signature = found.groups()
    signed = names.split(";")
    for name in INDISPENSABLE:
        if name not in signed or name not in headers:
            raise _no("SignatureDoesNotMatch", f"{name} must be there, and signed", name)
    return id, signed, signature


def _single(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """By name. One that is there twice could be read in two ways."""
    counted = Counter(name for name, _ in headers)
    twice = [
        name for name, count in counted.items() if count > 1 and (name.startswith("x-acs-") or name == "authorization")
    ]
    if twice:
        raise _no("SignatureDoesNotMatch", f"{twice[0]} is there more than once", twice[0])
    return {name: ",".join(sorted(value for other, value in headers if other == name)) for name in counted}


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _no(code: str, message: str, field: str) -> Refused:
    return Refused(400, code, message, field)
