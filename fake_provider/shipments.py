"""What is on its way to the receiver: callbacks, and the shipments in which they leave."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from fake_provider.dialects import Notice, Wire
from fake_provider.manner import PLAIN, Manner


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One event to be made known, and how often that has been tried.

    `wire` is unsigned and stays the same over all attempts. `due` is when this attempt should leave, on the payload's
    clock. `made_by` names the mood that made the callback up; what a provider in a good mood sends has none.
    """

    webhook_id: str
    notice: Notice
    wire: Wire
    due: datetime
    attempt: int = 1
    made_by: str | None = None


@dataclass(frozen=True, slots=True)
class Shipment:
    """One departure of a callback: so many copies at the same instant, by the hand of these moods.

    `signed` is None for what will be signed when it leaves, and holds the bytes where old ones are sent once more. `skew`
    is how far the clock is out that its signature is dated by.
    """

    callback: Callback
    copies: int = 1
    moods: tuple[str, ...] = ()
    signed: Wire | None = None
    manner: Manner = PLAIN
    skew: timedelta = timedelta(0)

    @property
    def payment(self) -> str:
        return self.callback.notice.payment

    @property
    def is_replay(self) -> bool:
        return self.signed is not None

    def by(self, mood: str) -> "Shipment":
        """The same shipment, with *mood* named as one that had a hand in it."""
        return self if mood in self.moods else replace(self, moods=(*self.moods, mood))
