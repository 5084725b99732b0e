"""PostgreSQL protocol 3 as a tap sees it: enough framing to name statements, and to know where a COMMIT begins and ends.

Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats. A message is a type byte, a length that
counts itself, and a body; the first message of a connection has no type byte. Encrypted connections pass unnamed.
"""

import re
import struct
from collections.abc import Sequence

from harness.wire.framing import Crossing, Direction

PROTOCOL_3 = 3
SSL_REQUEST, GSS_REQUEST, CANCEL_REQUEST = 80877103, 80877104, 80877102
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
        self._wrote = False

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
        return Crossing(">", self._take(">", length), labels.get(code, "startup"))

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
        label, writes = self._asked(kind, data[5:]) if direction == ">" else (_answered(kind, data[5:]), False)
        return Crossing(direction, data, label, {"writes": True} if writes else {})

    def _asked(self, kind: bytes, body: bytes) -> tuple[str | None, bool]:
        """The label of a client's message, and whether it writes or ends a transaction that wrote."""
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._statements[name] = rest.partition(b"\0")[0].decode("utf-8", "replace")
            return None, False
        if kind == b"B":
            portal, _, rest = body.partition(b"\0")
            self._portals[portal] = self._statements.get(rest.partition(b"\0")[0], "")
            return None, False
        if kind == b"Q":
            return self._statement(body.rstrip(b"\0").decode("utf-8", "replace"))
        if kind == b"E":
            return self._statement(self._portals.get(body.partition(b"\0")[0], ""))
        return ("terminate", False) if kind == b"X" else (None, False)

    def _statement(self, sql: str) -> tuple[str | None, bool]:
        label = label_of(sql)
        if label == "BEGIN":
            self._wrote = False
        writes = bool(_WRITES.search(sql))
        self._wrote = self._wrote or writes
        return label, writes or (label == "COMMIT" and self._wrote)

    def _take(self, direction: Direction, length: int) -> bytes:
        taken, self._held[direction] = self._held[direction][:length], self._held[direction][length:]
        return taken


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
        *verbs, table = found.groups()
        verb = next((verb for verb in verbs if verb), "with")
        return f"{verb.upper()} {table}"
    return " ".join([first, *words[1:3]])


def _answered(kind: bytes, body: bytes) -> str | None:
    if kind == b"C":
        return body.partition(b"\0")[0].decode("ascii", "replace")
    if kind == b"E":
        fields = {part[:1]: part[1:] for part in body.split(b"\0") if part}
        return f"ERROR {fields.get(b'C', b'?').decode('ascii', 'replace')}"
    return None
