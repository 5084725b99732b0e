"""Framing: HTTP that no honest client writes. Never signed with a key that the receiver knows."""

from harness.engines.fuzz.attack import Expect, Scene, attack
from harness.engines.fuzz.door import Shot

REFUSED = "it is refused or the connection closed; others are served meanwhile; no balance moves"
ONCE = "it is refused, and nothing behind it is taken for another request"
PATIENCE_S = 2.0


def _wire_parts(scene: Scene, framing: bytes) -> tuple[bytes, bytes]:
    wire = scene.pen.sign_wrongly(scene.written(scene.victim))
    return scene.head(wire, framing=framing), wire.body


def _behind(scene: Scene) -> bytes:
    """A whole request to be smuggled in."""
    return scene.request(scene.pen.sign_wrongly(scene.written(scene.victim)))


def _length_and_chunks(scene: Scene) -> Shot:
    hidden = _behind(scene)
    head, _ = _wire_parts(scene, b"content-length: %d\r\ntransfer-encoding: chunked\r\n" % (len(hidden) + 5))
    return Shot(pieces=(head + b"0\r\n\r\n" + hidden,), whole=False, patience_s=PATIENCE_S)


def _two_lengths(scene: Scene) -> Shot:
    hidden = _behind(scene)
    head, body = _wire_parts(scene, b"")
    lengths = b"content-length: %d\r\ncontent-length: %d\r\n\r\n" % (len(body), len(body) + len(hidden))
    return Shot(pieces=(head[:-2] + lengths + body + hidden,), whole=False, patience_s=PATIENCE_S)


def _strange_coding(scene: Scene) -> Shot:
    head, body = _wire_parts(scene, b"transfer-encoding: \x0bchunked, identity\r\n")
    return Shot(pieces=(head + body,), whole=False, patience_s=PATIENCE_S)


def _flood_of_chunks(scene: Scene) -> Shot:
    head, _ = _wire_parts(scene, b"transfer-encoding: chunked\r\n")
    return Shot(pieces=(head, b"1\r\nx\r\n" * 50_000, b"0\r\n\r\n"), whole=False)


def _large_body(scene: Scene) -> Shot:
    size = 20_000_000
    head, _ = _wire_parts(scene, b"content-length: %d\r\n" % size)
    return Shot(pieces=(head, *([b"0" * 1_000_000] * (size // 1_000_000))), whole=False)


def _promised_body(scene: Scene) -> Shot:
    head, body = _wire_parts(scene, b"content-length: 99999999999999999999\r\n")
    return Shot(pieces=(head + body,), whole=False, hang_up=True)


def _slow_body(scene: Scene) -> Shot:
    head, body = _wire_parts(scene, b"content-length: 5000\r\n")
    return Shot(pieces=(head, *(body[at : at + 1] for at in range(10))), pause_s=0.1, whole=False, hang_up=True)


def _half_a_head(scene: Scene) -> Shot:
    head, _ = _wire_parts(scene, b"content-length: 10\r\n")
    return Shot(pieces=(head[: len(head) // 2],), whole=False, hang_up=True)


def _folded(scene: Scene) -> Shot:
    head, body = _wire_parts(scene, b"")
    length = b"content-length: %d\r\nx-folded: one\r\n two\r\n\r\n" % len(body)
    return Shot(pieces=(head[:-2] + length + body,), whole=False, patience_s=PATIENCE_S)


def _many_headers(scene: Scene) -> Shot:
    head, body = _wire_parts(scene, b"")
    many = b"".join(b"x-%d: y\r\n" % number for number in range(5000))
    return Shot(pieces=(head[:-2] + many + b"content-length: %d\r\n\r\n" % len(body) + body,), whole=False)


FRAMING = (
    attack(
        "framing/length-and-chunks",
        "B-38",
        Expect.REFUSE,
        _length_and_chunks,
        what="A length and chunks that disagree about where the body ends, and a second callback behind it.",
        correct=ONCE,
        cwe=(444,),
        seen=("https://o3.security/vulnerability/GHSA-w3h3-4rj7-4ph4",),
    ),
    attack(
        "framing/two-lengths",
        "B-38",
        Expect.REFUSE,
        _two_lengths,
        what="Two lengths that disagree, and a second callback behind the shorter.",
        correct=ONCE,
        cwe=(444,),
    ),
    attack(
        "framing/strange-coding",
        "B-38",
        Expect.REFUSE,
        _strange_coding,
        what="A transfer coding that is none.",
        correct=ONCE,
        cwe=(444,),
    ),
    attack(
        "framing/flood-of-chunks",
        "B-37",
        Expect.REFUSE,
        _flood_of_chunks,
        what="Fifty thousand chunks of one byte.",
        correct=REFUSED,
        cwe=(770, 407),
    ),
    attack(
        "framing/large-body",
        "B-36",
        Expect.REFUSE,
        _large_body,
        what="A body of twenty million bytes, unsigned.",
        correct="it is refused as soon as it is longer than anything that is meant",
        cwe=(770,),
        seen=("https://www.sentinelone.com/vulnerability-database/cve-2026-42294/",),
    ),
    attack(
        "framing/promised-body",
        "B-36",
        Expect.REFUSE,
        _promised_body,
        what="A length of twenty digits, and the sender hangs up.",
        correct=REFUSED,
        cwe=(770, 190),
    ),
    attack(
        "framing/slow-body",
        "B-39",
        Expect.REFUSE,
        _slow_body,
        what="A body that trickles in and never ends.",
        correct=REFUSED,
        cwe=(400,),
    ),
    attack(
        "framing/half-a-head",
        "B-39",
        Expect.REFUSE,
        _half_a_head,
        what="Half of the headers, and the sender hangs up.",
        correct=REFUSED,
        cwe=(400,),
    ),
    attack(
        "framing/folded-header",
        "B-40",
        Expect.REFUSE,
        _folded,
        what="A header that goes on in the next line.",
        correct=REFUSED,
        cwe=(436,),
    ),
    attack(
        "framing/many-headers",
        "B-40",
        Expect.REFUSE,
        _many_headers,
        what="Five thousand headers.",
        correct=REFUSED,
        cwe=(755, 770),
    ),
)
