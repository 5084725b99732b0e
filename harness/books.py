"""The three books, read out of a history: what the clients were told, what the provider did, what the service's ledger says.

Invariants compare them. None of the three is believed because of another: the provider's book is what it did, not what
the service says it did.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf

from harness.history import Event, History
from harness.reversals import AGAIN, Line, lines, reversals
from harness.run import PaymentVerdict
from harness.verdict import Verdict

BEFORE, FINAL = "before-reconcile", "final"


@dataclass(frozen=True, slots=True)
class Intent:
    """What a client asked for under one idempotency key. Amounts in minor units of `currency`."""

    id: str
    key: str
    account: str
    amount_minor: int
    currency: str
    asked: Event


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment in the provider's book. `captured` is the event of its capture, None while no money was taken;
    `said_failed` is true where the provider called it failed at any time.
    """

    payment: str
    reference: str
    account: str
    currency: str
    requested_minor: int
    requested_currency: str
    captured_minor: int
    captured: Event | None
    said_failed: bool
    last: Event


@dataclass(frozen=True, slots=True)
class Credit:
    """One entry that raised a customer's account in the service's ledger; `payment` is what the ledger says it is for."""

    payment: str | None
    account: str
    amount_minor: int
    currency: str
    entry: Event


def intents(history: History) -> Sequence[Intent]:
    """Every top-up that a client asked for, by each request that differs in key or in what it asks."""
    asked: dict[tuple[str, str, int, str], Intent] = {}
    for event in history.of("invoked"):
        if event["operation"] != "top_up":
            continue
        wanted = (event["key"], event["account"], event["amount_minor"], event["currency"])
        asked.setdefault(wanted, Intent(event["id"], *wanted, asked=event))
    return tuple(asked.values())


def payments(history: History) -> Sequence[Payment]:
    """Every payment in the provider's book, in the order of their making."""
    return tuple(_payment(name, events) for name, events in history.of("payment").by("payment"))


def captured(history: History) -> Sequence[Payment]:
    """The payments for which the provider took money."""
    return tuple(payment for payment in payments(history) if payment.captured)


def credits_of(history: History, snapshot: str = FINAL) -> Sequence[Credit]:
    """The credits that the service's ledger shows at the end, or (`before-reconcile`) before it asked the provider.

    What a dispute that was won gave back is none: the payment was credited before.
    """
    again = {id(line.entry) for line in lines(history, snapshot) if line.way == AGAIN}
    return tuple(
        Credit(event.get("payment"), event["account"], event["amount_minor"], event["currency"], event)
        for event in history.of("entry")
        if event["snapshot"] == snapshot and event["own"] and event["amount_minor"] > 0 and id(event) not in again
    )


def lines_of(history: History, snapshot: str = FINAL) -> Sequence[Line]:
    """What the ledger shows of money that went back, and came back again."""
    return lines(history, snapshot)


def left_of(history: History) -> dict[str | None, int]:
    """What the ledger has left of each payment at the end: its credits, without what went back, in minor units."""
    left: dict[str | None, int] = {}
    credited = [(credit.payment, credit.amount_minor) for credit in credits_of(history)]
    for payment, amount_minor in credited + [(line.payment, line.amount_minor) for line in lines_of(history)]:
        left[payment] = left.get(payment, 0) + amount_minor
    return left


def given_back(history: History) -> frozenset[str]:
    """Payments of which the provider has nothing left: all of it was refunded, or taken back and not won."""
    gone: dict[str, int] = {}
    for each in reversals(history):
        gone[each.payment] = gone.get(each.payment, 0) + (0 if each.won else each.amount_minor)
    return frozenset(
        payment.payment for payment in captured(history) if gone.get(payment.payment, 0) >= payment.captured_minor
    )


def asked_at(history: History) -> float:
    """When the service was made to ask the provider: the end of the last snapshot before that; infinite if it never was."""
    snapshots = [event.at for event in history.of("balance", "entry") if event["snapshot"] == BEFORE]
    return max(snapshots, default=inf)


def looked_at(history: History) -> float:
    """Until when news count that the last snapshot before that should show: when the harness read the provider's book, and began
    to look. What the service begins by itself while accounts are being read is in no snapshot, and no harm.
    """
    began = [event.at for event in history.of("looked") if event["snapshot"] == BEFORE]
    return min([asked_at(history), *began])


def credited_unasked(history: History) -> frozenset[str | None]:
    """Payments that were credited before the service asked the provider; at the end, where it never does."""
    snapshot = FINAL if asked_at(history) == inf else BEFORE
    return frozenset(credit.payment for credit in credits_of(history, snapshot))


def unread(history: History) -> frozenset[str]:
    """Accounts of which some book of the service could not be read: nothing is known of their payments, and nothing said."""
    return frozenset(event["account"] for event in history.of("book-unread") if event.get("account"))


def held(history: History) -> frozenset[str]:
    """Payments that the service put aside, visibly, because they are not what was asked for; and that truly are not.

    A service may refuse to credit what differs from the intent. It may not put aside everything. Where the target does
    not show what it puts aside, what differs from every intent counts as such: nobody can tell.
    """
    asked = {(intent.account, intent.amount_minor, intent.currency) for intent in intents(history)}
    aside = {event.get("payment") for event in history.of("discrepancy")}
    hidden = any("discrepancy" in event.get("unoffered", {}) for event in history.of("plan"))
    return frozenset(
        payment.payment
        for payment in captured(history)
        if (payment.payment in aside or hidden)
        and (payment.account, payment.captured_minor, payment.currency) not in asked
    )


def lost(history: History) -> Sequence[Payment]:
    """Payments for which money was taken, that no credit and no visible doubt answers for.

    One of which all the money went back may be left out of a ledger: credited and reversed, it comes to the same. But a
    reversal without its credit does not.
    """
    debited = {line.payment for line in lines_of(history)}
    answered = {credit.payment for credit in credits_of(history)} | held(history) | (given_back(history) - debited)
    silent = unread(history)
    return tuple(
        payment for payment in captured(history) if payment.payment not in answered and payment.account not in silent
    )


def phantoms(history: History) -> Sequence[Credit]:
    """Credits for which no money was ever taken."""
    real = {payment.payment for payment in captured(history)}
    return tuple(credit for credit in credits_of(history) if credit.payment not in real)


def top_up_of(history: History) -> dict[str, str]:
    """The payment's top-up, as the provider's book references it."""
    return {payment.payment: payment.reference for payment in payments(history)}


def story(history: History, payment: str | None, *also: Event) -> tuple[Event, ...]:
    """The evidence about one payment: what the provider did with it and said of it, and the events named, in order.

    Reports draw it among everything else that happened to the same payment.
    """
    kinds = ("payment", "reversal", "delivery")
    did = [event for event in history.of(*kinds) if payment and event["payment"] == payment]
    return tuple(sorted({id(event): event for event in (*did, *also)}.values(), key=lambda event: event.at))


def payment_verdicts(history: History, verdicts: Sequence[Verdict]) -> tuple[PaymentVerdict, ...]:
    """One word for each payment: exact, reversed (credited, and what went back stands in the ledger too), doubled, lost,
    late, phantom, wrong amount, wrong account, charged again, regressed, set aside, reversed twice, not reversed, wrongly
    reversed, refunded again."""
    found = {
        violation.payment: violation.verdict
        for verdict in verdicts
        for violation in verdict.violations
        if violation.payment and violation.verdict
    }
    return tuple(_payment_verdicts(history, found))


def _payment_verdicts(history: History, found: dict[str, str]) -> Iterator[PaymentVerdict]:
    early = credited_unasked(history)
    aside = held(history) - {credit.payment for credit in credits_of(history)}
    audited, silent = bool(history.of("audited")), unread(history)
    back = {each.payment for each in reversals(history)}
    for payment in captured(history):
        right = "reversed" if payment.payment in back else "exact"
        word = found.get(payment.payment) or ("set aside" if payment.payment in aside else right)
        due = payment.captured is not None and payment.captured.at < looked_at(history)
        if word == right and due and payment.payment not in early:
            word = "late"
        word = word if audited and payment.account not in silent else "unknown"
        yield PaymentVerdict(payment.payment, payment.account, payment.captured_minor, payment.currency, word)
    for credit in phantoms(history):
        name = credit.payment or "(no payment)"
        yield PaymentVerdict(name, credit.account, credit.amount_minor, credit.currency, "phantom")


def _payment(name: str, events: History) -> Payment:
    taken = next((event for event in events if event["captured_minor"] > 0), None)
    last = events.events[-1]
    return Payment(
        payment=name,
        reference=last["reference"],
        account=last["account"],
        currency=last["currency"],
        requested_minor=last["amount_minor"],
        requested_currency=last.get("ordered_currency", last["currency"]),
        captured_minor=last["captured_minor"],
        captured=taken,
        said_failed=any(event["state"] == "failed" for event in events),
        last=last,
    )
