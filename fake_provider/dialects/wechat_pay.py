"""WeChat Pay, API v3: RSA over time, nonce and raw body; what it is about stands in the body, sealed with AES-256-GCM.

A key of this dialect is three words joined by colons: the public key's id, the RSA key, and the 32 characters of the
APIv3 key that seals the resource. The receiver's has the public half in the middle. `Wechatpay-Serial` says which key
signed; while keys are replaced, several are known to the receiver. Amounts are whole minor units (fen).

Known quirks: the provider sends callbacks with wrong signatures on purpose, to see whether anybody looks (`signature-probe`);
the packages for Python and Node bound no time; one Node package never checks the seal's tag. Only success and refunds are
told; a failure is learnt by asking. The schedule is the documented one, fifteen more attempts within a day.
"""

import base64
import hashlib
import json
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1, SHA256, HashAlgorithm

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Answer, Forgery, Forging, Notice, Wire
from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects._forging import cross_account, cross_provider, dated, keyed, rightly
from fake_provider.dialects._shared_key import all_of, compact, seconds, told, under_id_of
from fake_provider.dialects._spelling import misspelt
from fake_provider.news import News

CONTENT_KEY = 32
RSA_SHA256 = b"WECHATPAY2-SHA256-RSA2048"
_S, _M, _H = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1)
DELAYS = (
    *(timedelta(0), 15 * _S, 15 * _S, 30 * _S),
    *(3 * _M, 10 * _M, 20 * _M, 30 * _M, 30 * _M, 30 * _M, 60 * _M),
    *(3 * _H, 3 * _H, 3 * _H, 6 * _H, 6 * _H),
)

EVENTS = {News.CAPTURED: "TRANSACTION.SUCCESS", News.REFUNDED: "REFUND.SUCCESS"}


@dataclass(frozen=True, slots=True)
class Key:
    name: str
    signing: RSAPrivateKey
    content: bytes


class WeChatPay:
    name = "wechat-pay"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        name = f"PUB_KEY_ID_{rng.getrandbits(64):020}"
        content = "".join(rng.choices(string.ascii_letters + string.digits, k=CONTENT_KEY))
        return f"{name}:{rsa.draw()}:{content}"

    def check_key(self, key: str) -> None:
        self.raw(key)

    def receiver_key(self, key: str) -> str:
        raw = self.raw(key)
        return f"{raw.name}:{rsa.public(raw.signing)}:{raw.content.decode()}"

    def raw(self, key: str) -> Key:
        parts = key.split(":")
        if len(parts) != 3 or not parts[0] or len(parts[2].encode()) != CONTENT_KEY:
            raise ValueError(f"a key of this dialect is ID:RSA-KEY:APIV3-KEY, the last of {CONTENT_KEY} characters")
        return Key(parts[0], rsa.read(parts[1]), parts[2].encode())

    def encode(self, notice: Notice, event_id: str) -> Wire:
        """The resource is still legible: it is sealed when the message is signed, for only then the key is there."""
        body = {
            "id": event_id,
            "create_time": iso(notice.at),
            "resource_type": "encrypt-resource",
            "event_type": EVENTS[notice.type],
            "summary": EVENTS[notice.type].lower(),
            "resource": _refund(notice) if notice.refund else _transaction(notice),
        }
        return Wire((("content-type", b"application/json"),), compact(body))

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        return self.seal(wire, [self.raw(key) for key in keys], at)

    def seal(self, wire: Wire, keys: Sequence[Key], at: datetime) -> Wire:
        return self.stamped(wire, keys, seconds(at))

    def stamped(self, wire: Wire, keys: Sequence[Key], stamp: bytes) -> Wire:
        return _signed(_sealed(wire, keys[0].content, stamp), keys[0], stamp)

    def strip(self, wire: Wire) -> Wire:
        return wire.with_headers(wechatpay_signature=None)

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        """Under an APIv3 key of the forger's own, for the real one is not on the wire."""
        known = replace(wire, body=under_id_of(genuine, wire, "id"))
        return Wire(genuine.headers, _sealed(known, b"?" * CONTENT_KEY, b"").body, wire.url)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        value = (wire.header("wechatpay-signature") or b"").decode("latin-1")
        return (value,) if value else ()

    def dedup_key(self, wire: Wire) -> str:
        return told(wire, "id")

    def is_ack(self, answer: Answer) -> bool:
        return answer.status in (200, 204)

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


def _transaction(notice: Notice) -> dict[str, Any]:
    return _common(notice) | {
        "appid": f"wx-{notice.merchant}",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "success_time": iso(notice.at),
        "attach": urlencode({"account": notice.account, "environment": notice.environment}),
        "amount": {"total": notice.amount_minor, "payer_total": notice.amount_minor, "currency": notice.currency},
    }


def _refund(notice: Notice) -> dict[str, Any]:
    return _common(notice) | {
        "out_refund_no": notice.refund,
        "refund_id": notice.refund,
        "refund_status": "SUCCESS",
        "success_time": iso(notice.at),
        "amount": {"total": notice.captured_minor, "refund": notice.amount_minor, "currency": notice.currency},
    }


def _common(notice: Notice) -> dict[str, Any]:
    return {"mchid": notice.merchant, "out_trade_no": notice.reference, "transaction_id": notice.payment}


def _sealed(wire: Wire, content_key: bytes, stamp: bytes) -> Wire:
    """The same message with its resource sealed; the same again for the same time."""
    body = json.loads(wire.body)
    plain = compact(body["resource"])
    nonce = hashlib.sha256(plain + stamp).hexdigest()[:12]
    about = "refund" if "refund_id" in body["resource"] else "transaction"
    ciphertext = AESGCM(content_key).encrypt(nonce.encode(), plain, about.encode())
    body["resource"] = {
        "algorithm": "AEAD_AES_256_GCM",
        "original_type": about,
        "ciphertext": base64.b64encode(ciphertext).decode(),
        "nonce": nonce,
        "associated_data": about,
    }
    return replace(wire, body=compact(body))


def _signed(wire: Wire, key: Key, stamp: bytes, digest: HashAlgorithm | None = None, kind: bytes = RSA_SHA256) -> Wire:
    nonce = hashlib.sha256(stamp + wire.body).hexdigest()[:32].encode()
    content = b"".join(part + b"\n" for part in (stamp, nonce, wire.body))
    return wire.with_headers(
        wechatpay_timestamp=stamp,
        wechatpay_nonce=nonce,
        wechatpay_serial=key.name.encode(),
        wechatpay_signature_type=kind,
        wechatpay_signature=rsa.sign(key.signing, content, digest or SHA256()),
    )


WECHAT_PAY = WeChatPay()


def _key(forging: Forging) -> Key:
    return WECHAT_PAY.raw(forging.keys[0])


def signature_probe(forging: Forging) -> Wire:
    """What the provider itself sends now and then, to see whether anybody looks: a signature that is none."""
    right = rightly(WECHAT_PAY, forging)
    return right.with_headers(wechatpay_signature=b"WECHATPAY/SIGNTEST/" + base64.b64encode(forging.rng.randbytes(200)))


def malformed_signature(forging: Forging) -> Wire:
    """A signature that is neither base64 nor ASCII. To be refused, never to crash."""
    return rightly(WECHAT_PAY, forging).with_headers(wechatpay_signature=b"\xe9\xff=!")


def flipped_ciphertext(forging: Forging) -> Wire:
    """The first digit of the sealed amount is another, and the signature is right: only the seal's tag can tell."""
    key, stamp = _key(forging), seconds(forging.at)
    body = json.loads(_sealed(forging.wire, key.content, stamp).body)
    ciphertext = bytearray(base64.b64decode(body["resource"]["ciphertext"]))
    plain = compact(json.loads(forging.wire.body)["resource"])
    first_digit = plain.index(b'"total":') + len(b'"total":')
    ciphertext[first_digit] ^= plain[first_digit] ^ ord("9")
    body["resource"]["ciphertext"] = base64.b64encode(bytes(ciphertext)).decode()
    return _signed(replace(forging.wire, body=compact(body)), key, stamp)


def other_content_key(forging: Forging) -> Wire:
    """Rightly signed, and sealed with another APIv3 key: it cannot be opened, and must not be half believed."""
    sealed = _sealed(forging.wire, b"!" * CONTENT_KEY, seconds(forging.at))
    return _signed(sealed, _key(forging), seconds(forging.at))


def downgraded_algorithm(forging: Forging) -> Wire:
    """Signed by the right key with SHA-1, and saying so: which algorithm is used is not the sender's choice."""
    key, stamp = _key(forging), seconds(forging.at)
    sealed = _sealed(forging.wire, key.content, stamp)
    return _signed(sealed, key, stamp, SHA1(), b"WECHATPAY2-SHA1-RSA2048")  # noqa: S303


def millisecond_timestamp(forging: Forging) -> Wire:
    """The right key and the right moment in milliseconds: taken for seconds, it is fifty thousand years away."""
    return WECHAT_PAY.stamped(forging.wire, [_key(forging)], seconds(forging.at) + b"000")


def named_wrong_key(forging: Forging) -> Wire:
    """Signed with a stranger's key under the name of the right one: the serial proves nothing."""
    stranger = WECHAT_PAY.raw(WECHAT_PAY.draw_key(forging.rng))
    mixed = Key(_key(forging).name, stranger.signing, _key(forging).content)
    return WECHAT_PAY.seal(forging.wire, [mixed], forging.at)


def _ready(forging: Forging, notice: Notice) -> Wire:
    wire = replace(WECHAT_PAY.encode(notice, forging.event_id), url=forging.wire.url)
    return _sealed(wire, _key(forging).content, seconds(forging.at))


FORGERIES = all_of(
    keyed(WECHAT_PAY),
    misspelt(_ready, lambda forging, wire: _signed(wire, _key(forging), seconds(forging.at))),
    dated(WECHAT_PAY),
    {
        "signature-probe": Forgery(forge=signature_probe, plays=("B-55",), cwe=347),
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "flipped-ciphertext": Forgery(forge=flipped_ciphertext, plays=("B-47",), cwe=354),
        "other-content-key": Forgery(forge=other_content_key, plays=("B-05",), cwe=347),
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "millisecond-timestamp": Forgery(forge=millisecond_timestamp, plays=("B-13",), cwe=20),
        "named-wrong-key": Forgery(forge=named_wrong_key, plays=("B-06",), cwe=295),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(WECHAT_PAY),
    },
)

DIALECTS.add(WeChatPay.name, WECHAT_PAY)
