"""Alipay's asynchronous notice: a form, signed with RSA2 over its own fields, answered with the word `success`.

Signed are all fields but `sign` and `sign_type`, decoded, sorted by name and joined as `k=v` with `&`; RSA PKCS #1 v1.5
with SHA-256. Only one signature fits in, so there is no rotation with two keys: the first key signs. Times are those of
Beijing, without a zone. Amounts are decimals. `refund_fee` is the sum of all refunds so far; `out_biz_no` names this one, and
`send_back_fee` is what it gave back.

Known quirks: nothing in the signed text is escaped, so a merchant's own text with `&` and `=` in it can be split into
other fields under the same signature; `TRADE_FINISHED` comes after `TRADE_SUCCESS`, and is about the same money; the official
Node package takes the algorithm from the message; packages differ in whether `sign_type` is signed (here it is not) and in
what they do with empty fields (here there are none). There are no disputes among these notices, and no mode: sandbox and
live have gateways of their own.

The schedule is the documented one: eight deliveries within twenty-five hours.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from random import Random
from urllib.parse import parse_qsl, quote, urlencode

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from fake_provider.dialects import DIALECTS, Answer, Forgery, Forging, Notice, Wire
from fake_provider.dialects import _rsa as rsa
from fake_provider.dialects._forging import cross_account, cross_provider, dated, keyed, rightly
from fake_provider.dialects._money import decimal
from fake_provider.dialects._shared_key import all_of
from fake_provider.news import News

BEIJING = timezone(timedelta(hours=8))
UNSIGNED = ("sign", "sign_type")
ACKNOWLEDGEMENT = b"success"

DELAYS = (
    timedelta(0),
    timedelta(minutes=4),
    timedelta(minutes=10),
    timedelta(minutes=10),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=6),
    timedelta(hours=15),
)
# Older than the oldest retry can be, whichever way its time is counted.
STALE = timedelta(days=2)

EVENTS = {
    News.PENDING: "WAIT_BUYER_PAY",
    News.CAPTURED: "TRADE_SUCCESS",
    News.SETTLED: "TRADE_FINISHED",
    News.FAILED: "TRADE_CLOSED",
    News.CANCELLED: "TRADE_CLOSED",
    News.REFUNDED: "TRADE_SUCCESS",  # TRADE_CLOSED once nothing is left
}


class Alipay:
    name = "alipay"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return rsa.draw()

    def check_key(self, key: str) -> None:
        self.raw(key)

    def receiver_key(self, key: str) -> str:
        return rsa.public(self.raw(key))

    def raw(self, key: str) -> RSAPrivateKey:
        return rsa.read(key)

    def encode(self, notice: Notice, event_id: str) -> Wire:
        amount, at = decimal(notice.amount_minor, notice.currency), _beijing(notice.at)
        ours = urlencode({"account": notice.account, "environment": notice.environment, "attempt": notice.attempt})
        fields = {
            "app_id": notice.merchant,
            "charset": "utf-8",
            "gmt_create": at,
            "notify_id": event_id,
            "notify_type": "trade_status_sync",
            "out_trade_no": notice.reference,
            "passback_params": quote(ours, safe=""),  # merchants must encode it, and get it back encoded
            "seller_id": notice.merchant,
            "subject": f"Top-up {notice.reference}",
            "total_amount": amount,
            "trade_no": notice.payment,
            "trade_status": EVENTS[notice.type],
            "trans_currency": notice.currency,
            "version": "1.0",
        }
        if notice.type in (News.CAPTURED, News.SETTLED):
            fields |= {"gmt_payment": at, "receipt_amount": amount}
        if notice.refund is not None:
            fields |= _refund(notice, at)
        return _form(fields)

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        return self.seal(wire, [self.raw(key) for key in keys], at)

    def seal(self, wire: Wire, keys: Sequence[RSAPrivateKey], at: datetime) -> Wire:
        fields = fields_of(wire) | {"notify_time": _beijing(at)}
        return _with(wire, fields, "RSA2", rsa.sign(keys[0], signed_text(fields), SHA256()).decode())

    def strip(self, wire: Wire) -> Wire:
        return _form({name: value for name, value in fields_of(wire).items() if name != "sign"}, wire.url)

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        stolen = fields_of(genuine)
        return _form(
            fields_of(wire) | {name: stolen[name] for name in ("notify_id", "notify_time", *UNSIGNED)}, wire.url
        )

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        sign = fields_of(wire).get("sign")
        return (sign,) if sign else ()

    def dedup_key(self, wire: Wire) -> str:
        return fields_of(wire).get("notify_id", "")

    def is_ack(self, answer: Answer) -> bool:
        return answer.status == 200 and answer.body == ACKNOWLEDGEMENT

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


def signed_text(fields: Mapping[str, str], errors: str = "strict") -> bytes:
    """What a signature covers."""
    signed = (f"{name}={value}" for name, value in sorted(fields.items()) if name not in UNSIGNED)
    return "&".join(signed).encode(errors=errors)


def fields_of(wire: Wire) -> dict[str, str]:
    return dict(parse_qsl(wire.body.decode(), keep_blank_values=True))


def _refund(notice: Notice, at: str) -> dict[str, str]:
    rest = notice.captured_minor - notice.refunded_minor
    return {
        "gmt_refund": at,
        "out_biz_no": notice.refund or "",
        "refund_fee": decimal(notice.refunded_minor, notice.currency),
        "send_back_fee": decimal(notice.amount_minor, notice.currency),
        "total_amount": decimal(notice.captured_minor, notice.currency),
        "trade_status": "TRADE_SUCCESS" if rest else "TRADE_CLOSED",
    }


def _form(fields: Mapping[str, str], url: str = "") -> Wire:
    headers = (("content-type", b"application/x-www-form-urlencoded; charset=utf-8"),)
    return Wire(headers, urlencode(fields).encode(), url)


def _with(wire: Wire, fields: Mapping[str, str], algorithm: str, signature: str) -> Wire:
    return _form({**fields, "sign_type": algorithm, "sign": signature}, wire.url)


def _beijing(at: datetime) -> str:
    return at.astimezone(BEIJING).strftime("%Y-%m-%d %H:%M:%S")


ALIPAY = Alipay()


def _dated(forging: Forging) -> dict[str, str]:
    return fields_of(forging.wire) | {"notify_time": _beijing(forging.at)}


def empty_key(forging: Forging) -> Wire:
    """`sign_type=MD5`, which is the text and a shared key hashed together, with the empty key: nobody set one."""
    fields = _dated(forging)
    return _with(forging.wire, fields, "MD5", hashlib.md5(signed_text(fields), usedforsecurity=False).hexdigest())


def downgraded_algorithm(forging: Forging) -> Wire:
    """Rightly signed, with SHA-1 and `sign_type=RSA`: which algorithm is used is not the sender's choice."""
    fields = _dated(forging)
    sign = rsa.sign(ALIPAY.raw(forging.keys[0]), signed_text(fields), SHA1())  # noqa: S303
    return _with(forging.wire, fields, "RSA", sign.decode())


def malformed_signature(forging: Forging) -> Wire:
    """A signature that is neither base64 nor ASCII. To be refused, never to crash."""
    return _form(_dated(forging) | {"sign_type": "RSA2", "sign": "é!=, \x00%"}, forging.wire.url)


def resplit_fields(forging: Forging) -> Wire:
    """A genuine notice of one cent, whose subject was the payer's to write, split into other fields under its signature.

    The signed text is joined without escaping: it says `total_amount` twice, and the second becomes part of a field that
    nobody reads.
    """
    notice = forging.notice
    claimed, cent = decimal(notice.amount_minor, notice.currency), decimal(1, notice.currency)
    subject = f"Top-up&total_amount={claimed}&total_note="
    bought = _dated(forging) | {"subject": subject, "total_amount": cent, "receipt_amount": cent}
    signed = fields_of(ALIPAY.seal(replace(forging.wire, body=_form(bought).body), _raw(forging), forging.at))
    split = {"subject": "Top-up", "total_amount": claimed, "total_note": f"&total_amount={cent}"}
    return _form(signed | split, forging.wire.url)


def repeated_field(forging: Forging) -> Wire:
    """A genuine notice of one cent with a second `total_amount` behind it: parsers differ in which of the two counts."""
    notice = forging.notice
    cent = decimal(1, notice.currency)
    bought = fields_of(forging.wire) | {"total_amount": cent, "receipt_amount": cent}
    signed = ALIPAY.seal(replace(forging.wire, body=_form(bought).body), _raw(forging), forging.at)
    second = urlencode({"total_amount": decimal(notice.amount_minor, notice.currency)}).encode()
    return replace(signed, body=signed.body + b"&" + second)


def unsigned_sign_type(forging: Forging) -> Wire:
    """Rightly signed, with its `sign_type` left out: what is not said must not be guessed from the message."""
    right = rightly(ALIPAY, forging)
    return _form({name: value for name, value in fields_of(right).items() if name != "sign_type"}, right.url)


def not_utf_8(forging: Forging) -> Wire:
    """Rightly signed, about a payment that nobody has heard of, with bytes in a field that are no UTF-8: to be refused, never
    to crash.
    """
    odd = {"out_trade_no": "ghost", "trade_no": "pay_ghost", "subject": "\udcff\udcfe"}  # each stands for one such byte
    fields = _dated(forging) | odd
    content = signed_text(fields, "surrogateescape")
    sign = rsa.sign(_raw(forging)[0], content, SHA256()).decode()
    body = urlencode(fields | {"sign_type": "RSA2", "sign": sign}, errors="surrogateescape")
    return replace(forging.wire, body=body.encode())


def _raw(forging: Forging) -> list[RSAPrivateKey]:
    return [ALIPAY.raw(key) for key in forging.keys]


FORGERIES = all_of(
    keyed(ALIPAY),
    dated(ALIPAY, STALE),
    {
        "empty-key": Forgery(forge=empty_key, plays=("B-02", "B-04"), cwe=1188),
        "downgraded-algorithm": Forgery(forge=downgraded_algorithm, plays=("B-04",), cwe=757),
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "resplit-fields": Forgery(forge=resplit_fields, plays=("B-30",), cwe=436),
        "not-utf-8": Forgery(forge=not_utf_8, plays=("B-33",), cwe=172, ignorable=True),
        "repeated-field": Forgery(forge=repeated_field, plays=("B-29",), cwe=235),
        "missing-sign-type": Forgery(forge=unsigned_sign_type, plays=("B-04",), cwe=757),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(ALIPAY),
    },
)

DIALECTS.add(Alipay.name, ALIPAY)
