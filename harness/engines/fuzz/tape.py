"""A cassette in front of a receiver: what was recorded is sent again, signed afresh, and varied as chance has it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import Attack, Expect, Scene
from harness.engines.fuzz.cassette import TAKEN_OUT, Delivery
from harness.engines.fuzz.catalogue.money import signed
from harness.engines.fuzz.door import Shot
from harness.engines.fuzz.drawing import Dice, Generated
from harness.engines.fuzz.generated import JUNK, STRANGE, changed, damaged
from harness.finding import Rule

MOST = 256
"""As many as one throw of the dice can tell apart."""

AGAIN = Rule(
    id="cassette/again",
    what="A recorded callback, signed afresh.",
    correct="any answer but a server error; no balance moves of which nothing is said in it",
    cwe=(755,),
)
CHANGED = Rule(
    id="cassette/changed",
    what="A recorded callback, rightly signed, with its fields changed, left out, repeated or written in another coding.",
    correct="any answer but a server error; no balance moves of which nothing is said in it",
    cwe=(20, 755),
)
FORGED = Rule(
    id="cassette/forged",
    what="A recorded callback, changed and signed with a key that nobody knows.",
    correct="it is refused; no balance moves",
    cwe=(347, 345),
)
SIGNATURE = Rule(
    id="cassette/signature",
    what="A recorded callback, with the right signature damaged.",
    correct="it is refused; no balance moves",
    cwe=(347, 697),
)
TAPE_NAMES = tuple(rule.id for rule in (AGAIN, CHANGED, FORGED, SIGNATURE))

REDACTED = (
    "cassette: it holds no signatures, so nothing is sent again to the byte, nor shown that an old one is refused"
)
NO_KEY = "cassette/again, cassette/changed, cassette/signature: without --secret-env nothing can be signed afresh"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tape:
    """What is sent of a cassette, and what cannot be."""

    attacks: Sequence[Attack] = ()
    families: Mapping[str, Generated] = field(default_factory=dict)
    left_out: Sequence[str] = ()


def tape(recorded: Sequence[Delivery], *, signs: bool) -> Tape:
    """All of it where somebody *signs* with the receiver's key, else what needs none."""
    chosen = recorded[:MOST]
    rest = len(recorded) - len(chosen)
    too_many = [f"cassette: the last {rest} deliveries; {MOST} are taken"] if rest else []

    def family(rule: Rule, expect: Expect, values: Any, vary: Callable[..., Shot]) -> Generated:
        def one(scene: Scene, letter: Wire, dice: Dice, drawn: Sequence[Any]) -> Shot:
            return vary(scene, _as_sent(scene, dice.one_of(chosen)), dice, drawn)

        return Generated(rule=rule, expect=expect, values=values, letter=lambda scene: chosen[0].wire, vary=one)

    forged = family(FORGED, Expect.REFUSE, STRANGE, _forged)
    if not signs:
        return Tape(families={FORGED.id: forged}, left_out=[REDACTED, NO_KEY, *too_many])
    families = (
        family(CHANGED, Expect.IGNORE, STRANGE, _changed),
        forged,
        family(SIGNATURE, Expect.REFUSE, JUNK, _signature),
    )
    return Tape(
        attacks=[Attack(rule=AGAIN, expect=Expect.IGNORE, make=_again(each)) for each in chosen],
        families={each.rule.id: each for each in families},
        left_out=[REDACTED, *too_many],
    )


def _as_sent(scene: Scene, delivery: Delivery) -> Wire:
    """The unsigned message: what was taken out of its headers is not sent."""
    kept = tuple((name, value) for name, value in delivery.wire.headers if value != TAKEN_OUT.encode())
    return replace(delivery.wire, headers=kept, url=scene.pen.url)


def _again(delivery: Delivery) -> Callable[[Scene], Shot]:
    return lambda scene: scene.whole(signed(scene, _as_sent(scene, delivery)))


def _changed(scene: Scene, wire: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    return scene.whole(signed(scene, changed(wire, dice, values)))


def _forged(scene: Scene, wire: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    return scene.whole(changed(signed(scene, wire, wrongly=True), dice, values))


def _signature(scene: Scene, wire: Wire, dice: Dice, values: Sequence[Any]) -> Shot:
    return damaged(scene, signed(scene, wire), dice, values)
