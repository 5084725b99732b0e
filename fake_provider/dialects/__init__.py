"""How providers speak: one file per dialect.

A dialect turns a notice (what is to be made known) into bytes, signs them, says when to try again and what counts as an
acknowledgement. It also knows how its own callbacks are forged, because every forgery is about the signature's details.
It knows nothing of moods, schedules in progress or sockets.

A key is one word without spaces, so that several fit into one variable while they are rotated. Where a dialect signs with
a private key, that word is the provider's, and `receiver_key` is the other half.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Protocol, runtime_checkable

from fake_provider.news import News
from fake_provider.registry import Registry, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a callback claims, in no dialect yet. `at` is the payload's time.

    `amount_minor` is what `type` is about: of a refund or a dispute, its own amount. Providers differ in whether they tell
    that or the sum of all refunds so far, so both are here, and what was captured beside them. `notes` are those of the order.
    """

    type: News
    at: datetime
    payment: str
    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    environment: str
    attempt: int
    captured_minor: int = 0
    refunded_minor: int = 0
    refund: str | None = None
    dispute: str | None = None
    notes: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wire:
    """The headers and the body of one POST, as bytes will leave. Framing and `Host` are the sender's business.

    `url` is the address that the receiver registered: there are dialects that sign it too.
    """

    headers: tuple[tuple[str, bytes], ...]
    body: bytes
    url: str = ""

    def header(self, name: str) -> bytes | None:
        """The first header of that name, written in lower case."""
        return next((value for header, value in self.headers if header == name), None)

    def with_headers(self, **headers: bytes | None) -> "Wire":
        """The same message with these headers set, or taken out where None. An underscore stands for a dash."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = tuple((name, value) for name, value in self.headers if name not in named)
        return replace(self, headers=kept + tuple((name, value) for name, value in named.items() if value is not None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back. `status` is None when nothing did; `because` says what happened instead."""

    status: int | None
    because: str
    took_s: float = 0.0
    headers: tuple[tuple[str, bytes], ...] = ()
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forging:
    """What a forger has at hand: an unsigned callback, what it claims, the keys that would sign it, those that once did,
    and the last genuine callback.
    """

    notice: Notice
    event_id: str
    wire: Wire
    keys: Sequence[str] = field(repr=False)
    retired: Sequence[str] = field(default=(), repr=False)
    at: datetime
    genuine: Wire | None
    rng: Random


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgery:
    """One way of forging. `plays` names attacks in `fake_provider.attacks`, `cwe` the weakness that it looks for first.

    What is `ignorable` is an authentic message that is about nothing of the receiver's: it may be acknowledged, and must
    have no effect. Everything else must be refused.
    """

    forge: Callable[[Forging], Wire]
    plays: tuple[str, ...]
    cwe: int
    ignorable: bool = False

    @property
    def what(self) -> str:
        """The forgery in a sentence or two."""
        return " ".join((self.forge.__doc__ or "").split())

    def __call__(self, forging: Forging) -> Wire:
        return self.forge(forging)


class NothingGenuine(Exception):
    """This forgery starts from something genuine (an acknowledged callback, a retired key), and there is none yet."""


class Dialect(Protocol):
    """Everything that differs from provider to provider. Adding one is adding a file with one of these."""

    name: str

    @property
    def events(self) -> Mapping[News, str]:
        """What each type of notice is called here. For a type that is not among them, nothing is ever sent."""

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        """How callbacks of this dialect are forged, by name."""

    def draw_key(self, rng: Random) -> str:
        """A new signing key. The same again for the same *rng*, except where a library draws it."""

    def check_key(self, key: str) -> None:
        """Raises `ValueError` saying what is wrong with *key*."""

    def receiver_key(self, key: str) -> str:
        """What a receiver needs in order to verify what *key* signs: the same key, or its public half."""

    def encode(self, notice: Notice, event_id: str) -> Wire:
        """The unsigned message; the same notice under the same id is the same bytes."""

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        """The message signed at that time: with each of *keys*, or with the first where there is room for one only."""

    def signatures(self, wire: Wire) -> tuple[str, ...]:
        """The signatures that the message carries, as they are written in it, for the journal."""

    def dedup_key(self, wire: Wire) -> str:
        """What a receiver should recognise a repeated event by."""

    def is_ack(self, answer: Answer) -> bool:
        """Whether the provider stops here."""

    def delay_before(self, attempt: int) -> timedelta | None:
        """How long after the attempt before it this one is made, counted from 1; None when it is never made."""


@runtime_checkable
class Batches(Protocol):
    """A dialect in which one message can carry several events."""

    def batch(self, wires: Sequence[Wire]) -> Wire:
        """The unsigned messages of several events as one, in that order. All go to the same receiver."""


DIALECTS: Registry[Dialect] = Registry("dialect")


def all_shown() -> dict[str, Any]:
    """Every dialect with its words and its forgeries, as the control API lists them."""
    load(__name__)
    return {
        name: {
            "events": dict(dialect.events),
            "forgeries": {
                forgery: {"what": each.what, "plays": each.plays, "cwe": each.cwe, "ignorable": each.ignorable}
                for forgery, each in dialect.forgeries.items()
            },
        }
        for name, dialect in DIALECTS.items()
    }


def find(name: str) -> Dialect:
    """The dialect of that name, or an error with the nearest name."""
    load(__name__)
    return DIALECTS[name]
