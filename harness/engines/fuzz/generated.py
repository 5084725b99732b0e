"""What chance makes up: Hypothesis draws variations, and makes those that something came of as simple as they can be.

Four families. `structure` is rightly signed and about nobody, so that no reading of it moves money; `structure-forged` is
about the victim and signed by nobody; `signature` carries the right signature, damaged; `http` is no HTTP that anyone writes.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import DoesNotFit, Expect, Scene
from harness.engines.fuzz.catalogue.doors import instead_of_signatures
from harness.engines.fuzz.catalogue.money import signed
from harness.engines.fuzz.catalogue.spelling import is_json
from harness.engines.fuzz.door import Shot
from harness.finding import Rule

Make = Callable[[Scene], Shot]

STRANGE: SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([-1, 0, 2**31, 2**53 + 1, 2**63, -(2**63) - 1, 10**400]),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(
        ["", "\x00", "\ud800", "1e9", "NaN", "'; --", "../..", "９９", "9999-99-99T99:99:99Z", "x" * 10_000]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
JSON_WHOLE = st.sampled_from([b"", b"null", b"[]", b"{}", b'"x"', b"0", b"{", b"[" * 2000, b"\xff\xfe", b"{}" * 2])
CODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A family: its rule, what a receiver must do, and how one of it is drawn."""

    rule: Rule
    expect: Expect
    drawn: SearchStrategy[Make]


@st.composite
def _edits(draw: DrawFn) -> Sequence[tuple[str, int, Any]]:
    kinds = st.sampled_from(["replace", "delete", "twice", "rename", "wrap"])
    return draw(st.lists(st.tuples(kinds, st.integers(0, 30), STRANGE), min_size=1, max_size=3))


def _edited(body: bytes, edits: Sequence[tuple[str, int, Any]], coding: str) -> bytes:
    """A JSON document, changed at some of its places."""
    document = json.loads(body)
    again: list[tuple[str, Any]] = []
    for kind, number, value in edits:
        places = list(_places(document))
        if not places:
            break
        holder, name = places[number % len(places)]
        match kind:
            case "replace":
                holder[name] = value
            case "delete":
                del holder[name]
            case "twice":
                again.append((name, value))
            case "rename":
                holder[name + "\u200b"] = holder.pop(name)
            case _:
                holder[name] = [holder[name]]
    text = json.dumps(document)
    for name, value in again:
        text = f"{text[:-1]}{', ' if len(text) > 2 else ''}{json.dumps(name)}: {json.dumps(value)}}}"
    return text.encode(coding, "surrogatepass" if coding.startswith("utf") else "replace")


def _places(document: Any) -> Any:
    """Every field, with the object that holds it."""
    if isinstance(document, dict):
        for name, value in list(document.items()):
            yield document, name
            yield from _places(value)
    elif isinstance(document, list):
        for value in document:
            yield from _places(value)


def _edited_form(body: bytes, edits: Sequence[tuple[str, int, Any]]) -> bytes:
    fields = parse_qsl(body.decode(), keep_blank_values=True)
    for kind, number, value in edits:
        if not fields:
            break
        at = number % len(fields)
        name, said = fields[at]
        match kind:
            case "delete":
                del fields[at]
            case "twice":
                fields.insert(at, (name, str(value)))
            case "rename":
                fields[at] = (name + "[]", said)
            case _:
                fields[at] = (name, str(value))
    return urlencode(fields, errors="replace").encode()


@st.composite
def _changes(draw: DrawFn) -> Callable[[Wire], Wire]:
    """What becomes of a message before it is signed."""
    edits, coding = draw(_edits()), draw(st.sampled_from(CODINGS))
    whole = draw(st.one_of(st.none(), st.none(), st.none(), JSON_WHOLE))
    cut = draw(st.one_of(st.none(), st.none(), st.integers(0, 400)))

    def change(wire: Wire) -> Wire:
        body = _edited(wire.body, edits, coding) if is_json(wire) else _edited_form(wire.body, edits)
        if whole is not None:
            body = whole
        return replace(wire, body=body[:cut])

    return change


@st.composite
def _structure(draw: DrawFn) -> Make:
    change = draw(_changes())
    return lambda scene: scene.whole(signed(scene, change(scene.written(scene.ghost))))


@st.composite
def _structure_forged(draw: DrawFn) -> Make:
    change = draw(_changes())
    # Changed after it was signed, so that any of it can be sent, in every dialect.
    return lambda scene: scene.whole(change(scene.pen.sign_wrongly(scene.written(scene.victim))))


@st.composite
def _signature(draw: DrawFn) -> Make:
    """The right signature, damaged so that no lenient reading makes it whole again: its first half differs or is gone."""
    kind = draw(st.sampled_from(["flip", "cut", "replace", "repeat", "bytes", "none"]))
    place, letter = draw(st.integers(0, 30)), draw(st.sampled_from(b"0123456789abcdef"))
    junk = draw(st.binary(max_size=80)).translate(None, b"\r\n\x00")
    times = draw(st.integers(2, 40))

    def damage(signature: bytes) -> bytes:
        at = place % (len(signature) // 2 or 1)
        match kind:
            case "flip":
                other = (
                    letter if signature[at : at + 1].lower() != bytes([letter]) else ord("7" if letter != 55 else "3")
                )
                return signature[:at] + bytes([other]) + signature[at + 1 :]
            case "cut":
                return signature[:at]
            case "replace":
                return junk
            case "repeat":
                return (signature[:at] + b"A") * times
            case "bytes":
                return junk + signature[at + 1 :]
            case _:
                return b""

    def make(scene: Scene) -> Shot:
        right = scene.pen.sign(scene.written(scene.victim))
        wire = instead_of_signatures(scene, right, damage)
        if wire == right:
            raise DoesNotFit("nothing was damaged")
        return scene.whole(wire)

    return make


TOKENS = st.sampled_from(
    [
        b"content-length: 0\r\n",
        b"content-length: -1\r\n",
        b"content-length: 1\r\n",
        b"content-length: 0x10\r\n",
        b"content-length: 5, 6\r\n",
        b"transfer-encoding: chunked\r\n",
        b"transfer-encoding: gzip, chunked\r\n",
        b"transfer-encoding: xchunked\r\n",
        b"expect: 100-continue\r\n",
        b"connection: upgrade\r\nupgrade: websocket\r\n",
        b"host: elsewhere\r\n",
        b" folded: yes\r\n",
        b"no colon here\r\n",
        b": no name\r\n",
        b"x-long: " + b"y" * 70_000 + b"\r\n",
        b"x-bytes: \x01\x7f\xff\r\n",
        b"accept-encoding: " + b"gzip," * 500 + b"\r\n",
    ]
)
CHUNKS = st.sampled_from(
    [b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"ffffffffffffffff\r\nx", b"-1\r\n\r\n", b"zz\r\n", b"1;a=b\r\nx\r\n"]
)
LINES = st.sampled_from(
    [
        None,
        None,
        None,
        None,
        b"POST / HTTP/9.9\r\n",
        b"\r\n\r\n",
        b"GET",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
    ]
)


@st.composite
def _http(draw: DrawFn) -> Make:
    headers = draw(st.lists(TOKENS, max_size=3))
    tail = draw(st.one_of(st.none(), CHUNKS, st.binary(max_size=30)))
    line, parts = draw(LINES), draw(st.integers(1, 4))
    leave, pause_s = draw(st.booleans()), draw(st.sampled_from([0.0, 0.0, 0.01]))

    def make(scene: Scene) -> Shot:
        wire = scene.pen.sign_wrongly(scene.written(scene.victim))
        head = scene.head(wire)
        if line is not None:
            head = line + head.partition(b"\r\n")[2]
        message = head[:-2] + b"".join(headers) + b"\r\n" + (wire.body if tail is None else tail)
        size = -(-len(message) // parts)
        pieces = tuple(message[at : at + size] for at in range(0, len(message), size))
        return Shot(pieces=pieces, pause_s=pause_s, whole=False, hang_up=leave, patience_s=0.1)

    return make


def _family(
    name: str, expect: Expect, drawn: SearchStrategy[Make], what: str, correct: str, cwe: tuple[int, ...]
) -> Generated:
    return Generated(rule=Rule(id=f"generated/{name}", what=what, correct=correct, cwe=cwe), expect=expect, drawn=drawn)


GENERATED: Mapping[str, Generated] = {
    family.rule.id: family
    for family in (
        _family(
            "structure",
            Expect.IGNORE,
            _structure(),
            "Rightly signed, and its fields changed, left out, repeated or written in another coding; about nobody's payment.",
            "any answer but a server error, and no balance moves",
            (20, 755),
        ),
        _family(
            "structure-forged",
            Expect.REFUSE,
            _structure_forged(),
            "The same, about a payment that waits for its customer, signed with a key that nobody knows.",
            "it is refused; no balance moves",
            (347, 345),
        ),
        _family(
            "signature",
            Expect.REFUSE,
            _signature(),
            "The right signature with a part of it flipped, cut off, repeated or replaced.",
            "it is refused; no balance moves",
            (347, 697),
        ),
        _family(
            "http",
            Expect.REFUSE,
            _http(),
            "Lengths that disagree, chunks that are none, headers without end, bodies that trickle in, and senders that leave.",
            "it is refused or the connection closed; others are served meanwhile; no balance moves",
            (444, 400),
        ),
    )
}
