"""Alipay's notices: a form that signs its own fields with RSA2, and wants to hear `success`, to the letter.

The signed text is the fields joined with `&` and not escaped, so a field with an `&` in it could be split in another way: such
a notice is refused whoever signed it, and so is one in which a field is there twice.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NoReturn
from urllib.parse import parse_qsl, unquote

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_public_key

from reference_impl.answers import Answer, Refused
from reference_impl.dialects import Claim, Headers
from reference_impl.events import AMOUNT_MAX, BODY_BYTES_MAX, Event, malformed, text_at
from reference_impl.money import EXPONENTS

_FIELDS_MAX = 64
_KEY_BITS_MIN = 2048
_BEIJING = timezone(timedelta(hours=8))
_NAME = re.compile(r"[a-z][a-z_]{0,63}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}")
_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,14})(?:\.([0-9]{1,3}))?")
_NOT_SIGNED = ("sign", "sign_type")

KINDS = {"TRADE_SUCCESS": "captured", "TRADE_FINISHED": "captured", "TRADE_CLOSED": "failed"}
"""Finished is said of a trade whose success was said before: the same capture, and not another."""


class Alipay:
    # It goes on for 25 hours, and nobody says whether the time in a notice is renewed: no retry may be too old.
    oldest_s = 26 * 3600
    ahead_s = 300
    acknowledgement = Answer(200, text="success")

    def key(self, secret: str) -> bytes:
        try:
            der = base64.b64decode(secret, validate=True)
            public = _public(der)
        except (binascii.Error, ValueError, UnsupportedAlgorithm):
            raise ValueError("CALLBACK_SECRET must be the base64 of Alipay's RSA public key, in one line.") from None
        if public.key_size < _KEY_BITS_MIN:
            raise ValueError(f"CALLBACK_SECRET must be an RSA key of at least {_KEY_BITS_MIN} bits.")
        return der

    def claim(self, headers: Headers, body: bytes) -> Claim:
        fields = _fields(body)
        if fields.get("sign_type") != "RSA2":  # which algorithm is used is not the sender's choice
            raise Refused("sign_type is not RSA2")
        if not fields.get("sign"):
            raise Refused("sign is missing")
        try:
            signature = base64.b64decode(fields["sign"], validate=True)
        except (binascii.Error, ValueError):
            raise Refused("sign is not base64") from None
        return Claim(_seconds(fields.get("notify_time", "")), (signature,), _signed(fields))

    def fits(self, key: bytes, signature: bytes, signed: bytes) -> bool:
        try:
            _public(key).verify(signature, signed, padding.PKCS1v15(), SHA256())
        except (InvalidSignature, ValueError):
            return False
        return True

    def read(self, headers: Headers, body: bytes) -> Event | None:
        fields = _fields(body)
        kind = KINDS.get(fields.get("trade_status", ""))
        if "out_biz_no" in fields:
            kind = "refunded"
        return None if kind is None else _event(fields, kind)


def _event(fields: Mapping[str, str], kind: str) -> Event:
    currency = fields.get("trans_currency", "CNY")
    total = _minor(fields, "total_amount", currency)
    refunded = kind == "refunded"
    ours = _ours(fields.get("passback_params", ""))
    return Event(
        kind=kind,
        payment=text_at(fields, "trade_no"),
        reference=text_at(fields, "out_trade_no"),
        amount_minor=_minor(fields, "send_back_fee", currency) if refunded else total,
        currency=currency,
        account=text_at(ours, "account"),
        merchant=_merchant(fields),
        environment=text_at(ours, "environment"),
        captured_minor=total if refunded else 0,
        refunded_minor=_minor(fields, "refund_fee", currency) if refunded else 0,
        reversal=text_at(fields, "out_biz_no") if refunded else None,
        cause="callback",
        delivery=text_at(fields, "notify_id"),
        digest=hashlib.sha256(_signed(fields, but=("notify_time",))).hexdigest(),
    )


def _fields(body: bytes) -> dict[str, str]:
    """The form; `Refused` for what another parser could read in another way."""
    if len(body) > BODY_BYTES_MAX:
        raise Refused("the body is too large", 413)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            encoding="utf-8",
            errors="strict",
            max_num_fields=_FIELDS_MAX,
        )
    except ValueError:
        raise malformed("the body is not a form in UTF-8") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise malformed("a field is there twice")
    if not all(_NAME.fullmatch(name) for name in fields) or any("&" in value for value in fields.values()):
        raise malformed("a field could be read in two ways")
    if fields.get("charset", "utf-8").lower() != "utf-8":
        raise malformed("charset is not utf-8")
    return fields


def _signed(fields: Mapping[str, str], but: tuple[str, ...] = ()) -> bytes:
    left = ((name, value) for name, value in sorted(fields.items()) if name not in (*_NOT_SIGNED, *but))
    return "&".join(f"{name}={value}" for name, value in left).encode()


def _seconds(written: str) -> int:
    try:
        at = datetime.strptime(written, "%Y-%m-%d %H:%M:%S") if _TIME.fullmatch(written) else None  # noqa: DTZ007
    except ValueError:
        at = None
    if at is None:
        raise Refused("notify_time is missing or malformed")
    return int(at.replace(tzinfo=_BEIJING).timestamp())


def _minor(fields: Mapping[str, str], name: str, currency: str) -> int:
    """A decimal as whole minor units: exactly as many digits behind the point as the currency has."""
    if currency not in EXPONENTS:
        raise malformed("there is no such currency here")
    found = _DECIMAL.fullmatch(fields.get(name, ""))
    digits = EXPONENTS[currency]
    if found is None or len(found[2] or "") != digits:
        _no_amount(name)
    minor = int(found[1] + (found[2] or ""))
    if not 0 < minor <= AMOUNT_MAX:
        _no_amount(name)
    return minor


def _no_amount(name: str) -> NoReturn:
    raise malformed(f"{name} is not an amount of this currency")


def _ours(passed_back: str) -> dict[str, str]:
    """What we gave with the payment, in the encoding that we must give it in: a query, encoded as one value."""
    try:
        pairs = parse_qsl(unquote(passed_back, errors="strict"), strict_parsing=True, max_num_fields=_FIELDS_MAX)
    except ValueError:
        pairs = []
    ours = dict(pairs)
    if not ours or len(ours) != len(pairs):
        raise malformed("passback_params is missing or malformed")
    return ours


def _merchant(fields: Mapping[str, str]) -> str:
    """The seller, if the app is the seller's own: either alone could be somebody else's."""
    app, seller = text_at(fields, "app_id"), text_at(fields, "seller_id")
    return seller if app == seller else f"{app} of {seller}"


@lru_cache(maxsize=16)
def _public(der: bytes) -> RSAPublicKey:
    key = load_der_public_key(der)
    if not isinstance(key, RSAPublicKey):
        raise ValueError("not an RSA key")
    return key
