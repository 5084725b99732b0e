"""One customer's payment, reported as another's."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from fake_provider.dialects import Notice
from fake_provider.moods import Says, mood
from fake_provider.news import News


@mood
@dataclass(kw_only=True, eq=False)
class ReportOtherAccount(Says):
    """The receiver is told of each capture with the account of the capture before it, rightly signed; the book has the true one.

    Everything else is as it is: payment, reference, amount. The first is told truly, and so is one of the same account as the
    one before.
    """

    before: str | None = field(default=None, init=False)

    def say(self, notice: Notice) -> Iterable[Notice]:
        if notice.type not in (News.CAPTURED, News.SETTLED):
            return [notice]
        other, self.before = self.before, notice.account
        if other is None or other == notice.account:
            return [notice]
        self.touched += 1
        return [replace(notice, account=other)]
