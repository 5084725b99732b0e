"""PayPal: RSA-SHA256 over the id and the time of the transmission, the webhook's id, and a checksum of the body: its CRC-32.

A key of this dialect is three words joined by colons: the webhook's id, the RSA key, and a certificate of it. The receiver's has
no RSA key. `paypal-cert-url` says where the certificate is to be had; nobody is there, a receiver gets it with its key. The
certificate is its own root. While certificates are replaced, the address of another one comes with the message. Amounts are
decimals.

Known quirks: a checksum is no digest, so another body can be made to fit (`crc-collision`); the package for Python fetches from
whatever address the message names, looks at no time, takes SHA-1 where the message says so, and with a pyOpenSSL of 2024 or
later refuses everything. PayPal goes on up to twenty-five times within three days; the intervals are ours.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Answer, Forgery, Forging, NothingGenuine, Notice, Wire
from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects._forging import cross_account, cross_provider, dated, keyed, rightly
from fake_provider.dialects._money import decimal
from fake_provider.dialects._shared_key import all_of, compact, told, under_id_of
from fake_provider.dialects._spelling import misspelt_raw
from fake_provider.news import News

COMMON_NAME = "messageverificationcerts.paypal.com"
CERTIFICATES = "https://api.paypal.invalid/v1/notifications/certs"
RSA_SHA256 = b"SHA256withRSA"
DELAYS = (timedelta(0), *[timedelta(hours=3)] * 24)
PAD = 96  # characters of which each may be one of two: far more than the 32 bits of a checksum

EVENTS = {
    News.PENDING: "PAYMENT.CAPTURE.PENDING",
    News.AUTHORISED: "PAYMENT.AUTHORIZATION.CREATED",
    News.CAPTURED: "PAYMENT.CAPTURE.COMPLETED",
    News.FAILED: "PAYMENT.CAPTURE.DENIED",
    News.REFUNDED: "PAYMENT.CAPTURE.REFUNDED",
    News.DISPUTED: "CUSTOMER.DISPUTE.CREATED",
    News.WON: "CUSTOMER.DISPUTE.RESOLVED",
    News.LOST: "CUSTOMER.DISPUTE.RESOLVED",
}
STATUSES = {
    News.PENDING: "PENDING",
    News.AUTHORISED: "CREATED",
    News.CAPTURED: "COMPLETED",
    News.FAILED: "DECLINED",
    News.REFUNDED: "COMPLETED",
}
OUTCOMES = {News.WON: "RESOLVED_SELLER_FAVOUR", News.LOST: "RESOLVED_BUYER_FAVOUR"}


@dataclass(frozen=True, slots=True)
class Key:
    webhook: str
    signing: RSAPrivateKey
    certificate: str

    @property
    def address(self) -> str:
        """Where the certificate is said to be."""
        return f"{CERTIFICATES}/CERT-{hashlib.sha256(self.certificate.encode()).hexdigest()[:24]}"


class PayPal:
    name = "paypal"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        signing = rsa.draw()
        return f"WH-{rng.getrandbits(64):016X}:{signing}:{_certificate(rsa.read(signing))}"

    def check_key(self, key: str) -> None:
        self.raw(key)

    def receiver_key(self, key: str) -> str:
        raw = self.raw(key)
        return f"{raw.webhook}:{raw.certificate}"

    def raw(self, key: str) -> Key:
        parts = key.split(":")
        if len(parts) != 3 or not parts[0] or not parts[2]:
            raise ValueError("a key of this dialect is WEBHOOK-ID:RSA-KEY:CERTIFICATE")
        return Key(parts[0], rsa.read(parts[1]), parts[2])

    def encode(self, notice: Notice, event_id: str) -> Wire:
        kind = "dispute" if notice.dispute else "refund" if notice.refund else "capture"
        body = {
            "id": event_id,
            "event_version": "1.0",
            "create_time": iso(notice.at),
            "resource_type": kind,
            "event_type": EVENTS[notice.type],
            "summary": EVENTS[notice.type].lower(),
            "resource": _dispute(notice) if notice.dispute else _payment(notice),
        }
        return Wire((("content-type", b"application/json"),), compact(body))

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        return self.seal(wire, [self.raw(key) for key in keys], at)

    def seal(self, wire: Wire, keys: Sequence[Key], at: datetime) -> Wire:
        return _signed(wire, keys[0], at)

    def strip(self, wire: Wire) -> Wire:
        return wire.with_headers(paypal_transmission_sig=None)

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        return Wire(genuine.headers, under_id_of(genuine, wire, "id"), wire.url)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        value = (wire.header("paypal-transmission-sig") or b"").decode("latin-1")
        return (value,) if value else ()

    def dedup_key(self, wire: Wire) -> str:
        return told(wire, "id")

    def is_ack(self, answer: Answer) -> bool:
        return answer.status is not None and 200 <= answer.status < 300

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


def _money(notice: Notice) -> dict[str, str]:
    return {"currency_code": notice.currency, "value": decimal(notice.amount_minor, notice.currency)}


def _payment(notice: Notice) -> dict[str, Any]:
    """A capture, or a refund of one."""
    captured = {"capture_id": notice.payment} if notice.refund else {}
    return {
        "id": notice.refund or notice.payment,
        "amount": _money(notice),
        "custom_id": urlencode({"account": notice.account, "environment": notice.environment}),
        "invoice_id": notice.reference,
        "payee": {"merchant_id": notice.merchant},
        "status": STATUSES[notice.type],
        **captured,
    }


def _dispute(notice: Notice) -> dict[str, Any]:
    transaction = {"seller_transaction_id": notice.payment, "invoice_number": notice.reference}
    outcome = {"dispute_outcome": {"outcome_code": OUTCOMES[notice.type]}} if notice.type in OUTCOMES else {}
    return {
        "dispute_id": notice.dispute,
        "disputed_transactions": [transaction | {"seller": {"merchant_id": notice.merchant}}],
        "dispute_amount": _money(notice),
        "status": "RESOLVED" if outcome else "OPEN",
        **outcome,
    }


def _certificate(key: RSAPrivateKey) -> str:
    from cryptography import x509  # only new keys need it, and start-up time is dear
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, COMMON_NAME)])
    builder = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2050, 1, 1, tzinfo=UTC))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    )
    return base64.b64encode(builder.sign(key, SHA256()).public_bytes(Encoding.DER)).decode()


def signed_text(wire: Wire, webhook: str) -> bytes:
    """What a signature covers: of the body, nothing but its checksum."""
    id, time = wire.header("paypal-transmission-id") or b"", wire.header("paypal-transmission-time") or b""
    return b"|".join((id, time, webhook.encode(), b"%d" % zlib.crc32(wire.body)))


def _signed(
    wire: Wire, key: Key, at: datetime, digest: HashAlgorithm | None = None, algorithm: bytes = RSA_SHA256
) -> Wire:
    stamp = iso(at.replace(microsecond=0)).encode()
    dated = wire.with_headers(
        paypal_transmission_id=hashlib.sha256(stamp + wire.body).hexdigest()[:32].encode(),
        paypal_transmission_time=stamp,
        paypal_cert_url=key.address.encode(),
        paypal_auth_algo=algorithm,
    )
    signature = rsa.sign(key.signing, signed_text(dated, key.webhook), digest or SHA256())
    return dated.with_headers(paypal_transmission_sig=signature)


PAYPAL = PayPal()


def _key(forging: Forging) -> Key:
    return PAYPAL.raw(forging.keys[0])


def crc_collision(forging: Forging) -> Wire:
    """Another body under all the headers of a genuine callback, padded until its checksum is the same: nothing else of it was
    signed.
    """
    if forging.genuine is None:
        raise NothingGenuine("no callback has been acknowledged yet, so there is no genuine checksum to meet")
    body = json.loads(under_id_of(forging.genuine, forging.wire, "id"))
    padded = compact(body | {"pad": "p" * PAD})
    return Wire(forging.genuine.headers, colliding(padded, zlib.crc32(forging.genuine.body)), forging.wire.url)


def colliding(padded: bytes, checksum: int) -> bytes:
    """*padded* with some of its last `PAD` letters `p` turned into `q`, so that this is its CRC-32.

    The checksum is linear: turning a letter changes it by a number of that letter's own. Which of these numbers add up to
    what is wanted is found as one solves equations.
    """
    start = len(padded) - PAD - len(b'"}')
    basis: dict[int, tuple[int, int]] = {}  # by the highest bit: a change of the checksum, and the letters that make it
    for place in range(PAD):
        turned = bytearray(padded)
        turned[start + place] ^= 1
        change, letters = _reduced(zlib.crc32(turned) ^ zlib.crc32(padded), 1 << place, basis)
        if change:
            basis[change.bit_length()] = (change, letters)
    left, letters = _reduced(zlib.crc32(padded) ^ checksum, 0, basis)
    assert not left, "so many letters reach every checksum"
    return bytes(byte ^ (start <= at < start + PAD and letters >> (at - start) & 1) for at, byte in enumerate(padded))


def _reduced(change: int, letters: int, basis: Mapping[int, tuple[int, int]]) -> tuple[int, int]:
    """What is left of a change after all that the *basis* can do about it, and the letters that were turned for it."""
    for bit in range(32, 0, -1):
        if change.bit_length() == bit and bit in basis:
            change, letters = change ^ basis[bit][0], letters ^ basis[bit][1]
    return change, letters


def own_certificate(forging: Forging) -> Wire:
    """Signed with a stranger's key, whose certificate is where the stranger says: whoever fetches it verifies the stranger with
    the stranger's own word, and has sent a request wherever he was told to.
    """
    stranger = PAYPAL.raw(PAYPAL.draw_key(forging.rng))
    mixed = Key(_key(forging).webhook, stranger.signing, stranger.certificate)
    address = mixed.address.replace("api.paypal.invalid", "mallory.invalid")
    return _signed(forging.wire, mixed, forging.at).with_headers(paypal_cert_url=address.encode())


def other_subscription(forging: Forging) -> Wire:
    """Rightly signed, for another webhook of the same merchant: authentic, and not meant for this door."""
    key = _key(forging)
    return _signed(forging.wire, replace(key, webhook=f"{key.webhook}2"), forging.at)


def downgraded_algorithm(forging: Forging) -> Wire:
    """Signed by the right key with SHA-1, and saying so: which algorithm is used is not the sender's choice."""
    return _signed(forging.wire, _key(forging), forging.at, SHA1(), b"SHA1withRSA")  # noqa: S303


def malformed_signature(forging: Forging) -> Wire:
    """A signature that is neither base64 nor ASCII. To be refused, never to crash."""
    return rightly(PAYPAL, forging).with_headers(paypal_transmission_sig=b"\xe9\xff=!")


FORGERIES = all_of(
    keyed(PAYPAL),
    dated(PAYPAL),
    misspelt_raw(PAYPAL),
    {
        "crc-collision": Forgery(forge=crc_collision, plays=("B-07",), cwe=328),
        "own-certificate": Forgery(forge=own_certificate, plays=("B-06",), cwe=295),
        "other-subscription": Forgery(forge=other_subscription, plays=("B-05",), cwe=347),
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(PAYPAL),
    },
)

DIALECTS.add(PayPal.name, PAYPAL)
