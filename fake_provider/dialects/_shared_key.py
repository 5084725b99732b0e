"""What dialects have in common that sign with a shared key and put the signature into one header."""

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from fake_provider.dialects import Answer, Forgery, Forging, Wire
from fake_provider.dialects._forging import overheard
from fake_provider.registry import Registry

ILLEGIBLE = (ValueError, KeyError, RecursionError)
"""What reading a body raises that is forged, or in another dialect."""


class SharedKey(ABC):
    """The half of a dialect that is the same for all of these.

    `header` is where the signature stands, `id_in_body` the field of a JSON body that holds the event's id, if one does.
    """

    header: ClassVar[str]
    id_in_body: ClassVar[str] = ""

    @abstractmethod
    def raw(self, key: str) -> bytes:
        """The key behind the word; raises `ValueError` saying what is wrong with it."""

    @abstractmethod
    def seal(self, wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
        """Sign, with any key at all."""

    def check_key(self, key: str) -> None:
        if not self.raw(key):
            raise ValueError("the key is empty: anyone could sign with it")

    def receiver_key(self, key: str) -> str:
        return key

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        for key in keys:
            self.check_key(key)
        return self.seal(wire, [self.raw(key) for key in keys], at)

    def strip(self, wire: Wire) -> Wire:
        return self.with_signature(wire, None)

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        if not self.id_in_body:
            return Wire(genuine.headers, wire.body, wire.url)
        return Wire(genuine.headers, under_id_of(genuine, wire, self.id_in_body), wire.url)

    def is_ack(self, answer: Answer) -> bool:
        return answer.status is not None and 200 <= answer.status < 300

    def with_signature(self, wire: Wire, value: bytes | None) -> Wire:
        """The message with this in the place of its signature."""
        return wire.with_headers(**{self.header.replace("-", "_"): value})

    def value(self, wire: Wire) -> str:
        """What stands in the place of the signature."""
        return (wire.header(self.header) or b"").decode("latin-1")


class Dated(SharedKey):
    """A dialect that signs a time as well, written as `stamp`."""

    @abstractmethod
    def stamped(self, wire: Wire, keys: Sequence[bytes], stamp: bytes) -> Wire:
        """Sign, with any key and any time at all."""

    @abstractmethod
    def restamped(self, wire: Wire, stamp: bytes) -> Wire:
        """The signed message with another time in the place of its own; the signature stays as it is."""

    def seal(self, wire: Wire, keys: Sequence[bytes], at: datetime) -> Wire:
        return self.stamped(wire, keys, seconds(at))


def seconds(at: datetime) -> bytes:
    """Whole seconds since the epoch, as most dialects write a time."""
    return b"%d" % int(at.timestamp())


def misdated(dialect: Dated) -> Mapping[str, Forgery]:
    """Forgeries about how a signed time is written, for dialects that write seconds."""

    def stamped(forging: Forging, stamp: bytes) -> Wire:
        return dialect.stamped(forging.wire, [dialect.raw(key) for key in forging.keys], stamp)

    def millisecond_timestamp(forging: Forging) -> Wire:
        """The right key and the right moment in milliseconds: taken for seconds, it is fifty thousand years away."""
        return stamped(forging, seconds(forging.at) + b"000")

    def timestamp_no_number(forging: Forging) -> Wire:
        """The right key over a time that is `NaN`: whoever compares it as a float finds it neither too old nor too new."""
        return stamped(forging, b"NaN")

    def fresh_timestamp(forging: Forging) -> Wire:
        """A genuine callback, signature and all, under a time that is fresh and not the one that was signed."""
        return dialect.restamped(overheard(forging), seconds(forging.at + timedelta(minutes=1)))

    return {
        "fresh-timestamp": Forgery(forge=fresh_timestamp, plays=("B-10",), cwe=294),
        "millisecond-timestamp": Forgery(forge=millisecond_timestamp, plays=("B-13",), cwe=20),
        "timestamp-no-number": Forgery(forge=timestamp_no_number, plays=("B-14",), cwe=20),
    }


def all_of(*some: Mapping[str, Forgery]) -> Registry[Forgery]:
    """All these forgeries, as one registry."""
    return Registry("forgery", {name: forgery for each in some for name, forgery in each.items()})


def told(wire: Wire, name: str) -> str:
    """A string at the top of a JSON body; empty where there is none: other dialects' callbacks come by, and illegible ones."""
    try:
        return str(json.loads(wire.body).get(name, ""))
    except ILLEGIBLE:
        return ""


def under_id_of(genuine: Wire, wire: Wire, name: str) -> bytes:
    """The JSON body of *wire* under the event id of *genuine*: for whoever knows that one and looks no further."""
    return compact(json.loads(wire.body) | {name: told(genuine, name)})


def compact(document: Mapping[str, Any]) -> bytes:
    """JSON without a superfluous byte."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
