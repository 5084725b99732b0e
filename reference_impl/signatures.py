"""Signed requests, instead of a key that is sent along: Alibaba Cloud's ACS3-HMAC-SHA256.

Source: Alibaba Cloud documentation, "Request syntax and signature method V3": a canonical form of the request (method, path as it
is written, query sorted and encoded by RFC 3986, the headers named in `SignedHeaders`, the digest of the body) is digested, and
the digest is signed. Whoever listens on the way learns nothing that would let them ask for something else, or for the same again.

What verifies an HMAC also makes one, so its secret cannot be kept as a digest like a key's. Therefore none is kept: the secret
of each key is derived from `SIGNING_SECRET` and the key's name (by HMAC, as RFC 5869 expands one secret to many), and that one is
in the environment of the service and nowhere in its database. Who reads the database can sign nothing; revoking the key, which
is there, is the end of its signature too. Whoever has `SIGNING_SECRET` signs as everybody: keep it as the callback secret is kept.
"""

import base64
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar
from urllib.parse import parse_qsl, quote

from reference_impl.database import Database

ALGORITHM = "ACS3-HMAC-SHA256"
SECRET_CHARACTERS_MIN = 32
NONCE_CHARACTERS_MAX = 128
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=([a-z0-9]{{1,32}}), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([0-9a-f]{{64}})"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


class BadSignature(Exception):
    """A signed request that is not taken; the message says what is wrong with it, and `at` where."""

    def __init__(self, message: str, at: str = "Authorization") -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request as it came in: path and query as they were written, header names in lower case, the body's own bytes."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes = b""

    @property
    def authorization(self) -> str:
        return next((value for name, value in self.headers if name == "authorization"), "")

    @property
    def is_signed(self) -> bool:
        return self.authorization.startswith(ALGORITHM)


@dataclass(frozen=True, slots=True)
class Claim:
    """What a signed request says of itself. `key` is the name of the key that it claims to be signed by."""

    key: str
    signed: tuple[str, ...]
    signature: str
    headers: Mapping[str, str]
    at: datetime

    @property
    def nonce(self) -> str:
        return self.headers["x-acs-signature-nonce"]


class Signatures:
    """Verifies signed requests: of the secrets there are, within the window, and once."""

    WINDOW: ClassVar[timedelta] = timedelta(minutes=15)
    """How far the clocks may be apart, both ways."""
    INDISPENSABLE: ClassVar[tuple[str, ...]] = ("host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256")
    MEANT: ClassVar[tuple[str, ...]] = ("content-type", "idempotency-key", "x-customer")
    """Headers that say what is asked for: signed where they are there, or somebody on the way could put in others."""

    def __init__(self, database: Database, now: Callable[[], datetime], secrets: Sequence[str]) -> None:
        self.database = database
        self.now = now
        self.secrets = secrets

    def claimed(self, asked: Asked) -> Claim:
        """What the request says of itself. Raises `BadSignature` where it says too little, or could be read in two ways."""
        counted = Counter(name for name, _ in asked.headers)
        headers = {name: value.strip() for name, value in asked.headers}
        found = _AUTHORIZATION.fullmatch(headers.get("authorization", ""))
        if found is None:
            raise BadSignature(f"Send {ALGORITHM} Credential=…,SignedHeaders=…,Signature=….")
        key, names, signature = found.groups()
        signed = tuple(names.split(";"))
        for name in self.INDISPENSABLE:
            if name not in headers:
                raise BadSignature(f"Send {name}, and sign it.", name)
        for name in self.to_be_signed(headers):
            if name not in signed:
                raise BadSignature(f"Sign {name}: it is there.", name)
        for name in (*signed, "authorization"):
            if counted[name] != 1:
                raise BadSignature(f"Send {name} once.", name)
        if list(signed) != sorted(set(signed)):
            raise BadSignature("Name each signed header once, in order.")
        return Claim(key, signed, signature, headers, _dated(headers["x-acs-date"]))

    def to_be_signed(self, headers: Mapping[str, str]) -> list[str]:
        """The headers of a request that must be among the signed ones."""
        return [name for name in headers if name.startswith("x-acs-") or name in (*self.INDISPENSABLE, *self.MEANT)]

    def verify(self, claim: Claim, asked: Asked) -> None:
        """Raises `BadSignature` unless the request is what was signed, by one of our secrets, and lately."""
        if not self.is_timely(claim.at):
            minutes = self.WINDOW // timedelta(minutes=1)
            raise BadSignature(f"This was signed more than {minutes} minutes away from now.", "x-acs-date")
        digest = hashlib.sha256(asked.body).hexdigest()
        if not hmac.compare_digest(claim.headers["x-acs-content-sha256"].encode(), digest.encode()):
            raise BadSignature("It is not the digest of this body.", "x-acs-content-sha256")
        text = canonical(asked, claim.signed, claim.headers)
        rights = [signed_with(derived(secret, claim.key), text) for secret in self.secrets]
        if sum(hmac.compare_digest(claim.signature, right) for right in rights) == 0:
            raise BadSignature("The signature is not this request's.")

    def is_timely(self, at: datetime) -> bool:
        """Whether it was signed within the window: neither before it nor after it."""
        return abs(self.now() - at) <= self.WINDOW

    async def spend(self, claim: Claim) -> bool:
        """True for the first time that a rightly signed request comes. Its nonce is kept until its date is too old."""
        if not 0 < len(claim.nonce) <= NONCE_CHARACTERS_MAX:
            raise BadSignature(f"Give a nonce of 1 to {NONCE_CHARACTERS_MAX} characters.", "x-acs-signature-nonce")
        async with self.database.connection() as connection:
            return bool(
                await connection.fetchval(
                    """WITH over AS (DELETE FROM nonces WHERE until < $4)
                       INSERT INTO nonces (key, nonce, until) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true""",
                    claim.key,
                    claim.nonce,
                    claim.at + self.WINDOW,
                    self.now(),
                )
            )


def secrets_in(written: str) -> tuple[str, ...]:
    """The secrets in `SIGNING_SECRET`, separated by spaces while they are being rotated. Raises `ValueError` for a short one."""
    secrets = tuple(written.split())
    if any(len(secret) < SECRET_CHARACTERS_MIN for secret in secrets):
        raise ValueError(f"SIGNING_SECRET needs at least {SECRET_CHARACTERS_MIN} random characters")
    return secrets


def derived(secret: str, key: str) -> str:
    """The secret with which the holder of that key signs: 256 bits, as text that is safe in a URL."""
    digest = hmac.digest(secret.encode(), f"{ALGORITHM} {key}".encode(), "sha256")
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def canonical(asked: Asked, signed: Sequence[str], headers: Mapping[str, str]) -> bytes:
    """What is signed of a request."""
    try:
        pairs = sorted(parse_qsl(asked.query, keep_blank_values=True, errors="strict"))
    except UnicodeDecodeError:
        raise BadSignature("Write the query in UTF-8.", "query") from None
    query = "&".join(f"{_encoded(name)}={_encoded(value)}" for name, value in pairs)
    lines = "".join(f"{name}:{headers[name]}\n" for name in signed)
    digest = headers["x-acs-content-sha256"]
    return "\n".join((asked.method, asked.path or "/", query, lines, ";".join(signed), digest)).encode()


def signed_with(secret: str, canonical_request: bytes) -> str:
    """The signature of a canonical request."""
    text = f"{ALGORITHM}\n{hashlib.sha256(canonical_request).hexdigest()}"
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def _dated(date: str) -> datetime:
    try:
        at = datetime.strptime(date, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC) if _DATE.fullmatch(date) else None
    except ValueError:
        at = None
    if at is None:
        raise BadSignature("Write it as 2026-01-01T00:00:00Z.", "x-acs-date")
    return at


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")
