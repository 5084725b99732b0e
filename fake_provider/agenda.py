"""What the world has yet to do, and when: deeds on the clock that is moved by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from fake_provider.clock import Now


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """Something that happens to a payment, not before *due*. `what` says it in words; `by` names the mood."""

    due: datetime
    what: str
    by: str
    payment: str
    do: Callable[[], object]


class Agenda:
    """Deeds to come, the next one first; those of the same moment in the order in which they were thought of."""

    def __init__(self, now: Now) -> None:
        self._now = now
        self._deeds: list[Deed] = []

    def add(self, after: timedelta, what: str, by: str, payment: str, do: Callable[[], object]) -> None:
        deed = Deed(due=self._now() + after, what=what, by=by, payment=payment, do=do)
        self._deeds = sorted([*self._deeds, deed], key=lambda each: each.due)

    def until_next(self) -> timedelta | None:
        """How long until the next deed is due; None when there is none."""
        return max(self._deeds[0].due - self._now(), timedelta(0)) if self._deeds else None

    def take_due(self) -> list[Deed]:
        """The deeds that are due by now, which are then somebody's to do."""
        now = self._now()
        due = [deed for deed in self._deeds if deed.due <= now]
        self._deeds = [deed for deed in self._deeds if deed.due > now]
        return due

    def ahead(self) -> list[Deed]:
        return list(self._deeds)
