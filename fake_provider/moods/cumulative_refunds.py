"""Sums that look like increments."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from fake_provider.dialects import Notice
from fake_provider.moods import Says, mood
from fake_provider.news import News


@mood
@dataclass(kw_only=True, eq=False)
class CumulativeRefunds(Says):
    """The receiver is told with each refund the sum of all refunds of the payment so far, in the place of its own amount.

    Real providers do the one or the other; who takes a sum for an increment gives back too much.
    """

    def say(self, notice: Notice) -> Iterable[Notice]:
        if notice.type is not News.REFUNDED or notice.amount_minor == notice.refunded_minor:
            return [notice]
        self.touched += 1
        return [replace(notice, amount_minor=notice.refunded_minor)]
