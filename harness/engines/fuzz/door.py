"""The receiver's door: bytes go in as they are, whatever they are, and what comes back is read with care.

Blocking on purpose. The engine sends one thing at a time from a thread of its own, and this is the quickest way to do so.
Whatever the receiver does (silence, reset, nonsense) is an answer, never an exception; every wait ends with *timeout_s*.
"""

import socket
import ssl
import time
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

BODY_MAX = 64 * 1024
HEAD_MAX = 64 * 1024
LINGER_S = 0.05
NO_REQUEST = (b"400", b"408", b"413", b"414", b"431", b"501", b"505")
"""What a server says to bytes that it did not take for a request."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where callbacks go."""

    scheme: str
    host: str
    port: int
    target: str

    @classmethod
    def of(cls, url: str) -> "Place":
        """Raises `ValueError` saying what is wrong with *url*."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a receiver: write it as http://127.0.0.1:8000/callbacks")
        port = parts.port or (443 if parts.scheme == "https" else 80)
        return cls(parts.scheme, parts.hostname, port, (parts.path or "/") + (f"?{parts.query}" if parts.query else ""))

    @property
    def authority(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """Bytes for the door, piece by piece, with a pause between them.

    What is `whole` is a well-formed request, which is owed an answer. `patience_s` is how long it is waited for, where that
    is less than usual; after `hang_up` nobody waits.
    """

    pieces: tuple[bytes, ...]
    pause_s: float = 0.0
    whole: bool = True
    hang_up: bool = False
    patience_s: float | None = None

    @property
    def bytes(self) -> bytes:
        return b"".join(self.pieces)

    @property
    def plain(self) -> bool:
        """Whether it is as an honest client would write it, all at once."""
        return self.whole and len(self.pieces) == 1 and not self.hang_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What came back. `status` is None when nothing did, and `because` says what happened instead.

    `second` is set where what stood behind the request was taken for another one and answered.
    """

    status: int | None
    because: str
    took_s: float = 0.0
    head: bytes = b""
    body: bytes = b""
    second: bool = False

    @property
    def accepted(self) -> bool:
        return self.status is not None and 200 <= self.status < 300

    @property
    def crashed(self) -> bool:
        """503 is not among them: it says that the sender should come again, and is no accident."""
        return self.status is not None and self.status >= 500 and self.status != 503


class Door:
    """Sends shots to one place. A connection that was left open is used again for what is plain and whole."""

    def __init__(self, place: Place, timeout_s: float = 5.0) -> None:
        self.place, self.timeout_s = place, timeout_s
        self._kept: socket.socket | None = None

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def send(self, shot: Shot) -> Heard:
        plain = shot.plain
        kept, self._kept = self._kept, None
        if kept is not None:
            if plain:
                heard = self._exchange(kept, shot, keep=True)
                # A server may close a connection at any time between two requests; that says nothing about this one.
                if heard.status is not None or heard.because.startswith("timed out"):
                    return heard
            kept.close()
        try:
            connection = self.connect()
        except OSError as wrong:
            return Heard(status=None, because=f"no connection: {wrong.strerror or wrong}")
        return self._exchange(connection, shot, keep=plain)

    def connect(self) -> socket.socket:
        """A new connection; the caller closes it."""
        connection = socket.create_connection((self.place.host, self.place.port), timeout=self.timeout_s)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self.place.scheme == "https":
            return ssl.create_default_context().wrap_socket(connection, server_hostname=self.place.host)
        return connection

    def _exchange(self, connection: socket.socket, shot: Shot, *, keep: bool) -> Heard:
        began = time.monotonic()
        patience_s = min(shot.patience_s or self.timeout_s, self.timeout_s)
        try:
            broken = write(connection, shot)
            if shot.hang_up:
                return Heard(status=None, because="hung up before the end")
            reading = Reading(connection, began + patience_s + shot.pause_s * len(shot.pieces))
            heard = reading.heard(began, broken)
            if keep and heard.status is not None and reading.may_be_kept:
                self._kept, keep = connection, False
                return heard
            return heard if shot.whole or heard.status is None else reading.and_more(heard)
        finally:
            if self._kept is not connection:
                with suppress(OSError):
                    connection.close()


def write(connection: socket.socket, shot: Shot) -> str:
    """Why not all of it could be written; empty where it could. A receiver may answer and close before it has read all."""
    try:
        for number, piece in enumerate(shot.pieces):
            if number and shot.pause_s:
                _pause(connection, shot.pause_s)
            connection.sendall(piece)
    except OSError as wrong:
        return f"closed while it was sent: {wrong.strerror or wrong}"
    return ""


def _pause(connection: socket.socket, seconds: float) -> None:
    """Let so much time pass, or less where the receiver has something to say already."""
    before = connection.gettimeout()
    connection.settimeout(seconds)
    with suppress(TimeoutError):
        connection.recv(1, socket.MSG_PEEK) if not isinstance(connection, ssl.SSLSocket) else None
    connection.settimeout(before)


class Reading:
    """Reads answers from a connection, one after the other. `ends` once the receiver will close it behind the last one."""

    def __init__(self, connection: socket.socket, deadline: float) -> None:
        self._connection, self._deadline = connection, deadline
        self._seen = b""
        self.ends = True

    @property
    def may_be_kept(self) -> bool:
        """Whether another request may be written, of which the answer will be its own."""
        return not self.ends and not self._seen

    def wait_until(self, deadline: float) -> None:
        self._deadline = deadline

    def heard(self, began: float, broken: str) -> Heard:
        try:
            status, head, body = self._answer()
        except TimeoutError:
            return Heard(status=None, because=f"timed out after {time.monotonic() - began:.1f} s")
        except (OSError, ValueError) as wrong:
            return Heard(status=None, because=broken or str(wrong) or "connection reset")
        return Heard(
            status=status, because=str(status), took_s=time.monotonic() - began, head=head, body=body[:BODY_MAX]
        )

    def and_more(self, first: Heard) -> Heard:
        """The same, once it is known whether another answer follows."""
        self._deadline = min(self._deadline, time.monotonic() + LINGER_S)
        with suppress(OSError, ValueError):
            while b"\r\n" not in self._seen:
                self._more()
        words = self._seen.split(None, 2)
        if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or words[1] in NO_REQUEST:
            return first
        return Heard(
            status=first.status,
            because=first.because,
            took_s=first.took_s,
            head=first.head,
            body=first.body,
            second=True,
        )

    def _answer(self) -> tuple[int, bytes, bytes]:
        while True:
            while b"\r\n\r\n" not in self._seen:
                self._more()
                if len(self._seen) > HEAD_MAX:
                    raise ValueError("the answer's head has no end")
            head, _, self._seen = self._seen.partition(b"\r\n\r\n")
            words = head.split(None, 2)
            if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
                raise ValueError("not an HTTP answer")
            if int(words[1]) >= 200:
                break
        said = {
            name.strip().lower(): value.strip()
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        }
        status, length = int(words[1]), said.get(b"content-length", b"")
        closing = said.get(b"connection", b"").lower() == b"close" or words[0] == b"HTTP/1.0"
        if status in (204, 304):
            length = b"0"
        if length.isdigit():
            while len(self._seen) < int(length):
                self._more()
            body, self._seen = self._seen[: int(length)], self._seen[int(length) :]
            self.ends = closing
            return status, head, body
        if said.get(b"transfer-encoding", b"").lower() == b"chunked":
            body = self._chunks()
            self.ends = closing
            return status, head, body
        with suppress(OSError, ValueError):
            while len(self._seen) < BODY_MAX:
                self._more()
        body, self._seen = self._seen, b""
        return status, head, body

    def _chunks(self) -> bytes:
        body = b""
        while True:
            size = int(self._line().partition(b";")[0], 16)
            while len(self._seen) < size + 2:
                self._more()
            body, self._seen = body + self._seen[:size], self._seen[size + 2 :]
            if not size or len(body) > BODY_MAX:
                return body

    def _line(self) -> bytes:
        while b"\r\n" not in self._seen:
            self._more()
        line, _, self._seen = self._seen.partition(b"\r\n")
        return line

    def _more(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        data = self._connection.recv(65536)
        if not data:
            raise ValueError("connection closed before the answer")
        self._seen += data
