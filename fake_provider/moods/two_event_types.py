"""One piece of news under two names."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from fake_provider.dialects import Notice
from fake_provider.moods import Says, mood
from fake_provider.news import News


@mood
@dataclass(kw_only=True, eq=False)
class TwoEventTypes(Says):
    """The receiver is told of each capture twice, as captured and as settled, each under an id of its own.

    Both are genuine and about the same money. The second waits for the answer to the first. Not put on in a dialect that
    has one word only.
    """

    needs_words: ClassVar[tuple[News, ...]] = (News.SETTLED,)

    def say(self, notice: Notice) -> Iterable[Notice]:
        if notice.type is not News.CAPTURED:
            return [notice]
        self.touched += 1
        return [notice, replace(notice, type=News.SETTLED)]
