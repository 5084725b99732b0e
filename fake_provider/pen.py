"""A provider's hand without a provider: callbacks written, signed and forged in one dialect, for whoever sends them himself.

Nothing is sent and no book is kept here. What is written is what the provider would write, byte for byte.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from fake_provider.clock import Now
from fake_provider.dialects import Answer, Dialect, Forgery, Forging, NothingGenuine, Notice, Wire, find
from fake_provider.news import News

CannotWrite = (NothingGenuine, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What the dialects raise at a message that is not theirs to sign: they read bodies that others have tampered with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pen:
    """Writes in one dialect, with these keys, at the time of *now*; *url* is the receiver's, where a dialect signs it.

    `strange` is a key that no receiver has heard of.
    """

    dialect: Dialect
    keys: Sequence[str] = field(repr=False)
    retired: Sequence[str] = field(default=(), repr=False)
    url: str
    now: Now
    rng: Random
    strange: str = field(repr=False)

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        return self.dialect.forgeries

    def has_word_for(self, news: News) -> bool:
        return news in self.dialect.events

    def notice(self, about: Mapping[str, Any], type: News = News.CAPTURED) -> Notice:
        """What a callback claims *about* a payment: the fields of a `Notice` by name; of a capture, all is captured."""
        captured = about["amount_minor"]
        claims = {"type": type, "at": self.now(), "attempt": 1, "captured_minor": captured} | dict(about)
        if type is News.REFUNDED:
            claims |= {"refund": self._id("re"), "refunded_minor": claims["amount_minor"]}
        if type in (News.DISPUTED, News.WON, News.LOST):
            claims |= {"dispute": self._id("dp")}
        return Notice(**claims)

    def write(self, notice: Notice) -> Wire:
        """The unsigned callback, under an event id of its own."""
        return replace(self.dialect.encode(notice, self._id("evt")), url=self.url)

    def sign(self, wire: Wire) -> Wire:
        """Signed as the provider would."""
        return self.dialect.sign(wire, self.keys, self.now())

    def sign_wrongly(self, wire: Wire) -> Wire:
        """Well signed, with a key that the receiver has never heard of."""
        return self.dialect.sign(wire, [self.strange], self.now())

    def forge(self, name: str, notice: Notice, genuine: Wire | None) -> Wire:
        """That forgery of the dialect. Raises `NothingGenuine` where it starts from something that is not there."""
        forging = Forging(
            notice=notice,
            event_id=self._id("evt"),
            wire=self.write(notice),
            keys=self.keys,
            retired=self.retired,
            at=self.now(),
            genuine=genuine,
            rng=self.rng,
        )
        return self.dialect.forgeries[name](forging)

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        return self.dialect.signatures(wire)

    def is_ack(self, status: int | None, body: bytes) -> bool:
        return self.dialect.is_ack(Answer(status=status, because="", body=body))

    def _id(self, kind: str) -> str:
        return f"{kind}_{self.rng.getrandbits(64):016x}"


def pen(name: str, *, key: str | None, retired: Sequence[str] = (), url: str, now: Now, rng: Random) -> Pen:
    """A pen of the dialect of that name. Without a *key*, one is drawn that no receiver knows. Raises `UnknownName`, and
    `ValueError` saying what is wrong with the key.
    """
    dialect = find(name)
    keys = key.split() if key is not None else [dialect.draw_key(rng)]
    for each in keys:
        dialect.check_key(each)
    if not keys:
        raise ValueError("the key is empty: anyone could sign with it")
    strange = dialect.draw_key(rng)
    return Pen(dialect=dialect, keys=keys, retired=retired, url=url, now=now, rng=rng, strange=strange)
