"""Money that goes back: refunds and chargebacks, in the provider's book and in the service's ledger.

A refund takes money back once. A dispute takes it back when it is opened, and gives it back when it is won; a lost one
moves nothing any more. In a ledger each of these is an entry of its own: a *debit* below zero or, for a dispute that was
won, a *restoration* above zero, which is no second credit of the payment.

Where a service's entries name the provider's refund or dispute, they are known by that. Where none does, they are told
apart by payment and amount, which cannot tell which of two equal refunds was the one that was posted twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from harness.history import Event, History

BACK, AGAIN = -1, 1
"""Which way money goes: back to who paid, or to the customer's account again."""

NEWS = {"payment.refunded": BACK, "dispute.opened": BACK, "dispute.won": AGAIN}
"""What a callback tells, and which way the money goes that it tells of."""


@dataclass(frozen=True, slots=True)
class Reversal:
    """One refund or one dispute in the provider's book. `key` is the merchant's, for a refund that it asked for.

    `won` is the event of a dispute decided for the merchant, None for all else.
    """

    reversal: str
    payment: str
    reference: str
    account: str
    amount_minor: int
    currency: str
    key: str
    first: Event
    won: Event | None

    @property
    def what(self) -> str:
        return "refund" if self.first["news"] == "refunded" else "dispute"


@dataclass(frozen=True, slots=True)
class Line:
    """One entry about money that went back, or came back again; `reversal` is None where it fits none."""

    reversal: str | None
    payment: str | None
    account: str
    amount_minor: int
    currency: str
    entry: Event

    @property
    def way(self) -> int:
        return BACK if self.amount_minor < 0 else AGAIN


def reversals(history: History) -> Sequence[Reversal]:
    """Every refund and dispute in the provider's book, in the order of their making."""
    return tuple(_reversal(name, events) for name, events in history.of("reversal").by("reversal"))


def went_back(history: History) -> dict[str, list[Event]]:
    """For each top-up what the provider's book says of money that went back, or came back again, in order."""
    return {reference: list(events) for reference, events in history.of("reversal").by("reference")}


def lines(history: History, snapshot: str) -> Sequence[Line]:
    """What the service's ledger says about money that went back, and came back again. Corrections are neither."""
    known = reversals(history)
    own = [event for event in history.of("entry") if event["snapshot"] == snapshot and event["own"]]
    own = [event for event in own if not event.get("correction")]
    debits = [event for event in own if event["amount_minor"] < 0]
    restorations = [event for event in own if event["amount_minor"] > 0 and event.get("reversal")]
    if not any(event.get("reversal") for event in history.of("entry")):
        restorations = _unnamed_restorations(own, known)
    return _named([_line(event) for event in debits], known) + _named([_line(event) for event in restorations], known)


def told(history: History, before: float) -> dict[tuple[str, int], Event]:
    """The reversals, and which way, whose genuine callback was acknowledged before a moment: its answer for each."""
    about = {
        event["webhook_id"]: (event["reversal"], NEWS[event["event"]])
        for event in history.of("delivery")
        if not event["hostile"] and event.get("reversal") and event["event"] in NEWS
    }
    heard: dict[tuple[str, int], Event] = {}
    for event in history.of("answer"):
        known = about.get(event["webhook_id"])
        if known and event["acknowledged"] and not event["hostile"] and event.at < before:
            heard.setdefault(known, event)
    return heard


def _reversal(name: str, events: History) -> Reversal:
    first = events[0]
    return Reversal(
        reversal=name,
        payment=first["payment"],
        reference=first["reference"],
        account=first["account"],
        amount_minor=first["amount_minor"],
        currency=first["currency"],
        key=first.get("key") or "",
        first=first,
        won=next((event for event in events if event["news"] == "won"), None),
    )


def _line(event: Event) -> Line:
    named, money = event.get("reversal"), (event["amount_minor"], event["currency"])
    return Line(named, event.get("payment"), event["account"], *money, entry=event)


def _unnamed_restorations(own: Iterable[Event], known: Sequence[Reversal]) -> list[Event]:
    """Of a payment with disputes that were won, the entries above zero that have one's amount; but for its credit."""
    found = []
    won = [(each.payment, each.amount_minor) for each in known if each.won]
    credited: set[str] = set()
    for event in own:
        name, amount_minor = event.get("payment"), event["amount_minor"]
        if amount_minor <= 0 or name is None:
            continue
        if name in credited and (name, amount_minor) in won:
            won.remove((name, amount_minor))
            found.append(event)
        credited.add(name)
    return found


def _named(found: list[Line], known: Sequence[Reversal]) -> tuple[Line, ...]:
    """The same lines, with the reversal and the payment that each is about, as far as anything tells."""
    of = {each.reversal: each for each in known}
    named = [replace(line, payment=of[line.reversal].payment) if line.reversal in of else line for line in found]
    free = [each for each in known if each.reversal not in {line.reversal for line in named}]
    for fits in (_is_equal, _is_of_the_payment):
        for number, line in enumerate(named):
            match = next((each for each in free if line.reversal is None and fits(line, each)), None)
            if match is not None:
                free.remove(match)
                named[number] = replace(line, reversal=match.reversal, payment=match.payment)
    return tuple(named)


def _is_equal(line: Line, reversal: Reversal) -> bool:
    return _is_of_the_payment(line, reversal) and abs(line.amount_minor) == reversal.amount_minor


def _is_of_the_payment(line: Line, reversal: Reversal) -> bool:
    if line.way == AGAIN and reversal.won is None:
        return False
    return line.payment == reversal.payment or (line.payment is None and line.account == reversal.account)
