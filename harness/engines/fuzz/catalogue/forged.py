"""Forged: each way in which callbacks of the dialect are forged, about a payment that was never made."""

from collections.abc import Sequence

from fake_provider.attacks import ATTACKS
from fake_provider.dialects import Forgery, NothingGenuine
from fake_provider.pen import Pen
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene
from harness.engines.fuzz.door import Shot
from harness.finding import Rule


def forged(pen: Pen) -> Sequence[Attack]:
    """Those that this dialect has; what each plays stands with the forgery."""
    return [_attack(name, forgery) for name, forgery in pen.forgeries.items()]


def _attack(name: str, forgery: Forgery) -> Attack:
    played = [ATTACKS[number] for number in forgery.plays]
    cwe = dict.fromkeys((forgery.cwe, *(number for each in played for number in each.cwe)))
    correct = (
        "it is passed over, or refused; no balance moves" if forgery.ignorable else "it is refused; no balance moves"
    )
    rule = Rule(
        id=f"forged/{name}",
        what=forgery.what,
        correct=correct,
        cwe=tuple(cwe),
        numbers=forgery.plays,
        seen=tuple(link for each in played for link in each.seen),
    )

    def make(scene: Scene) -> Shot:
        try:
            return scene.whole(scene.pen.forge(name, scene.notice(), scene.genuine))
        except NothingGenuine as missing:
            raise DoesNotFit(str(missing)) from missing

    return Attack(rule=rule, expect=Expect.IGNORE if forgery.ignorable else Expect.REFUSE, make=make)
