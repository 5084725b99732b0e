"""What chance makes up: Hypothesis draws variations, and makes those that something came of as simple as they can be.

Four families. `structure` is rightly signed and about nobody, so that no reading of it moves money; `structure-forged` is
about the victim and signed by nobody; `signature` carries the right signature, damaged; `http` is no HTTP that anyone writes.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import DoesNotFit, Expect, Scene
from harness.engines.fuzz.catalogue.doors import instead_of_signatures
from harness.engines.fuzz.catalogue.money import signed
from harness.engines.fuzz.catalogue.spelling import is_json
from harness.engines.fuzz.door import Shot
from harness.engines.fuzz.drawing import Dice, Generated
from harness.finding import Rule

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
JUNK = st.binary(max_size=80)
JSON_WHOLE = (b"", b"null", b"[]", b"{}", b'"x"', b"0", b"{", b"[" * 2000, b"\xff\xfe", b"{}" * 2)
CODINGS = ("utf-8", "utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1")


Edits = Sequence[tuple[str, int, Any]]
KINDS = ("replace", "delete", "twice", "rename", "wrap")


def _edits(dice: Dice, values: Sequence[Any]) -> Edits:
    return [(dice.one_of(KINDS), dice.below(31), dice.one_of(values)) for _ in range(1 + dice.below(3))]


def _edited(body: bytes, edits: Edits, coding: str) -> bytes:
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


def _edited_form(body: bytes, edits: Edits) -> bytes:
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


def changed(wire: Wire, dice: Dice, values: Sequence[Any]) -> Wire:
    """What becomes of a message before it is signed."""
    edits, coding = _edits(dice, values), dice.one_of(CODINGS)
    if dice.once_in(12):
        body = dice.one_of(JSON_WHOLE)
    else:
        body = wire.body
        with suppress(ValueError, RecursionError):  # what was recorded need not be a document
            body = _edited(body, edits, coding) if is_json(wire) else _edited_form(body, edits)
    cut = dice.once_in(8)
    return replace(wire, body=body[: 2 * dice.below(256)] if cut else body)


def _structure(scene: Scene, letter: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    return scene.whole(signed(scene, changed(letter, dice, values)))


def _structure_forged(scene: Scene, letter: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    """Changed after it was signed, so that any of it can be sent, in every dialect."""
    return scene.whole(changed(letter, dice, values))


def damaged(scene: Scene, letter: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    """The right signature, damaged so that no lenient reading makes it whole again: its first half differs or is gone."""
    kind, place = dice.one_of(("flip", "cut", "replace", "repeat", "bytes", "none")), dice.below(31)
    digit, times = dice.one_of(b"0123456789abcdef"), 2 + dice.below(39)
    junk = bytes(dice.one_of(values)).translate(None, b"\r\n\x00")

    def damage(signature: bytes) -> bytes:
        at = place % (len(signature) // 2 or 1)
        match kind:
            case "flip":
                same = signature[at : at + 1].lower() == bytes([digit])
                other = digit if not same else ord("7" if digit != ord("7") else "3")
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

    wire = instead_of_signatures(scene, letter, damage)
    if wire == letter:
        raise DoesNotFit("nothing was damaged")
    return scene.whole(wire)


TOKENS = (
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
)
CHUNKS = (
    b"0\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\n",
    b"ffffffffffffffff\r\nx",
    b"-1\r\n\r\n",
    b"zz\r\n",
    b"1;a=b\r\nx\r\n",
)
LINES = (
    None,
    None,
    None,
    None,
    b"POST / HTTP/9.9\r\n",
    b"\r\n\r\n",
    b"GET",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"\x16\x03\x01\x02\x00",
)


def _http(scene: Scene, letter: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    head, line = scene.head(letter), dice.one_of(LINES)
    headers = [dice.one_of(TOKENS) for _ in range(dice.below(4))]
    tail = dice.one_of((letter.body, dice.one_of(CHUNKS), bytes(dice.one_of(values))))
    if line is not None:
        head = line + head.partition(b"\r\n")[2]
    message = head[:-2] + b"".join(headers) + b"\r\n" + tail
    size = -(-len(message) // (1 + dice.below(4)))
    pieces = tuple(message[at : at + size] for at in range(0, len(message), size))
    leave, pause_s = dice.one_of((False, True)), dice.one_of((0.0, 0.0, 0.01))
    return Shot(pieces=pieces, pause_s=pause_s, whole=False, hang_up=leave, patience_s=0.1)


def _family(name: str, expect: Expect, *, what: str, correct: str, cwe: tuple[int, ...], **how: Any) -> Generated:
    return Generated(rule=Rule(id=f"generated/{name}", what=what, correct=correct, cwe=cwe), expect=expect, **how)


def _wrongly(scene: Scene) -> Wire:
    return scene.pen.sign_wrongly(scene.written(scene.victim))


GENERATED: Mapping[str, Generated] = {
    family.rule.id: family
    for family in (
        _family(
            "structure",
            Expect.IGNORE,
            what="Rightly signed, and its fields changed, left out, repeated or written in another coding; about nobody's payment.",
            correct="any answer but a server error, and no balance moves",
            cwe=(20, 755),
            values=STRANGE,
            letter=lambda scene: scene.written(scene.ghost),
            vary=_structure,
            anew=True,
        ),
        _family(
            "structure-forged",
            Expect.REFUSE,
            what="The same, about a payment that waits for its customer, signed with a key that nobody knows.",
            correct="it is refused; no balance moves",
            cwe=(347, 345),
            values=STRANGE,
            letter=_wrongly,
            vary=_structure_forged,
        ),
        _family(
            "signature",
            Expect.REFUSE,
            what="The right signature with a part of it flipped, cut off, repeated or replaced.",
            correct="it is refused; no balance moves",
            cwe=(347, 697),
            values=JUNK,
            letter=lambda scene: scene.pen.sign(scene.written(scene.victim)),
            vary=damaged,
        ),
        _family(
            "http",
            Expect.REFUSE,
            what="Lengths that disagree, chunks that are none, headers without end, bodies that trickle, senders that leave.",
            correct="it is refused or the connection closed; others are served meanwhile; no balance moves",
            cwe=(444, 400),
            values=JUNK,
            letter=_wrongly,
            vary=_http,
            plain=False,
        ),
    )
}
