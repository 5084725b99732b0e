"""PostgreSQL protocol 3 as a tap sees it: enough framing to name statements, and to know where a COMMIT begins and ends.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats. A message is a type byte, a length that
counts itself, and a body; the first message of a connection has no type byte. Encrypted connections pass unnamed.
"""

import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from harness.wire.framing import Crossing, Direction

PROTOCOL_3 = 3
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
FLUSH = b"H\x00\x00\x00\x04"
"""Asks the server to send what it has to say so far. It changes nothing else, wherever between two messages it stands."""
# Longer messages pass in pieces, unnamed after their first: a tap must not hold a whole COPY in memory.
MESSAGE_MAX = 1 << 20

_VERB = re.compile(
    r"^\s*(?:(insert)\s+into|(update)|(delete)\s+from|(select)\b.*?\bfrom|with\b.*?(?:\b(insert)\s+into|\b(update)|\bfrom))\s+([\w.\"]+)",
    re.IGNORECASE | re.DOTALL,
)
_WRITES = re.compile(
    r"\b(insert\s+into|update\s+(?:only\s+)?[\w.\"]+(?:\s+(?:as\s+)?[\w\"]+)?\s+set|delete\s+from|merge\s+into)\b",
    re.IGNORECASE,
)


# A connection that asks for snapshots from the start (parameters of the startup message, ended by zeros).
_STRICT = re.compile(rb"default_transaction_isolation(?:\0|\\? ?= ?)(?:serializable|repeatable)", re.IGNORECASE)

Facts: TypeAlias = Mapping[str, str | bool]
_ENDS = ("COMMIT", "ROLLBACK")
# A service says the same few hundred statements over and over.
_remembered = lru_cache(maxsize=4096)


@dataclass(slots=True)
class _Transaction:
    """A transaction on its way. Its name is the table that it wrote to first, until then the one that it read first: so that
    of two that run at once, whatever comes later in each can be told apart.
    """

    read: str = ""
    wrote: str = ""
    writes: bool = False

    def facts(self, label: str, table: str, writes: bool) -> Facts:
        """What there is to say of its next statement. The one that gives it its name is not yet of that name."""
        of = self.wrote or self.read
        self.read = self.read or table
        self.wrote = self.wrote or (table if writes else "")
        self.writes = self.writes or writes
        facts: dict[str, str | bool] = {"of": of} if of else {}
        return facts | ({"writes": True} if writes or (label == "COMMIT" and self.writes) else {})


class Postgres:
    """One connection: both directions, because what an answer means depends on what was asked."""

    def __init__(self) -> None:
        self._held: dict[Direction, bytes] = {">": b"", "<": b""}
        self._passing: dict[Direction, int] = {">": 0, "<": 0}
        self._started = False
        self._awaits_byte = False  # the one-byte answer to an encryption request
        self._opaque = False
        self._statements: dict[bytes, str] = {}
        self._portals: dict[bytes, str] = {}
        self._transaction: _Transaction | None = None

    def feed(self, direction: Direction, data: bytes) -> Sequence[Crossing]:
        if self._opaque:
            return (Crossing(direction, self.flush(direction) + data),)
        self._held[direction] += data
        crossings = []
        while crossing := self._next(direction):
            crossings.append(crossing)
        return crossings

    def flush(self, direction: Direction) -> bytes:
        held, self._held[direction] = self._held[direction], b""
        return held

    def _next(self, direction: Direction) -> Crossing | None:
        held = self._held[direction]
        if not held:
            return None
        if self._opaque:
            return Crossing(direction, self.flush(direction))
        if self._passing[direction]:
            taken = min(self._passing[direction], len(held))
            self._passing[direction] -= taken
            return Crossing(direction, self._take(direction, taken))
        if direction == "<" and self._awaits_byte:
            self._awaits_byte = False
            self._opaque = held[:1] != b"N"
            return Crossing(direction, self._take(direction, 1))
        if direction == ">" and not self._started:
            return self._startup(held)
        return self._message(direction, held)

    def _startup(self, held: bytes) -> Crossing | None:
        if len(held) < 8:
            return None
        length, code = struct.unpack("!II", held[:8])
        if length < 8 or length > MESSAGE_MAX:
            self._opaque = True
            return Crossing(">", self.flush(">"))
        if len(held) < length:
            return None
        self._awaits_byte = code in (SSL_REQUEST, GSS_REQUEST)
        self._started = not self._awaits_byte
        labels = {SSL_REQUEST: "SSL request", GSS_REQUEST: "GSS request", CANCEL_REQUEST: "cancel request"}
        aside = {"strict": 1} if _STRICT.search(held[8:length]) else {}
        return Crossing(">", self._take(">", length), labels.get(code, "startup"), aside=aside)

    def _message(self, direction: Direction, held: bytes) -> Crossing | None:
        if len(held) < 5:
            return None
        kind, length = held[:1], struct.unpack("!I", held[1:5])[0]
        if length < 4:
            self._opaque = True  # not this protocol: let it pass
            return Crossing(direction, self.flush(direction))
        if length > MESSAGE_MAX:
            self._passing[direction] = length + 1
            return self._next(direction)
        if len(held) < length + 1:
            return None
        data = self._take(direction, length + 1)
        return self._asked(kind, data) if direction == ">" else _answered(kind, data)

    def _asked(self, kind: bytes, data: bytes) -> Crossing:
        """A client's message; those that carry out a statement have its name and its text."""
        body = data[5:]
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._statements[name] = rest.partition(b"\0")[0].decode("utf-8", "replace")
        elif kind == b"B":
            portal, _, rest = body.partition(b"\0")
            self._portals[portal] = sql = self._statements.get(rest.partition(b"\0")[0], "")
            # Here, and not at its execution, it takes its snapshot.
            return Crossing(">", data, aside={"sql": sql, "values": _values(rest.partition(b"\0")[2])})
        elif kind == b"Q":
            sql = body.rstrip(b"\0").decode("utf-8", "replace")
            return self._statement(data, sql, {"sql": sql})
        elif kind == b"E":
            return self._statement(data, self._portals.get(body.partition(b"\0")[0], ""), {})
        return Crossing(">", data, "terminate" if kind == b"X" else None)

    def _statement(self, data: bytes, sql: str, aside: Mapping[str, Any]) -> Crossing:
        label, writes = label_of(sql), _writes(sql)
        if label == "BEGIN":
            self._transaction = _Transaction(writes=writes)
        if self._transaction is None or label == "BEGIN":
            return Crossing(">", data, label, {"writes": True} if writes else {}, aside)
        facts = self._transaction.facts(label, table_of(sql), writes)
        if label in _ENDS:
            self._transaction = None
        return Crossing(">", data, label, facts, aside)

    def _take(self, direction: Direction, length: int) -> bytes:
        taken, self._held[direction] = self._held[direction][:length], self._held[direction][length:]
        return taken


@_remembered
def label_of(sql: str) -> str:
    """What a person would call a statement: its verb and its first table. `COMMIT`, `INSERT claims`."""
    words = sql.strip().rstrip(";").split()
    if not words:
        return "empty statement"
    first = words[0].upper().rstrip(";")
    if first in ("BEGIN", "START"):
        return "BEGIN"
    if first in ("COMMIT", "END"):
        return "COMMIT"
    found = _VERB.match(sql)
    if found:
        verb = next((verb for verb in found.groups()[:-1] if verb), "with")
        return f"{verb.upper()} {table_of(sql)}"
    return " ".join([first, *words[1:3]])


@_remembered
def _writes(sql: str) -> bool:
    return _WRITES.search(sql) is not None


@_remembered
def table_of(sql: str) -> str:
    """The first table of a statement; empty where it names none."""
    found = _VERB.match(sql)
    return found.groups()[-1] if found else ""


def _values(bind: bytes) -> tuple[str | None, ...]:
    """The parameters of a Bind message, from their formats on, as text; None for NULL. Nothing where they do not read."""
    try:
        (formats,) = struct.unpack_from("!H", bind)
        at = 2 + 2 * formats
        (count,) = struct.unpack_from("!H", bind, at)
        at, values = at + 2, list[str | None]()
        for _ in range(count):
            (length,) = struct.unpack_from("!i", bind, at)
            values.append(None if length < 0 else bind[at + 4 : at + 4 + length].decode("utf-8", "replace"))
            at += 4 + max(length, 0)
    except struct.error:
        return ()
    return tuple(values)


def _answered(kind: bytes, data: bytes) -> Crossing:
    """A server's message. `aside`: the `pid` of who serves the connection; `ready`, once it can be asked the next."""
    body = data[5:]
    if kind == b"C":
        return Crossing("<", data, body.partition(b"\0")[0].decode("ascii", "replace"))
    if kind == b"E":
        fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
        return Crossing("<", data, f"ERROR {fields.get(b'C', b'?').decode('ascii', 'replace')}")
    if kind == b"K" and len(body) >= 4:
        return Crossing("<", data, aside={"pid": struct.unpack("!I", body[:4])[0]})
    return Crossing("<", data, aside={"ready": body.decode("ascii", "replace")} if kind == b"Z" else {})
