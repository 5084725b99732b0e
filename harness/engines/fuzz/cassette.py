"""Cassettes: callbacks that a provider really sent, kept without what only their receiver may know.

A cassette is JSON Lines: a head that says the dialect and what was taken out, and then one delivery a line. Taken out, always, are
signatures, and headers that let somebody in; from bodies also each field whose name is among `FIELDS` or was named. What is
taken out is gone: a cassette cannot be replayed to the byte. It is signed afresh by whoever holds the key.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TextIO
from urllib.parse import parse_qsl, urlencode

from fake_provider.dialects import Dialect, Wire

FORMAT = 1
TAKEN_OUT = "taken-out"
HEADERS = re.compile(r"sign|auth|cookie|token|secret|key|session", re.IGNORECASE)
HOPS = ("host", "content-length", "connection", "transfer-encoding", "accept-encoding", "expect", "te", "upgrade")
FIELDS = (
    *("client_secret", "email", "phone", "name", "address", "buyer_logon_id", "buyer_id", "card", "iban", "last4"),
    *("fingerprint", "billing_details", "payment_method_details", "shipping", "sub_msisdn", "openid"),
)


class BadCassette(ValueError):
    """This is no cassette, or not one for this dialect; the message says what is wrong, and where."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One callback as it came, without what was taken out, and the status that the receiver answered."""

    target: str
    wire: Wire
    answered: int | None


def cleaned(wire: Wire, dialect: Dialect, fields: Sequence[str]) -> Wire:
    """The message without signatures, without what lets somebody in, and without those fields."""
    body = _without_fields(wire, frozenset(each.lower() for each in fields))
    signatures: list[str] = []
    with suppress(ValueError, KeyError, TypeError, AttributeError):  # what came need not be of this dialect
        signatures = [each for each in dialect.signatures(wire) if each]
        for signature in signatures:
            for written in (signature.encode(), urlencode({"": signature})[1:].encode()):
                body = body.replace(written, TAKEN_OUT.encode())
    headers = [
        (
            name,
            TAKEN_OUT.encode() if HEADERS.search(name) or any(each.encode() in value for each in signatures) else value,
        )
        for name, value in wire.headers
        if name not in HOPS
    ]
    return replace(wire, headers=tuple(headers), body=body)


def _without_fields(wire: Wire, fields: frozenset[str]) -> bytes:
    """The same bytes, unless one of the fields is there; then the document is written anew."""
    with suppress(ValueError, RecursionError):
        if b"json" in (wire.header("content-type") or b""):
            document = json.loads(wire.body)
            emptied = _emptied(document, fields)
            if emptied == document:
                return wire.body
            return json.dumps(emptied, ensure_ascii=False, separators=(",", ":")).encode()
        pairs = parse_qsl(wire.body.decode(), keep_blank_values=True, strict_parsing=True)
        if any(name.lower() in fields for name, _ in pairs):
            return urlencode([(name, TAKEN_OUT if name.lower() in fields else value) for name, value in pairs]).encode()
    return wire.body


def _emptied(document: Any, fields: frozenset[str]) -> Any:
    if isinstance(document, dict):
        return {
            name: TAKEN_OUT if name.lower() in fields and value not in (None, "") else _emptied(value, fields)
            for name, value in document.items()
        }
    return [_emptied(each, fields) for each in document] if isinstance(document, list) else document


def write_head(file: TextIO, dialect: str, fields: Sequence[str]) -> None:
    head = {"cassette": FORMAT, "dialect": dialect, "taken_out": ["signatures", HEADERS.pattern, *fields]}
    file.write(json.dumps(head) + "\n")


def write(file: TextIO, delivery: Delivery) -> None:
    """One line. A body that is no UTF-8 is kept in base64."""
    try:
        body: str | Mapping[str, str] = delivery.wire.body.decode()
    except UnicodeDecodeError:
        body = {"base64": base64.b64encode(delivery.wire.body).decode()}
    headers = [[name, value.decode("latin-1")] for name, value in delivery.wire.headers]
    line = {"target": delivery.target, "headers": headers, "body": body, "answered": delivery.answered}
    file.write(json.dumps(line) + "\n")


def read(path: Path, dialect: str) -> Sequence[Delivery]:
    """What was recorded. Raises `BadCassette`."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        head = json.loads(lines[0])
        said = head["dialect"] if head["cassette"] == FORMAT else None
    except (OSError, ValueError, LookupError, TypeError) as wrong:
        raise BadCassette(f"{path} is no cassette: {wrong}. `topup-chaos record` makes one") from None
    if said != dialect:
        raise BadCassette(f"{path} was recorded in {said}, and --dialect says {dialect}")
    recorded = list(_deliveries(path, lines[1:]))
    if not recorded:
        raise BadCassette(f"{path} holds no delivery")
    return recorded


def _deliveries(path: Path, lines: Sequence[str]) -> Iterator[Delivery]:
    for number, line in enumerate(lines, 2):
        try:
            said = json.loads(line)
            body = said["body"]
            raw = body.encode() if isinstance(body, str) else base64.b64decode(body["base64"], validate=True)
            headers = tuple((str(name), value.encode("latin-1")) for name, value in said["headers"])
            yield Delivery(target=str(said["target"]), wire=Wire(headers, raw), answered=said.get("answered"))
        except (ValueError, LookupError, TypeError, AttributeError) as wrong:
            raise BadCassette(f"{path}, line {number} is no delivery: {wrong}") from None
