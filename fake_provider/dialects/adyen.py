"""Adyen's standard notifications: a batch of items, each with a base64 HMAC-SHA256 over eight of its own fields.

The signature stands in the item (`additionalData.hmacSignature`); the key is written in hexadecimal. One key signs; while
it is replaced, a receiver has to know both. Acknowledged by any 2xx; it used to be the word `[accepted]`, which is still
good (docs.adyen.com, handle webhook events). Repeats are recognised by `pspReference`, `eventCode` and `success` together.

Known quirks: nothing in the signed text is escaped, so a colon in one field moves the borders of the next; `live`, the
event's date and all of `additionalData` are not signed; one `eventCode` tells of success and of failure, and the word is a
string; there is no time in the signature; the Python package verifies the first item of a batch and no other.

The schedule: three quick attempts, then a queue up to thirty days (docs.adyen.com, webhooks troubleshooting).
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Any

from fake_provider.clock import iso
from fake_provider.dialects import DIALECTS, Forgery, Forging, NothingGenuine, Notice, Wire
from fake_provider.dialects._forging import claiming, cross_account, cross_provider, keyed, rightly, shared
from fake_provider.dialects._shared_key import ILLEGIBLE, SharedKey, all_of, compact
from fake_provider.dialects._spelling import misspelt
from fake_provider.news import News

_QUICK = [timedelta(seconds=each) for each in (0, 9, 18, 27)]
_QUEUE = [timedelta(minutes=each) for each in (2, 5, 10, 15, 30, 60, 120, 240)]
_LAST = timedelta(hours=8)
DELAYS = (*_QUICK, *_QUEUE, *[_LAST] * ((timedelta(days=30) - sum(_QUEUE, timedelta())) // _LAST))

# The code, and whether it went well.
WORDS = {
    News.PENDING: ("PENDING", "true"),
    News.AUTHORISED: ("AUTHORISATION", "true"),
    News.CAPTURED: ("CAPTURE", "true"),
    News.FAILED: ("AUTHORISATION", "false"),
    News.REFUNDED: ("REFUND", "true"),
    News.DISPUTED: ("CHARGEBACK", "true"),
    News.WON: ("CHARGEBACK_REVERSED", "true"),
}
EVENTS = {news: f"{code} success={success}" for news, (code, success) in WORDS.items()}

Item = dict[str, Any]


class Adyen(SharedKey):
    name = "adyen"

    @property
    def events(self) -> Mapping[News, str]:
        return EVENTS

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return FORGERIES

    def draw_key(self, rng: Random) -> str:
        return rng.randbytes(32).hex().upper()

    def raw(self, key: str) -> bytes:
        try:
            return bytes.fromhex(key)
        except ValueError:
            raise ValueError("a key of this dialect is hexadecimal") from None

    def encode(self, notice: Notice, event_id: str) -> Wire:
        code, success = WORDS[notice.type]
        own = notice.refund or notice.dispute
        item = {
            "additionalData": {"metadata.account": notice.account, "metadata.environment": notice.environment},
            "amount": {"currency": notice.currency, "value": notice.amount_minor},
            "eventCode": code,
            "eventDate": iso(notice.at),
            "merchantAccountCode": notice.merchant,
            "merchantReference": notice.reference,
            "originalReference": notice.payment if own else "",
            "paymentMethod": "visa",
            "pspReference": own or notice.payment,
            "reason": "",
            "success": success,
        }
        return _batch([item], "true" if notice.environment == "live" else "false")

    def batch(self, wires: Sequence[Wire]) -> Wire:
        items = [item for wire in wires for item in items_of(wire)]
        return _batch(items, json.loads(wires[0].body)["live"], wires[0].url)

    def seal(self, wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
        return _each(wire, lambda item: _with(item, _signature(item, keys[0])))

    def strip(self, wire: Wire) -> Wire:
        return _each(wire, _without)

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        stolen = items_of(genuine)[0]["additionalData"]["hmacSignature"]
        return _each(wire, lambda item: _with(item, stolen))

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        found = (item["additionalData"].get("hmacSignature") for item in _legible(wire))
        return tuple(signature for signature in found if signature)

    def dedup_key(self, wire: Wire) -> str:
        found = (":".join((item["pspReference"], item["eventCode"], item["success"])) for item in _legible(wire))
        return next(found, "")

    def delay_before(self, attempt: int) -> timedelta | None:
        return DELAYS[attempt - 1] if 1 <= attempt <= len(DELAYS) else None


def items_of(wire: Wire) -> list[Item]:
    return [each["NotificationRequestItem"] for each in json.loads(wire.body)["notificationItems"]]


def _legible(wire: Wire) -> list[Item]:
    """The items; none of what is in another dialect, or cannot be read."""
    try:
        return items_of(wire)
    except ILLEGIBLE:
        return []


def signed_text(item: Item) -> bytes:
    """What a signature covers: eight fields, and nothing between them that could not be in them."""
    amount = item["amount"]
    before = (item[name] for name in ("pspReference", "originalReference", "merchantAccountCode", "merchantReference"))
    return ":".join((*before, str(amount["value"]), amount["currency"], item["eventCode"], item["success"])).encode()


def _signature(item: Item, key: bytes) -> str:
    return base64.b64encode(hmac.digest(key, signed_text(item), hashlib.sha256)).decode()


def _with(item: Item, signature: str) -> Item:
    return item | {"additionalData": item["additionalData"] | {"hmacSignature": signature}}


def _without(item: Item) -> Item:
    said = item["additionalData"]
    return item | {"additionalData": {name: value for name, value in said.items() if name != "hmacSignature"}}


def _batch(items: Sequence[Item], live: str, url: str = "") -> Wire:
    wrapped = [{"NotificationRequestItem": item} for item in items]
    body = compact({"live": live, "notificationItems": wrapped})
    return Wire((("content-type", b"application/json; charset=utf-8"),), body, url)


def _each(wire: Wire, change: Callable[[Item], Item]) -> Wire:
    return _batch([change(item) for item in items_of(wire)], json.loads(wire.body)["live"], wire.url)


ADYEN = Adyen()


def malformed_signature(forging: Forging) -> Wire:
    """A signature that is neither base64 nor ASCII. To be refused, never to crash."""
    return _each(forging.wire, lambda item: _with(item, "é=!"))


def second_item_unsigned(forging: Forging) -> Wire:
    """A genuine item, and behind it in the same batch one that nobody signed: whoever verifies the first reads both."""
    if forging.genuine is None:
        raise NothingGenuine("no callback has been acknowledged yet, so there is no genuine item to hide behind")
    (claimed,) = items_of(forging.wire)
    behind = claimed | {"pspReference": f"{claimed['pspReference']}-2"}
    return _batch([*items_of(forging.genuine), behind], json.loads(forging.wire.body)["live"], forging.wire.url)


def resplit_fields(forging: Forging) -> Wire:
    """A genuine item of a payment whose reference has a colon in it, which was the payer's to write: with the border moved
    to that colon, it is about somebody else's.
    """
    notice = forging.notice
    bought = claiming(ADYEN, forging, replace(notice, reference=f"mallory:{notice.reference}"))
    split = {"merchantAccountCode": f"{notice.merchant}:mallory", "merchantReference": notice.reference}
    return _each(bought, lambda item: item | split)


def unsigned_mode(forging: Forging) -> Wire:
    """Rightly signed, with `live` turned into its opposite: that one nobody signs."""
    other = "false" if json.loads(forging.wire.body)["live"] == "true" else "true"
    return _batch(items_of(rightly(ADYEN, forging)), other, forging.wire.url)


FORGERIES = all_of(
    keyed(ADYEN),
    shared(ADYEN),
    misspelt(lambda forging, notice: claiming(ADYEN, forging, notice), lambda _, wire: wire),
    {
        "malformed-signature": Forgery(forge=malformed_signature, plays=("B-40",), cwe=755),
        "second-item-unsigned": Forgery(forge=second_item_unsigned, plays=("B-48",), cwe=347),
        "resplit-fields": Forgery(forge=resplit_fields, plays=("B-30",), cwe=436),
        "other-mode": Forgery(forge=unsigned_mode, plays=("B-17",), cwe=345, ignorable=True),
        "cross-provider": cross_provider("standard-webhooks"),
        "cross-account": cross_account(ADYEN),
    },
)

DIALECTS.add(Adyen.name, ADYEN)
