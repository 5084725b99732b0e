"""Forgeries that every dialect has, made of the few things that differ from one to the next."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random
from typing import Protocol, TypeVar

from fake_provider.dialects import Forgery, Forging, NothingGenuine, Notice, Wire, find

Key = TypeVar("Key")

ANOTHER_MERCHANT = "mallory"


class Craft(Protocol[Key]):
    """What a dialect must be able to do apart from signing honestly. `Key` is a signing key as the algorithm takes it."""

    def draw_key(self, rng: Random) -> str: ...

    def encode(self, notice: Notice, event_id: str) -> Wire: ...

    def raw(self, key: str) -> Key:
        """The key behind the word; raises `ValueError` saying what is wrong with it."""

    def seal(self, wire: Wire, keys: Sequence[Key], at: datetime) -> Wire:
        """Sign, with any key at all."""

    def strip(self, wire: Wire) -> Wire:
        """Take every signature out."""

    def graft(self, genuine: Wire, wire: Wire) -> Wire:
        """Put the signature of *genuine*, and what was signed beside the body, onto *wire*."""


def rightly(craft: Craft[Key], forging: Forging, shifted_by: timedelta = timedelta(0)) -> Wire:
    """Signed as the provider would, with the right keys, at another time if wanted."""
    return craft.seal(forging.wire, [craft.raw(key) for key in forging.keys], forging.at + shifted_by)


def claiming(craft: Craft[Key], forging: Forging, notice: Notice) -> Wire:
    """Signed with the right keys, claiming something else."""
    wire = replace(craft.encode(notice, forging.event_id), url=forging.wire.url)
    return rightly(craft, replace(forging, wire=wire))


def overheard(forging: Forging) -> Wire:
    """The last genuine callback; raises `NothingGenuine` while there is none."""
    if forging.genuine is None:
        raise NothingGenuine("no callback has been acknowledged yet, so there is no genuine signature to steal")
    return forging.genuine


def keyed(craft: Craft[Key]) -> Mapping[str, Forgery]:
    """Those about which key signed, and over what."""

    def unsigned(forging: Forging) -> Wire:
        """No signature at all; everything else is there."""
        return craft.strip(rightly(craft, forging))

    def wrong_key(forging: Forging) -> Wire:
        """Well signed, with a key that the receiver has never heard of."""
        return craft.seal(forging.wire, [craft.raw(craft.draw_key(forging.rng))], forging.at)

    def other_tenant_key(forging: Forging) -> Wire:
        """Well signed and about another merchant, with that merchant's own key: authentic for somebody else."""
        theirs = craft.encode(replace(forging.notice, merchant=ANOTHER_MERCHANT), forging.event_id)
        wire = replace(theirs, url=forging.wire.url)
        return craft.seal(wire, [craft.raw(craft.draw_key(forging.rng))], forging.at)

    def retired_key(forging: Forging) -> Wire:
        """Well signed, with a key that was good until it was rotated out."""
        if not forging.retired:
            raise NothingGenuine("no key has been retired: name some in PROVIDER_RETIRED_SECRET")
        return craft.seal(forging.wire, [craft.raw(key) for key in forging.retired], forging.at)

    def tampered_body(forging: Forging) -> Wire:
        """The signature of a genuine callback, over another body."""
        return craft.graft(overheard(forging), forging.wire)

    return {
        "unsigned": Forgery(forge=unsigned, plays=("B-01",), cwe=345),
        "wrong-key": Forgery(forge=wrong_key, plays=("B-05",), cwe=347),
        "other-tenant-key": Forgery(forge=other_tenant_key, plays=("B-05", "B-16"), cwe=639),
        "retired-key": Forgery(forge=retired_key, plays=("B-05",), cwe=347),
        "tampered-body": Forgery(forge=tampered_body, plays=("B-10",), cwe=345),
    }


def dated(craft: Craft[Key], stale: timedelta = timedelta(hours=1)) -> Mapping[str, Forgery]:
    """Those about when it was signed, for dialects that sign a time."""

    def stale_timestamp(forging: Forging) -> Wire:
        """The right key, long ago: what someone who once overheard a callback holds in his hands."""
        return rightly(craft, forging, -stale)

    def future_timestamp(forging: Forging) -> Wire:
        """The right key, an hour ahead: a signature that would stay good for a long time."""
        return rightly(craft, forging, timedelta(hours=1))

    return {
        "stale-timestamp": Forgery(forge=stale_timestamp, plays=("B-09",), cwe=294),
        "future-timestamp": Forgery(forge=future_timestamp, plays=("B-12",), cwe=294),
    }


def shared(craft: Craft[bytes]) -> Mapping[str, Forgery]:
    """Those that need a key that both sides share."""

    def empty_key(forging: Forging) -> Wire:
        """Signed with the empty key, which a receiver without a configured secret would accept."""
        return craft.seal(forging.wire, [b""], forging.at)

    return {"empty-key": Forgery(forge=empty_key, plays=("B-02",), cwe=1188)}


def cross_account(craft: Craft[Key]) -> Forgery:
    """The forgery of that name, for dialects whose key is not bound to one account."""

    def cross_account(forging: Forging) -> Wire:
        """Rightly signed and fresh, but about another merchant's account: authentic, and nothing of ours."""
        return claiming(craft, forging, replace(forging.notice, merchant=ANOTHER_MERCHANT))

    return Forgery(forge=cross_account, plays=("B-16",), cwe=639, ignorable=True)


def cross_provider(other: str) -> Forgery:
    """The forgery of that name: what the *other* dialect's provider sends."""

    def cross_provider(forging: Forging) -> Wire:
        """A callback of another provider, with due headers of its own, at this provider's door."""
        dialect = find(other)
        wire = replace(dialect.encode(forging.notice, forging.event_id), url=forging.wire.url)
        return dialect.sign(wire, [dialect.draw_key(forging.rng)], forging.at)

    return Forgery(forge=cross_provider, plays=("B-03",), cwe=863)


def other_mode(craft: Craft[Key], environment: str) -> Forgery:
    """The forgery `other-mode`, for dialects in which test and live events can come by one way."""

    def other_mode(forging: Forging) -> Wire:
        """Rightly signed and fresh, but from the provider's other mode, where money is not what it is here."""
        return claiming(craft, forging, replace(forging.notice, environment=environment))

    return Forgery(forge=other_mode, plays=("B-17",), cwe=841, ignorable=True)
