"""One attack of the catalogue: what it is, whom it fits, and what a receiver must make of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from fake_provider.dialects import Notice, Wire
from fake_provider.news import News
from fake_provider.pen import Pen
from harness.engines.fuzz.door import Place, Shot
from harness.finding import Rule


class Expect(StrEnum):
    """What a receiver must do.

    `REFUSE`: no success, no effect. `IGNORE`: it may be acknowledged or refused, and has no effect. `ACCEPT`: it is genuine
    news that is known already: it must be acknowledged, and has no effect.
    """

    REFUSE = "refuse"
    IGNORE = "ignore"
    ACCEPT = "accept"


class DoesNotFit(Exception):
    """This attack cannot be played here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What an attack is made of.

    `victim` is a payment that is not made yet, `known` one that was credited, `ghost` one that nobody has heard of: by field
    names of a `Notice`. `genuine` is the last callback that the receiver acknowledged.
    """

    pen: Pen
    place: Place
    victim: Mapping[str, Any]
    known: Mapping[str, Any]
    genuine: Wire | None

    @property
    def ghost(self) -> Mapping[str, Any]:
        nobody = f"ghost-{self.pen.rng.getrandbits(40):010x}"
        return dict(self.victim) | {"reference": nobody, "payment": f"pay_{nobody}"}

    def written(self, about: Mapping[str, Any], type: News = News.CAPTURED) -> Wire:
        """The unsigned news about a payment."""
        if not self.pen.has_word_for(type):
            raise DoesNotFit(f"the dialect has no word for {type.value}")
        return self.pen.write(self.pen.notice(about, type))

    def notice(self) -> Notice:
        return self.pen.notice(self.victim)

    def whole(self, wire: Wire, *, target: str = "") -> Shot:
        """One well-formed request."""
        return Shot(pieces=(self.request(wire, target=target),))

    def request(self, wire: Wire, *, target: str = "", framing: bytes | None = None) -> bytes:
        """The bytes of a request; *framing* takes the place of the header that says how long the body is."""
        return self.head(wire, target=target, framing=framing) + wire.body

    def head(self, wire: Wire, *, target: str = "", framing: bytes | None = None) -> bytes:
        length = b"content-length: %d\r\n" % len(wire.body) if framing is None else framing
        named = b"".join(name.encode() + b": " + value + b"\r\n" for name, value in wire.headers)
        line = f"POST {target or self.place.target} HTTP/1.1\r\nhost: {self.place.authority}\r\n".encode()
        return line + named + length + b"\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """Makes a shot of a scene. Raises `DoesNotFit` where the dialect has nothing that could be attacked so.

    `refused` is the weakness of who refuses what must be acknowledged.
    """

    rule: Rule
    expect: Expect
    make: Callable[[Scene], Shot]
    refused: tuple[int, ...] = (394,)

    @property
    def name(self) -> str:
        return self.rule.id


def attack(
    name: str,
    numbers: str,
    expect: Expect,
    make: Callable[[Scene], Shot],
    *,
    what: str,
    correct: str,
    cwe: tuple[int, ...],
    seen: tuple[str, ...] = (),
    refused: tuple[int, ...] = (394,),
) -> Attack:
    """An attack; *numbers* are its numbers in the catalogue, separated by spaces."""
    rule = Rule(id=name, what=what, correct=correct, cwe=cwe, numbers=tuple(numbers.split()), seen=seen)
    return Attack(rule=rule, expect=expect, make=make, refused=refused)
