"""How providers speak: one file per dialect.

A dialect turns a notice (what is to be made known) into bytes, signs them, says when to try again and what counts as an
acknowledgement. It also knows how its own callbacks are forged, because every forgery is about the signature's details.
It knows nothing of moods, schedules in progress or sockets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol

from fake_provider.registry import Registry, load


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a callback claims, in no dialect yet. `at` is the payload's time; `amount_minor` is what `type` is about."""

    type: str
    at: datetime
    payment: str
    reference: str
    amount_minor: int
    currency: str
    account: str
    merchant: str
    environment: str
    attempt: int
    refund: str | None = None


@dataclass(frozen=True, slots=True)
class Wire:
    """The headers and the body of one POST, as bytes will leave. Framing and `Host` are the sender's business."""

    headers: tuple[tuple[str, bytes], ...]
    body: bytes

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
    """What a forger has at hand: an unsigned callback, the keys that would sign it, and the last genuine callback."""

    wire: Wire
    keys: Sequence[str] = field(repr=False)
    at: datetime
    genuine: Wire | None
    rng: Random


Forgery = Callable[[Forging], Wire]


class NothingGenuine(Exception):
    """This forgery starts from a genuine, acknowledged callback, and there is none yet."""


class Dialect(Protocol):
    """Everything that differs from provider to provider. Adding one is adding a file with one of these."""

    name: str

    @property
    def forgeries(self) -> Mapping[str, Forgery]:
        """How callbacks of this dialect are forged, by name."""

    def check_key(self, key: str) -> None:
        """Raises `ValueError` saying what is wrong with *key*."""

    def encode(self, notice: Notice, event_id: str) -> Wire:
        """The unsigned message; the same notice under the same id is the same bytes."""

    def sign(self, wire: Wire, keys: Sequence[str], at: datetime) -> Wire:
        """The message signed with each of *keys*, at that time."""

    def signature(self, wire: Wire) -> str:
        """What the message carries as its signature, for the journal; empty when it carries none."""

    def dedup_key(self, wire: Wire) -> str:
        """What a receiver should recognise a repeated event by."""

    def is_ack(self, answer: Answer) -> bool:
        """Whether the provider stops here."""

    def delay_before(self, attempt: int) -> timedelta | None:
        """How long after the attempt before it this one is made, counted from 1; None when it is never made."""


DIALECTS: Registry[Dialect] = Registry("dialect")


def find(name: str) -> Dialect:
    """The dialect of that name, or an error with the nearest name."""
    load(__name__)
    return DIALECTS[name]
