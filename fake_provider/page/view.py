"""What the page shows, as values: templates only lay it out."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from json import dumps, loads
from typing import Any
from urllib.parse import urlsplit

from fake_provider.archive import Attempt
from fake_provider.doors import Door, State
from fake_provider.moods import all_moods
from fake_provider.payments import MOVES, Move, Payment
from fake_provider.provider import Provider
from fake_provider.shown import attempt_object

SHOWN = 25  # payments, the newest
DECIMALS = {"JPY": 0, "KRW": 0, "VND": 0, "KWD": 3, "BHD": 3, "OMR": 3, "TND": 3}  # ISO 4217; all others have two

# Which button stands for which move, in the order in which they are shown.
BUTTONS = {
    "pay": ("Pay", (Move.PAY,)),
    "decline": ("Decline", (Move.DECLINE,)),
    "refund": ("Refund", (Move.REFUND_REST,)),
    "refund-half": ("Refund half", (Move.REFUND_PART,)),
    "dispute": ("Dispute", (Move.DISPUTE,)),
    "win": ("Merchant wins", (Move.WIN,)),
    "lose": ("Merchant loses", (Move.LOSE_PART, Move.LOSE_REST)),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptShown:
    """A delivery. `tone` is good, bad, waiting or danger; `verdict` says why in words."""

    id: str
    payment: str
    event: str
    what: str
    to: str
    by: str
    answer: str
    verdict: str
    tone: str
    can_be_sent: bool
    raw: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentShown:
    """A payment with everything that belongs to it. `ahead` is what is to come, each with how long until then."""

    id: str
    reference: str
    amount: str
    state: str
    method: str
    account: str
    story: str
    buttons: Sequence[tuple[str, str]]
    attempts: Sequence[AttemptShown]
    ahead: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """All that the live part of the page says. `older` counts the payments that are not shown; `receivers` are addresses, each
    with what is special about it.
    """

    now: str
    reason: str | None
    something_due: bool
    held: int
    moods: Sequence[tuple[str, str, int]]
    payments: Sequence[PaymentShown]
    older: int
    forgeries: Sequence[str]
    mood_names: Mapping[str, str]
    receivers: Sequence[tuple[str, str]]


def look(provider: Provider) -> View:
    """The provider as it is now."""
    attempts: dict[str, list[AttemptShown]] = defaultdict(list)
    for each in provider.deliveries.attempts.archive:
        attempts[each.record.payment].append(attempt_shown(each))
    ahead = _ahead(provider)
    newest = list(provider.book)[::-1]
    left = provider.unsettled()
    return View(
        now=f"{provider.clock():%Y-%m-%d %H:%M:%S}",
        reason=left.reason,
        something_due=bool(left.due or left.ahead),
        held=left.held,
        moods=[(id, mood.name, mood.touched) for id, mood in provider.moods().items()],
        payments=[_payment(each, attempts[each.id], ahead[each.id]) for each in newest[:SHOWN]],
        older=max(0, len(newest) - SHOWN),
        forgeries=list(provider.dialect.forgeries),
        mood_names={
            name: " ".join((mood.__doc__ or "").split())
            for name, mood in all_moods().items()
            if provider.why_not(mood) is None
        },
        receivers=[_receiver(door, provider) for door in provider.deliveries.doors],
    )


def attempt_shown(attempt: Attempt) -> AttemptShown:
    record = attempt.record
    copy = f", copy {record.copy}" if record.copy > 1 else ""
    verdict, tone = _verdict(attempt)
    return AttemptShown(
        id=attempt.id,
        payment=record.payment,
        event=record.event,
        what=f"attempt {record.attempt}{copy}",
        to=_short(attempt.wire.url),
        by=f"forged: {record.forgery}" if record.forgery else record.mood or "",
        answer=attempt.because,
        verdict=verdict,
        tone=tone,
        can_be_sent=not record.hostile,
        raw=_readable(attempt_object(attempt)),
    )


def _short(url: str) -> str:
    """An address on this machine, as far as it tells receivers apart."""
    parts = urlsplit(url)
    return f":{parts.port or 80}{parts.path}"


def _receiver(door: Door, provider: Provider) -> tuple[str, str]:
    if door.state is State.DISABLED:
        return door.url, "disabled"
    words = provider.dialect.events
    wanted = [words[news] for news in words if news in (door.news or ())]
    return (
        door.url,
        "" if door.news is None else f"only {', '.join(dict.fromkeys(wanted)) or 'what is never said here'}",
    )


def money(amount_minor: int, currency: str) -> str:
    decimals = DECIMALS.get(currency, 2)
    whole, rest = divmod(amount_minor, 10**decimals)
    return f"{whole:,}.{rest:0{decimals}} {currency}" if decimals else f"{whole:,} {currency}"


def _verdict(attempt: Attempt) -> tuple[str, str]:
    if attempt.answer is None:
        return "on its way", "waiting"
    if attempt.record.ignorable and attempt.is_ack:
        return "not its business, acknowledged", "waiting"
    if attempt.record.hostile:
        return ("forgery accepted", "danger") if attempt.is_ack else ("forgery refused", "good")
    if attempt.is_ack and not attempt.acknowledged:
        return "acknowledged, unheard", "bad"
    return ("acknowledged", "good") if attempt.acknowledged else ("not acknowledged", "bad")


def _ahead(provider: Provider) -> dict[str, list[tuple[str, str]]]:
    now = provider.clock()
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    several = len(list(provider.deliveries.doors)) > 1
    for callback in provider.deliveries.waiting():
        to = f" → {_short(callback.wire.url)}" if several else ""
        what = f"{callback.notice.type}, attempt {callback.attempt}{to}"
        found[callback.notice.payment].append((what, _until(callback.due, now)))
    for shipment in provider.deliveries.held():
        for callback in shipment.callbacks:
            what = f"{callback.notice.type}, attempt {callback.attempt}"
            found[callback.notice.payment].append((what, f"held by {' and '.join(shipment.moods)}"))
    for deed in provider.ahead():
        found[deed.payment].append((deed.what, _until(deed.due, now)))
    return found


def _until(due: datetime, now: datetime) -> str:
    left = max(due - now, timedelta(0))
    hours, seconds = divmod(int(left.total_seconds()), 3600)
    parts = [(hours, "h"), (seconds // 60, "min"), (seconds % 60, "s")]
    return "in " + (" ".join(f"{number} {unit}" for number, unit in parts if number) or "0 s")


def _payment(payment: Payment, attempts: Sequence[AttemptShown], ahead: Sequence[tuple[str, str]]) -> PaymentShown:
    order = payment.order
    legal = MOVES[payment.state]
    steps = [f"{step.state} ({step.cause})" if step.cause != "created" else str(step.state) for step in payment.history]
    taken = money(payment.captured_minor, payment.currency)
    asked = money(order.amount_minor, order.currency)
    differs = payment.captured_minor and taken != asked
    gone = payment.captured_minor - payment.left_minor
    back = f", {money(gone, payment.currency)} of it gone back" if gone else ""
    return PaymentShown(
        id=payment.id,
        reference=order.reference,
        amount=(f"{taken} for {asked}" if differs else asked) + back,
        state=payment.state.value,
        method=order.method,
        account=order.account,
        story=" → ".join(steps),
        buttons=[(name, label) for name, (label, moves) in BUTTONS.items() if any(move in legal for move in moves)],
        attempts=attempts,
        ahead=ahead,
    )


def _readable(raw: dict[str, Any]) -> dict[str, Any]:
    """The same, with JSON bodies indented for reading."""
    for message in (raw["request"], raw["answer"]):
        if message is not None:
            try:
                message["body"] = dumps(loads(message["body"]), indent=2, ensure_ascii=False)
            except ValueError:
                continue
    return raw
