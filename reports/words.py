"""Any event in a few human words, shared by the terminal and the page.

Facts come from other programs, some of them attacked on purpose: whatever is printed here has its unprintable
characters spelt out, and a fact that is missing or of another type is left out or shown as it is, never an error.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.history import Event

# ISO 4217: how many decimals the major unit of a currency has, where it is not two.
EXPONENTS: Mapping[str, int] = {
    currency: exponent
    for exponent, currencies in (
        (0, ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")),
        (0, ("XAF", "XOF", "XPF")),
        (3, ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")),
        (4, ("CLF", "UYW")),
    )
    for currency in currencies
}

LENGTH_MAX = 120


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence in three columns: what happened, what it is about, and the facts that matter."""

    what: str
    about: str = ""
    detail: str = ""


def sentence(event: Event, *, id_length_max: int = LENGTH_MAX) -> str:
    """A few human words: "payment captured pay_3 5.00 EUR"; what it is about is cut where a reader knows it anyway."""
    said = phrase(event)
    return " ".join(filter(None, (said.what, plain(said.about, id_length_max), said.detail)))


def phrase(event: Event) -> Phrase:
    """The same words, in columns that line up with those of other events."""
    said = _PHRASES.get(event.kind, _anything)(event)
    return Phrase(plain(said.what), plain(said.about), plain(said.detail))


def fault_name(began: Event) -> str:
    """What to call a fault where there is room for a name only: "stall db", "mood answer-late"."""
    args = began.get("args")
    named = [value for value in args.values() if isinstance(value, str)] if isinstance(args, Mapping) else []
    return plain(" ".join([str(began.get("fault")), *named]))


def money(amount_minor: Any, currency: Any, *, signed: bool = False) -> str:
    """Minor units in major ones, "5.00 EUR"; empty without an amount."""
    if not isinstance(amount_minor, int):
        return _text(amount_minor)
    exponent = EXPONENTS.get(str(currency), 2)
    whole, part = divmod(abs(amount_minor), 10**exponent)
    sign = "-" if amount_minor < 0 else "+" if signed else ""
    digits = f"{sign}{whole}" + (f".{part:0{exponent}d}" if exponent else "")
    return f"{digits} {_text(currency)}".rstrip()


def plain(text: str, length_max: int = LENGTH_MAX) -> str:
    """One line, short, unprintable characters spelt out: nothing in it can steer a terminal or turn text around."""
    shown = legible(text)
    return shown if len(shown) <= length_max else shown[: length_max - 1] + "…"


def legible(text: str, allowed: str = "") -> str:
    """With every unprintable character spelt out, but for those *allowed*."""
    return "".join(letter if letter.isprintable() or letter in allowed else _spelt_out(letter) for letter in text)


def duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def count(number: int, noun: str) -> str:
    """ "1 run", "2 runs"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _spelt_out(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _in_brackets(*parts: Any) -> str:
    said = ", ".join(filter(None, map(_text, parts)))
    return f"({said})" if said else ""


def _pairs(facts: Any) -> Iterable[str]:
    return (f"{name}={value}" for name, value in facts.items()) if isinstance(facts, Mapping) else ()


def _anything(event: Event) -> Phrase:
    return Phrase(event.kind, detail=_in_brackets(*_pairs(event.facts)))


def _plan(event: Event) -> Phrase:
    plan = event.get("plan")
    return Phrase("plan", _text(plan.get("name")) if isinstance(plan, Mapping) else "")


def _phase(event: Event) -> Phrase:
    return Phrase("phase", _text(event.get("name")))


def _fault_began(event: Event) -> Phrase:
    return Phrase(f"fault begins: {event.get('fault')}", detail=_in_brackets(*_pairs(event.get("args"))))


def _fault_ended(event: Event) -> Phrase:
    return Phrase(f"fault ends: {event.get('fault')}", detail=f"(touched {event.get('touched')})")


def _settled(event: Event) -> Phrase:
    if event.get("reason") is None:
        return Phrase("settled", detail=_in_brackets(_took(event)))
    return Phrase("not settled:", _text(event.get("reason")), _in_brackets(_took(event)))


def _took(event: Event) -> str:
    took = event.get("took_s")
    return f"after {took:.1f} s" if isinstance(took, int | float) else ""


def _node(event: Event) -> Phrase:
    return Phrase(f"{event.get('node')} {event.get('did')}")


def _crossing(event: Event) -> Phrase:
    arrived = event.get("arrived")
    held = f"(held for {event.at - arrived:.3f} s)" if isinstance(arrived, int | float) else ""
    return Phrase(_text(event.get("label") or event.get("link") or "crossing"), detail=held)


def _surgery(event: Event) -> Phrase:
    return Phrase(f"surgery: {event.get('action')}", _text(event.get("label") or event.get("link")))


def _lane(event: Event) -> Phrase:
    return Phrase(f"request {event.get('lane')} comes", _text(event.get("request")))


def _turn(event: Event) -> Phrase:
    return Phrase(f"turn of request {event.get('lane')}", _text(event.get("statement")))


def _waits(event: Event) -> Phrase:
    return Phrase(f"request {event.get('lane')} waits for a lock")


def _log_scanned(event: Event) -> Phrase:
    return Phrase(f"log of {event.get('node')} read", detail=f"({event.get('lines')} lines)")


def _secret_in_log(event: Event) -> Phrase:
    return Phrase(f"secret in the log of {event.get('node')}", _text(event.get("secret")))


def _wait(event: Event) -> Phrase:
    return Phrase(f"waited until {event.get('until')}:", _text(event.get("outcome")))


def _book_unread(event: Event) -> Phrase:
    return Phrase(f"book not read: {event.get('book')}", detail=_in_brackets(event.get("because")))


def _looked(_event: Event) -> Phrase:
    return Phrase("reads the books, before the service asks")


def _audited(event: Event) -> Phrase:
    return Phrase("all books read")


def _invoked(event: Event) -> Phrase:
    amount = money(event.get("amount_minor") or None, event.get("currency"))
    attempt = event.get("attempt")
    again = f"attempt {attempt}" if attempt not in (None, 1) else ""
    return Phrase(f"asks {_operation(event)}", _text(event.get("id")), " ".join(filter(None, (amount, again))))


def _answered(event: Event) -> Phrase:
    outcome = str(event.get("outcome", "")).replace("-", " ")
    balance = money(event.get("balance_minor"), event.get("currency"))
    facts = dict.fromkeys((_text(event.get("status")), _text(event.get("word")), _text(event.get("because")), balance))
    return Phrase(f"hears {_operation(event)} {outcome}", _text(event.get("id")), _in_brackets(*facts))


def _operation(event: Event) -> str:
    return _OPERATIONS.get(str(event.get("operation")), str(event.get("operation")).replace("_", "-"))


_OPERATIONS = {
    "give_back": "refund at the provider",
    "dispute": "chargeback at the bank",
    "win": "dispute decided for the merchant",
    "lose": "dispute decided for the customer",
}


def _payment(event: Event) -> Phrase:
    state = _text(event.get("state"))
    amounts = {
        "captured": event.get("captured_minor"),
        "refunded": event.get("refunded_minor"),
        "disputed": event.get("charged_back_minor"),
        "lost": event.get("charged_back_minor"),
    }
    amount = amounts.get(state) or event.get("amount_minor")
    return Phrase(f"payment {state}", _text(event.get("payment")), money(amount, event.get("currency")))


_REVERSALS = {
    "refunded": "refunded",
    "opened": "dispute opened, taken back",
    "won": "dispute won, given back",
    "lost": "dispute lost",
}


def _reversal(event: Event) -> Phrase:
    news = _text(event.get("news"))
    amount = money(event.get("amount_minor"), event.get("currency"))
    about = " ".join(filter(None, (amount, _in_brackets(event.get("reversal")))))
    return Phrase(_REVERSALS.get(news, f"reversal {news}"), _text(event.get("payment")), about)


def _delivery(event: Event) -> Phrase:
    about = _text(event.get("payment"))
    if event.get("hostile"):
        return Phrase(f"forged callback {event.get('event')}", about, _in_brackets(event.get("forgery")))
    copy = event.get("copy")
    attempt = f"attempt {event.get('attempt')}"
    which = (event.get("reversal"), attempt, f"copy {copy}" if copy not in (None, 1) else "", event.get("mood"))
    return Phrase(f"callback {event.get('event')}", about, _in_brackets(*which))


def _answer(event: Event) -> Phrase:
    heard = "acknowledged" if event.get("acknowledged") else "not acknowledged"
    forged = "forged " if event.get("hostile") else ""
    return Phrase(f"{forged}callback {heard}", _text(event.get("payment")), _in_brackets(event.get("because")))


def _gave_up(event: Event) -> Phrase:
    attempts = f"{event.get('attempts')} attempts"
    return Phrase(f"gave up on {event.get('event')}", _text(event.get("payment")), _in_brackets(attempts))


def _left_over(event: Event) -> Phrase:
    return Phrase("payment of an earlier plan", _text(event.get("payment")), _text(event.get("top_up")))


def _entry(event: Event) -> Phrase:
    amount = event.get("amount_minor")
    kind = event.get("entry_kind") or ("debit" if isinstance(amount, int) and amount < 0 else "credit")
    # The other leg of a posting reads like a second movement unless it says whose account it is on.
    where = f"on {event.get('account')}" if event.get("own") is False else ""
    moved = money(amount, event.get("currency"), signed=True)
    which = _in_brackets(event.get("reversal"))
    return Phrase(_text(kind), _text(event.get("payment")), " ".join(filter(None, (moved, where, which))))


def _balance(event: Event) -> Phrase:
    amount = money(event.get("balance_minor"), event.get("currency"))
    return Phrase("balance", _text(event.get("account")), amount)


def _transition(event: Event) -> Phrase:
    steps = " → ".join(filter(None, (_text(event.get("from")), _text(event.get("to")))))
    return Phrase(f"top-up {steps}", _text(event.get("top_up")), _in_brackets(event.get("cause")))


def _discrepancy(event: Event) -> Phrase:
    difference = _in_brackets(f"expected {event.get('expected')}", f"found {event.get('found')}")
    about = _text(event.get("payment") or event.get("top_up"))
    return Phrase(f"discrepancy: {event.get('discrepancy_kind')}", about, difference)


def _finding(event: Event) -> Phrase:
    difference = _in_brackets(f"expected {event.get('expected')}", f"found {event.get('found')}")
    return Phrase(f"reports {event.get('class')}", _text(event.get("payment")), difference)


_PHRASES: Mapping[str, Callable[[Event], Phrase]] = {
    "plan": _plan,
    "phase": _phase,
    "fault-began": _fault_began,
    "fault-ended": _fault_ended,
    "settled": _settled,
    "node": _node,
    "crossing": _crossing,
    "surgery": _surgery,
    "lane": _lane,
    "turn": _turn,
    "waits": _waits,
    "log-scanned": _log_scanned,
    "secret-in-log": _secret_in_log,
    "wait": _wait,
    "looked": _looked,
    "book-unread": _book_unread,
    "audited": _audited,
    "invoked": _invoked,
    "answered": _answered,
    "payment": _payment,
    "reversal": _reversal,
    "delivery": _delivery,
    "answer": _answer,
    "gave-up": _gave_up,
    "left-over": _left_over,
    "entry": _entry,
    "balance": _balance,
    "transition": _transition,
    "discrepancy": _discrepancy,
    "finding": _finding,
}
