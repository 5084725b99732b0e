"""What the buttons do: each takes the provider and the form's fields, and returns what came of it in a line."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import TypeAlias

from fake_provider import fields
from fake_provider.moods import BadArgument, make
from fake_provider.payments import Order
from fake_provider.provider import Provider
from fake_provider.registry import UnknownName

Form: TypeAlias = Mapping[str, str]
Deed: TypeAlias = Callable[[Provider, Form], Awaitable[str]]

METHODS = ("card", "redirect", "bad-card")
HOW = {"resend": (1, False), "replay": (1, True), "twice-at-once": (2, False)}
A_YEAR = timedelta(days=365)


async def create(provider: Provider, form: Form) -> str:
    number = sum(1 for _ in provider.book) + 1
    order = Order(
        reference=form.get("reference") or f"tu_{number}",
        amount_minor=fields.minor_units({"amount_minor": _number(form, "amount_minor")}, "amount_minor"),
        currency=fields.currency(form),
        account=fields.text(form, "account"),
        merchant=provider.merchant or "any-merchant",
        method=fields.one_of(form, "method", METHODS),
    )
    answer = await provider.create_payment(f"page-{number}", order)
    return f"{answer.body['id']} is {answer.body['state']}" if "id" in answer.body else f"answered {answer.status}"


async def move(provider: Provider, form: Form) -> str:
    """What the customer or the bank does to a payment."""
    payment = provider.payment(form.get("payment", ""))
    moves: Mapping[str, Callable[[], object]] = {
        "pay": lambda: provider.pay(payment.id, payment.order.amount_minor, "customer paid"),
        "decline": lambda: provider.decline(payment.id, "customer declined"),
        "refund": lambda: provider.refund(payment.id, payment.left_minor),
        "refund-half": lambda: provider.refund(payment.id, max(1, payment.left_minor // 2)),
        "dispute": lambda: provider.dispute(payment.id, payment.left_minor),
        "win": lambda: provider.win(payment.id),
        "lose": lambda: provider.lose(payment.id),
    }
    moves[fields.one_of(form, "move", tuple(moves))]()
    return f"{payment.id} is {provider.payment(payment.id).state}"


async def send(provider: Provider, form: Form) -> str:
    """An earlier callback once more."""
    copies, same_bytes = HOW[fields.one_of(form, "how", tuple(HOW))]
    provider.send_by_hand(form.get("delivery", ""), copies=copies, same_bytes=same_bytes)
    return f"{form['delivery']}: {form['how'].replace('-', ' ')}"


async def forge(provider: Provider, form: Form) -> str:
    forgery = fields.text(form, "forgery")
    try:
        _, answer = await provider.forge(forgery, form.get("payment", ""), {})
    except UnknownName as unknown:
        raise fields.invalid("forgery", str(unknown)) from None
    fate = "accepted" if provider.dialect.is_ack(answer) else "refused"
    return f"the forgery {forgery} was {fate}: {answer.because}"


async def put_on(provider: Provider, form: Form) -> str:
    name = fields.text(form, "mood")
    try:
        provider.put_on(make(name, _arguments(form.get("args", ""))))
    except UnknownName as unknown:
        raise fields.invalid("mood", str(unknown)) from None
    except BadArgument as bad:
        raise fields.invalid(bad.field, str(bad)) from None
    return f"the mood {name} is on"


async def end_mood(provider: Provider, form: Form) -> str:
    mood = provider.end_mood(form.get("id", ""))
    return f"the mood {mood.name} is over: it touched {mood.touched}"


async def release(provider: Provider, _: Form) -> str:
    return f"released: {provider.release()}"


async def clock(provider: Provider, form: Form) -> str:
    """Move the clock: on to what is due, by an hour, by a day, or until nothing is due."""
    to = fields.one_of(form, "to", ("next", "hour", "day", "end"))
    if to == "end":
        await provider.play_out(A_YEAR)
    else:
        steps = {"next": provider.until_next() or timedelta(0), "hour": timedelta(hours=1), "day": timedelta(days=1)}
        provider.advance(steps[to])
        await provider.deliveries.landed()
    return f"it is {provider.now()}"


DEEDS: Mapping[str, Deed] = {
    "create": create,
    "move": move,
    "send": send,
    "forge": forge,
    "put-on": put_on,
    "end-mood": end_mood,
    "release": release,
    "clock": clock,
}


def _number(form: Form, field: str) -> int | None:
    raw = form.get(field, "")
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 20 else None


def _arguments(written: str) -> dict[str, object]:
    """`copies=3 percent=50`, as a person writes it."""
    found: dict[str, object] = {}
    for part in written.split():
        name, _, value = part.partition("=")
        for kind in (int, float, str):
            try:
                found[name] = kind(value)
                break
            except ValueError:
                continue
    return found
