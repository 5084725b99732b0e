"""Forgeries about how a JSON body is written: rightly signed, and not to be read, or to be read in two ways.

They are about a payment that nobody has heard of: whatever a receiver makes of them, no money is to move, and no answer is a
server error.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from fake_provider.dialects import Forgery, Forging, Notice, Wire
from fake_provider.dialects._forging import Craft, Key, rightly

DEEP = 20_000

Ready: TypeAlias = Callable[[Forging, Notice], Wire]
"""A message about a notice, with all that is signed or sealed inside its body."""
Finish: TypeAlias = Callable[[Forging, Wire], Wire]
"""The message, signed over its bytes as they are."""


def misspelt(ready: Ready, finish: Finish) -> Mapping[str, Forgery]:
    """Those of a dialect that makes messages in these two steps."""

    def ghost(forging: Forging) -> Notice:
        nobody = f"ghost-{forging.event_id.rpartition('_')[2]}"
        return replace(forging.notice, payment=f"pay_{nobody}", reference=nobody)

    def written(forging: Forging, change: Callable[[bytes], bytes]) -> Wire:
        wire = ready(forging, ghost(forging))
        return finish(forging, replace(wire, body=change(wire.body)))

    def repeated_key(forging: Forging) -> Wire:
        """Rightly signed, with every key of the JSON twice and another amount behind the second: parsers differ in which of
        the two counts, so there is none that is meant.
        """
        other = replace(ghost(forging), amount_minor=forging.notice.amount_minor + 1)
        second = ready(forging, other).body
        return written(forging, lambda body: body[:-1] + b"," + second[1:])

    def not_utf_8(forging: Forging) -> Wire:
        """Rightly signed, with bytes in a string that are no UTF-8: to be refused, never to crash."""
        return written(forging, lambda body: body[:-1] + b',"x":"\xff\xfe"}')

    def deeply_nested(forging: Forging) -> Wire:
        """Rightly signed, with lists in lists, deeper than a parser can follow them: to be refused, never to crash."""
        return written(forging, lambda body: body[:-1] + b',"x":' + b"[" * DEEP + b"]" * DEEP + b"}")

    return {
        "repeated-key": Forgery(forge=repeated_key, plays=("B-28",), cwe=436, ignorable=True),
        "not-utf-8": Forgery(forge=not_utf_8, plays=("B-33",), cwe=172, ignorable=True),
        "deeply-nested": Forgery(forge=deeply_nested, plays=("B-41",), cwe=674, ignorable=True),
    }


def misspelt_raw(craft: Craft[Key]) -> Mapping[str, Forgery]:
    """Those of a dialect that signs the raw body and nothing inside it."""

    def ready(forging: Forging, notice: Notice) -> Wire:
        return replace(craft.encode(notice, forging.event_id), url=forging.wire.url)

    return misspelt(ready, lambda forging, wire: rightly(craft, replace(forging, wire=wire)))
