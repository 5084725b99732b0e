"""Money: rightly signed, about a payment that was ordered, and not the amount that was ordered, however it is written."""

import re
from collections.abc import Callable
from dataclasses import replace

from fake_provider.dialects import Wire
from fake_provider.pen import CannotWrite
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene, attack
from harness.engines.fuzz.door import Shot

QUARANTINE = "it is set aside for somebody to look at, or refused; no balance moves"


def respelt(scene: Scene, wire: Wire, spelling: Callable[[int], str]) -> Wire:
    """The message with its amount written otherwise, and signed. Where a dialect writes decimals, so is what is written."""
    minor = int(scene.victim["amount_minor"])
    for form, whole in ((str(minor), True), (f"{minor // 100}.{minor % 100:02}", False)):
        found = re.compile(rb"(?<![0-9.])" + re.escape(form).encode() + rb"(?![0-9.])")
        written = spelling(minor if whole else minor // 100).encode()
        body, count = found.subn(lambda _, written=written: written, wire.body)  # type: ignore[misc]
        if count:
            return signed(scene, replace(wire, body=body))
    raise DoesNotFit("the amount does not stand in the body as it is")


def signed(scene: Scene, wire: Wire, *, wrongly: bool = False) -> Wire:
    """Signed, or signed with a key that nobody knows, where the dialect is able to sign such a thing."""
    try:
        return scene.pen.sign_wrongly(wire) if wrongly else scene.pen.sign(wire)
    except CannotWrite as wrong:
        raise DoesNotFit(f"the dialect cannot sign that: {type(wrong).__name__}") from wrong


def _written(
    name: str, numbers: str, spelling: Callable[[int], str], what: str, cwe: tuple[int, ...], seen: str = ""
) -> Attack:
    def make(scene: Scene) -> Shot:
        return scene.whole(respelt(scene, scene.written(scene.victim), spelling))

    return attack(
        f"money/{name}",
        numbers,
        Expect.IGNORE,
        make,
        what=f"Rightly signed, with an amount {what}.",
        correct=QUARANTINE,
        cwe=cwe,
        seen=(seen,) if seen else (),
    )


def _claimed(
    name: str, numbers: str, change: Callable[[int], int], what: str, cwe: tuple[int, ...], seen: str
) -> Attack:
    def make(scene: Scene) -> Shot:
        about = dict(scene.victim) | {"amount_minor": change(int(scene.victim["amount_minor"]))}
        return scene.whole(scene.pen.sign(scene.written(about)))

    return attack(
        f"money/{name}",
        numbers,
        Expect.IGNORE,
        make,
        what=f"Rightly signed, and the amount is {what}.",
        correct=QUARANTINE,
        cwe=cwe,
        seen=(seen,),
    )


def _other_currency(scene: Scene) -> Shot:
    other = "USD" if scene.victim["currency"] != "USD" else "EUR"
    return scene.whole(scene.pen.sign(scene.written(dict(scene.victim) | {"currency": other})))


def _fullwidth(minor: int) -> str:
    return "".join(chr(0xFF10 + int(digit)) for digit in str(minor * 2))


MONEY = (
    _claimed(
        "more-than-ordered",
        "B-19",
        lambda minor: minor * 2,
        "twice what was ordered",
        (345, 840),
        "https://dev.to/nitishyaddala/authenticating-a-webhook-isnt-validating-it-a-payment-bypass-lesson-cve-2026-9189-248k",
    ),
    _claimed(
        "less-than-ordered",
        "B-19",
        lambda _: 1,
        "the smallest there is: one unit was paid for all of it",
        (345, 840),
        "https://dev.to/nitishyaddala/authenticating-a-webhook-isnt-validating-it-a-payment-bypass-lesson-cve-2026-9189-248k",
    ),
    _claimed(
        "times-a-hundred",
        "B-20",
        lambda minor: minor * 100,
        "a hundred times what was ordered, as of a currency without minor units",
        (682,),
        "https://github.com/Paymenter/Paymenter/issues/1258",
    ),
    _claimed(
        "times-ten",
        "B-21 B-22",
        lambda minor: minor * 10,
        "ten times what was ordered, as of a currency with three digits",
        (682,),
        "https://github.com/woocommerce/woocommerce-gateway-stripe/issues/2720",
    ),
    attack(
        "money/other-currency",
        "B-19",
        Expect.IGNORE,
        _other_currency,
        what="Rightly signed, with the right number in another currency.",
        correct=QUARANTINE,
        cwe=(345, 840),
        seen=(
            "https://dev.to/nitishyaddala/authenticating-a-webhook-isnt-validating-it-a-payment-bypass-lesson-cve-2026-9189-248k",
        ),
    ),
    _written(
        "negative",
        "B-25",
        lambda minor: f"-{minor}",
        "below zero",
        (1284, 840),
        "https://github.com/juice-shop/juice-shop/issues/2935",
    ),
    _written(
        "zero", "B-25", lambda _: "0", "of zero", (1284, 840), "https://github.com/FakeFishGames/Barotrauma/pull/17377"
    ),
    _written(
        "fraction",
        "B-23",
        lambda minor: f"{minor}.99",
        "that has a fraction of the smallest unit: cut off, it is what was ordered",
        (681, 1339),
        "https://github.com/wevm/mppx/pull/899",
    ),
    _written("exponent", "B-24", lambda minor: f"{minor}e2", "with an exponent", (190, 20)),
    _written("beyond-float", "B-24", lambda _: "1e400", "that no float can hold", (190, 20)),
    _written("not-a-number", "B-24", lambda _: "NaN", "that is not a number", (20, 1284)),
    _written("infinite", "B-24", lambda _: "Infinity", "without end", (20, 1284)),
    _written("minus-zero", "B-24", lambda _: "-0", "of minus zero", (20, 1284)),
    _written("thousands-of-digits", "B-24", lambda _: "9" * 5000, "of five thousand digits", (190, 1284)),
    _written("beyond-64-bits", "B-24", lambda _: str(2**64 + 1), "that wraps around in 64 bits", (190,)),
    _written(
        "fullwidth-digits", "B-26", lambda minor: f'"{_fullwidth(minor)}"', "in digits of another script", (176, 20)
    ),
    _written("underscores", "B-26", lambda minor: f'"{minor * 2:_}"', "with underscores in it", (20,)),
    _written("as-true", "B-43", lambda _: "true", "that is no number but true", (697, 1024)),
    _written("as-list", "B-43", lambda minor: f"[{minor}]", "in a list", (697, 1024)),
)
