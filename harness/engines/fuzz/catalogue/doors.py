"""Doors: unsigned or wrongly signed, with something beside it that once opened a door."""

from collections.abc import Callable
from urllib.parse import quote_plus

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene, attack
from harness.engines.fuzz.door import Shot

CLOSED = "it is refused like any other that is not signed; no balance moves"


def _beside(
    name: str,
    numbers: str,
    headers: tuple[tuple[str, bytes], ...],
    what: str,
    cwe: tuple[int, ...],
    seen: str = "",
    query: str = "",
) -> Attack:
    def make(scene: Scene) -> Shot:
        wire = scene.pen.sign_wrongly(scene.written(scene.victim))
        target = f"{scene.place.target}{'&' if '?' in scene.place.target else '?'}{query}" if query else ""
        return scene.whole(Wire((*wire.headers, *headers), wire.body, wire.url), target=target)

    return attack(
        f"doors/{name}",
        numbers,
        Expect.REFUSE,
        make,
        what=f"Signed with a key that nobody knows, and {what}.",
        correct=CLOSED,
        cwe=cwe,
        seen=(seen,) if seen else (),
    )


def _in_its_place(name: str, value: bytes, what: str) -> Attack:
    """Where the signature stands, something that a loose comparison takes for it."""

    def make(scene: Scene) -> Shot:
        wire = scene.pen.sign_wrongly(scene.written(scene.victim))
        return scene.whole(instead_of_signatures(scene, wire, lambda _: value))

    return attack(
        f"doors/{name}",
        "B-43",
        Expect.REFUSE,
        make,
        what=f"In the place of the signature, {what}.",
        correct=CLOSED,
        cwe=(697, 1024),
    )


def instead_of_signatures(scene: Scene, wire: Wire, change: Callable[[bytes], bytes]) -> Wire:
    """The message with every signature changed that stands in a header, or in the fields of a form."""
    headers, body = list(wire.headers), wire.body
    for signature in scene.pen.signatures(wire):
        written, in_a_form = signature.encode(), quote_plus(signature).encode()
        for number, (name, value) in enumerate(headers):
            if written and written in value:
                headers[number] = (name, value.replace(written, change(written)))
        if written and in_a_form in body:
            body = body.replace(in_a_form, quote_plus(change(written)).encode())
    changed = Wire(tuple(headers), body, wire.url)
    if changed == wire:
        raise DoesNotFit("the signature does not stand in a header or a form")
    return changed


def _doubled(scene: Scene) -> Shot:
    """Two headers of the same name, the first of them signed wrongly; who joins them has two signatures."""
    wire = scene.pen.sign_wrongly(scene.written(scene.victim))
    return scene.whole(Wire((*wire.headers, *wire.headers), wire.body, wire.url))


def _oversized(scene: Scene) -> Shot:
    wire = scene.pen.sign_wrongly(scene.written(scene.victim))
    return scene.whole(instead_of_signatures(scene, wire, lambda signature: signature * 500))


LOCAL = b"127.0.0.1"

DOORS = (
    _beside(
        "said-to-be-local",
        "B-45",
        (
            ("x-forwarded-for", LOCAL),
            ("cf-connecting-ip", LOCAL),
            ("x-real-ip", LOCAL),
            ("forwarded", b"for=127.0.0.1"),
        ),
        "said to come from the receiver's own machine",
        (290, 348),
        "https://github.com/Infisical/infisical/issues/6645",
    ),
    _beside(
        "switches-in-headers",
        "B-46",
        (("x-test-mode", b"true"), ("x-debug", b"1"), ("x-skip-verification", b"true"), ("x-allow-unsigned", b"1")),
        "headers that ask for a test mode",
        (489, 1188),
        "https://github.com/NorthlandPositronics/Cogtrix/issues/324",
    ),
    _beside(
        "switches-in-the-query",
        "B-46",
        (),
        "a query that asks for a test mode",
        (489, 1188),
        "https://github.com/amurshak/congressMCP/pull/10",
        query="test=1&debug=true&skip_verification=1&allow_unsigned=1",
    ),
    _beside(
        "key-in-a-header",
        "B-05",
        (("x-djstripe-webhook-secret", b"whsec_chosen"), ("x-webhook-secret", b"whsec_chosen")),
        "a header that says which key to verify it with",
        (807, 347),
        "https://github.com/dj-stripe/dj-stripe/pull/1923",
    ),
    _in_its_place("signature-of-nothing", b"0", "a zero"),
    _in_its_place("signature-like-a-number", b"0e0", "what a loose comparison takes for zero"),
    _in_its_place("signature-true", b"true", "the word true"),
    attack(
        "doors/headers-twice",
        "B-40",
        Expect.REFUSE,
        _doubled,
        what="Every header twice, signed with a key that nobody knows.",
        correct=CLOSED,
        cwe=(436, 755),
    ),
    attack(
        "doors/oversized-signature",
        "B-40",
        Expect.REFUSE,
        _oversized,
        what="A signature five hundred times as long as it should be.",
        correct="it is refused, with an answer that is not a server error",
        cwe=(755, 770),
    ),
)
