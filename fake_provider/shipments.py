"""What is on its way to receivers: callbacks, and the shipments in which they leave."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeAlias

from fake_provider.dialects import Notice, Wire
from fake_provider.manner import PLAIN, Manner

Ticket: TypeAlias = tuple[str, str]
"""An event's id and a receiver's address: what tells one callback from all others, through all of its attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One event to be made known to one receiver, and how often that has been tried.

    `wire` is unsigned and stays the same over all attempts. `due` is when this attempt should leave, on the payload's
    clock. `made_by` names the mood that made the callback up; what a provider in a good mood sends has none.
    """

    webhook_id: str
    notice: Notice
    wire: Wire
    due: datetime
    attempt: int = 1
    made_by: str | None = None

    @property
    def ticket(self) -> Ticket:
        return (self.webhook_id, self.wire.url)


@dataclass(frozen=True, slots=True)
class Shipment:
    """One departure of a callback: so many copies at the same instant, by the hand of these moods.

    `signed` is None for what will be signed when it leaves, and holds the bytes where old ones are sent once more. `skew`
    is how far the clock is out that its signature is dated by. `riders` are the other callbacks of a message that carries
    several events.
    """

    callback: Callback
    copies: int = 1
    moods: tuple[str, ...] = ()
    signed: Wire | None = None
    manner: Manner = PLAIN
    skew: timedelta = timedelta(0)
    riders: tuple[Callback, ...] = ()

    @property
    def callbacks(self) -> tuple[Callback, ...]:
        """All that the message carries."""
        return (self.callback, *self.riders)

    @property
    def payment(self) -> str:
        return self.callback.notice.payment

    @property
    def line(self) -> tuple[str, str]:
        """What follows one another: the callbacks of one payment to one receiver."""
        return (self.payment, self.callback.wire.url)

    @property
    def is_replay(self) -> bool:
        return self.signed is not None

    def by(self, mood: str) -> "Shipment":
        """The same shipment, with *mood* named as one that had a hand in it."""
        return self if mood in self.moods else replace(self, moods=(*self.moods, mood))
