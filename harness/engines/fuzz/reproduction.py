"""The bytes of a shot for somebody who wants to send them himself: a line for a shell, or a script where bytes matter."""

import base64
import shlex

from harness.engines.fuzz.door import Place, Shot

LINE_MAX = 6000
SCRIPT = """\
import base64, socket
from time import sleep
pieces = [{pieces}]
with socket.create_connection(({host!r}, {port}), timeout=10) as door:
    for piece in pieces:
        door.sendall(base64.b64decode(piece))
        sleep({pause})
    {ending}
"""
READ = "print(door.recv(65536).decode('latin-1'))"
LEAVE = "door.shutdown(socket.SHUT_WR)"
OWN_HEADERS = ("host", "content-length", "connection")


def reproduction(shot: Shot, place: Place) -> tuple[str, str]:
    """Its language, `sh` or `python`, and its text. A signature in it is as old as the shot: where a receiver looks at the
    time, the command of the finding, which signs afresh, shows more.
    """
    line = _curl(shot, place)
    return ("sh", line) if line is not None else ("python", _script(shot, place))


def _curl(shot: Shot, place: Place) -> str | None:
    """None where a shell or curl would change a byte of it."""
    if not shot.whole or len(shot.pieces) != 1:
        return None
    head, _, body = shot.bytes.partition(b"\r\n\r\n")
    if not (head + body).isascii() or b"\x00" in body or len(shot.bytes) > LINE_MAX or body.startswith(b"@"):
        return None
    first, *headers = head.decode().split("\r\n")
    if not all(letter.isprintable() for line in headers for letter in line):
        return None
    words = ["curl", "-sS", "-i", "-X", "POST"]
    named = {header.partition(":")[0].lower() for header in headers}
    for header in headers:
        name, _, value = header.partition(":")
        if name.lower() not in OWN_HEADERS:
            words += ["-H", header if value.strip() else f"{name};"]
    if "content-type" not in named:
        words += ["-H", "content-type:"]
    words += ["--data-binary", body.decode(), f"{place.scheme}://{place.authority}{first.split(' ')[1]}"]
    return shlex.join(words)


def _script(shot: Shot, place: Place) -> str:
    pieces = ", ".join(repr(base64.b64encode(piece).decode()) for piece in shot.pieces)
    if len(pieces) > 40_000:
        pieces = _short(shot)
    return SCRIPT.format(
        pieces=pieces, host=place.host, port=place.port, pause=shot.pause_s, ending=LEAVE if shot.hang_up else READ
    )


def _short(shot: Shot) -> str:
    """Large pieces are made of one that is repeated."""
    return ", ".join(_repeated(piece) for piece in shot.pieces)


def _repeated(piece: bytes) -> str:
    for size in range(1, 20):
        unit = piece[:size]
        if unit and unit * (len(piece) // size) == piece:
            return f"base64.b64encode({unit!r} * {len(piece) // size})"
    return repr(base64.b64encode(piece).decode())
