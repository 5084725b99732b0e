"""Spelling: the same news in other bytes, where two readers differ about what they say."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene, attack
from harness.engines.fuzz.catalogue.money import signed
from harness.engines.fuzz.door import Shot

UNSCATHED = "it is refused or passed over, with an answer that is not a server error; no balance moves"


def is_json(wire: Wire) -> bool:
    return b"json" in (wire.header("content-type") or b"")


def _only_json(wire: Wire) -> Wire:
    if not is_json(wire):
        raise DoesNotFit("the dialect does not speak JSON")
    return wire


def _of_nobody(
    name: str, numbers: str, change: Callable[[Wire], Wire], what: str, cwe: tuple[int, ...], seen: tuple[str, ...] = ()
) -> Attack:
    """Rightly signed, about a payment that nobody has heard of: whatever a receiver reads in it, no money is to move."""

    def make(scene: Scene) -> Shot:
        return scene.whole(signed(scene, change(scene.written(scene.ghost))))

    return attack(
        f"spelling/{name}",
        numbers,
        Expect.IGNORE,
        make,
        what=f"Rightly signed: {what}.",
        correct=UNSCATHED,
        cwe=cwe,
        seen=seen,
    )


def _body(change: Callable[[bytes], bytes]) -> Callable[[Wire], Wire]:
    return lambda wire: replace(wire, body=change(_only_json(wire).body))


def _nested(body: bytes) -> bytes:
    return body[:-1] + b',"deep":' + b"[" * 20_000 + b"]" * 20_000 + b"}"


def _typed(type: bytes) -> Callable[[Wire], Wire]:
    return lambda wire: wire.with_headers(content_type=type)


def _reformatted(scene: Scene) -> Shot:
    """Indented, in another order, and with every letter outside ASCII escaped: the same news."""
    wire = _only_json(scene.written(scene.known))
    try:
        document = json.loads(wire.body)
    except ValueError as wrong:
        raise DoesNotFit("the body cannot be written otherwise") from wrong
    body = json.dumps(dict(reversed(document.items())), indent=2).encode()
    return scene.whole(signed(scene, replace(wire, body=body)))


def _alike(scene: Scene) -> Shot:
    reference = str(scene.victim["reference"])
    place = max((at for at, letter in enumerate(reference) if letter.isascii() and letter.isalnum()), default=-1)
    if place < 0:
        raise DoesNotFit("the reference has no letter with a double")
    double = chr(ord(reference[place]) + 0xFEE0)
    about = dict(scene.victim) | {"reference": reference[:place] + double + reference[place + 1 :]}
    return scene.whole(signed(scene, scene.written(about)))


def _other_case(scene: Scene) -> Shot:
    reference = str(scene.victim["reference"])
    if reference.swapcase() == reference:
        raise DoesNotFit("the reference has no letters")
    return scene.whole(signed(scene, scene.written(dict(scene.victim) | {"reference": reference.swapcase()})))


def _line_breaks(scene: Scene) -> Shot:
    about = dict(scene.ghost)
    about["reference"] = f"{about['reference']}\r\n{INJECTED} payment credited\x1b[2K"
    return scene.whole(signed(scene, scene.written(about)))


def _xml(scene: Scene) -> Shot:
    entity = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><xml><id>&x;</id></xml>'
    return scene.whole(Wire((("content-type", b"application/xml"),), entity))


def _bomb(scene: Scene) -> Shot:
    wire = scene.written(scene.victim)
    packed = gzip.compress(b"0" * 20_000_000, mtime=0)
    return scene.whole(replace(wire, body=packed).with_headers(content_encoding=b"gzip"))


INJECTED = "chaos-injected-line"
"""Begins a line of a log only where a line break got into it that came from outside."""

SPELLING = (
    attack(
        "spelling/reformatted",
        "B-32",
        Expect.ACCEPT,
        _reformatted,
        what="Genuine news that is known already, indented and with its fields in another order; signed as it stands.",
        correct="it is acknowledged: what was signed are the bytes that came, and not what a parser makes of them",
        cwe=(347, 436),
        seen=("https://github.com/octokit/webhooks.js/issues/71", "https://github.com/getsentry/sentry/issues/71025"),
        refused=(347, 436),
    ),
    attack(
        "spelling/double-of-a-letter",
        "B-27",
        Expect.IGNORE,
        _alike,
        what="Rightly signed, about a reference that looks like an order's and has one letter of another alphabet.",
        correct="it is another reference: no balance moves",
        cwe=(176, 1007),
    ),
    attack(
        "spelling/other-case",
        "B-27",
        Expect.IGNORE,
        _other_case,
        what="Rightly signed, about an order's reference in the other case.",
        correct="it is another reference: no balance moves",
        cwe=(178,),
    ),
    attack(
        "spelling/line-breaks",
        "B-53",
        Expect.IGNORE,
        _line_breaks,
        what="Rightly signed, with a line break and a terminal's control letters in a reference.",
        correct="what is logged of it stays on one line",
        cwe=(117,),
        seen=("https://github.com/worldbank/data360-mcp/pull/140",),
    ),
    attack(
        "spelling/external-entity",
        "B-31",
        Expect.REFUSE,
        _xml,
        what="XML that asks for a file of the receiver's, unsigned.",
        correct="it is refused, and nothing is read for it",
        cwe=(611,),
        seen=("https://github.com/binarywang/WxJava/issues/889",),
    ),
    attack(
        "spelling/packed-bomb",
        "B-35",
        Expect.REFUSE,
        _bomb,
        what="Twenty million zeros packed into twenty thousand bytes, unsigned.",
        correct="it is refused unopened",
        cwe=(409,),
    ),
    _of_nobody(
        "byte-order-mark", "B-33", _body(lambda body: b"\xef\xbb\xbf" + body), "a byte order mark first", (838, 172)
    ),
    _of_nobody("utf-16", "B-33", _body(lambda body: body.decode().encode("utf-16")), "in UTF-16", (838, 172)),
    _of_nobody(
        "not-utf-8", "B-33", _body(lambda body: body[:-1] + b',"x":"\xff\xfe"}'), "bytes that are not UTF-8", (172,)
    ),
    _of_nobody(
        "half-a-pair", "B-33", _body(lambda body: body[:-1] + b',"x":"\\ud800"}'), "half of a surrogate pair", (172,)
    ),
    _of_nobody(
        "zero-byte", "B-33", _body(lambda body: body[:-1] + b',"x":"\\u0000"}'), "a letter of value zero", (158, 172)
    ),
    _of_nobody("deeply-nested", "B-41", _body(_nested), "lists in lists, twenty thousand deep", (674,)),
    _of_nobody("field-twice", "B-28", _body(lambda body: body[:-1] + b"," + body[1:]), "every field twice", (436,)),
    _of_nobody(
        "not-an-object", "B-43", _body(lambda body: b"[" + body + b"]"), "a list where an object is meant", (697, 20)
    ),
    _of_nobody("null", "B-43", _body(lambda _: b"null"), "nothing at all", (697, 20)),
    _of_nobody("empty", "B-43", _body(lambda _: b""), "an empty body", (20,)),
    _of_nobody("cut-short", "B-43", _body(lambda body: body[: len(body) // 2]), "half of a body", (20,)),
    _of_nobody(
        "said-to-be-text",
        "B-34",
        _typed(b"text/plain"),
        "with the content type of plain text",
        (436, 351),
        ("https://github.com/frain-dev/convoy/pull/2392",),
    ),
    _of_nobody(
        "said-to-be-a-form", "B-34", _typed(b"multipart/form-data; boundary=x"), "as if it were a form", (436, 351)
    ),
    _of_nobody("in-another-charset", "B-33", _typed(b"application/json; charset=gbk"), "said to be in GBK", (838,)),
)
