"""What the one who runs the experiment may do, over HTTP."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from fake_provider import fields
from fake_provider.asking import Endpoint, json_body
from fake_provider.dialects import all_shown
from fake_provider.fields import Refused
from fake_provider.memory import die
from fake_provider.moods import BadArgument, all_moods, make
from fake_provider.provider import Provider
from fake_provider.records import book_entry, payment_object
from fake_provider.registry import UnknownName
from fake_provider.shown import attempt_object, deed_object, waiting_object

TEN_YEARS_S = 10 * 365 * 86_400.0
HOW_AGAIN = ("resend", "replay", "at-once")
COPIES_AT_MOST = 100
WITHIN_MS_MAX = 5000
"""So long an answer is waited for at most: less than whoever asks would wait for it."""
KEY_LONGEST = 8192  # an RSA key with a certificate
SHOWN = 200  # characters of a receiver's answer that are passed on

CLAIMS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "amount_minor": fields.minor_units,
    "attempt": fields.minor_units,
    "currency": fields.currency,
    "account": fields.text,
    "reference": fields.text,
    "merchant": fields.text,
    "environment": fields.text,
}


@dataclass(frozen=True, slots=True)
class Control:
    """What the one who runs the experiment may do."""

    provider: Provider
    memory: Path | None = None

    def routes(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("GET", "/health", self.health),
            ("POST", "/payments/{id}/pay", self.pay),
            ("POST", "/payments/{id}/decline", self.decline),
            ("POST", "/payments/{id}/refund", self.refund),
            ("POST", "/payments/{id}/dispute", self.dispute),
            ("POST", "/payments/{id}/win", self.win),
            ("POST", "/payments/{id}/lose", self.lose),
            ("GET", "/moods", self.list_moods),
            ("POST", "/moods", self.put_on),
            ("GET", "/moods/{id}", self.show_mood),
            ("DELETE", "/moods/{id}", self.end_mood),
            ("POST", "/forge", self.forge),
            ("GET", "/deliveries", self.list_deliveries),
            ("GET", "/deliveries/{id}", self.show_delivery),
            ("POST", "/deliveries/{id}/send", self.send_again),
            ("GET", "/ahead", self.ahead),
            ("POST", "/clock/advance", self.advance),
            ("POST", "/clock/next", self.advance_to_next),
            ("GET", "/dialects", self.dialects),
            ("POST", "/keys/rotate", self.rotate_key),
            ("POST", "/clock/play-out", self.play_out),
            ("GET", "/unsettled", self.unsettled),
            ("POST", "/release", self.release),
            ("POST", "/die", self.die),
            ("GET", "/journal", self.journal),
            ("GET", "/book", self.book),
        ]

    async def health(self, _: Request) -> Response:
        """Whether it is up, and the time on its clock."""
        return JSONResponse({"status": "up", "now": self.provider.now()})

    async def pay(self, request: Request) -> Response:
        """The customer pays: all of it, or a part."""
        payment = self.provider.payment(request.path_params["id"])
        body = await json_body(request)
        amount = fields.minor_units(body, "captured_minor") if "captured_minor" in body else payment.order.amount_minor
        return JSONResponse(payment_object(self.provider.pay(payment.id, amount, "customer paid")))

    async def decline(self, request: Request) -> Response:
        """The customer or the bank declines."""
        return JSONResponse(payment_object(self.provider.decline(request.path_params["id"], "customer declined")))

    async def refund(self, request: Request) -> Response:
        """Money goes back by other hands than the merchant's: all that is left, or a part."""
        payment, amount_minor = await self._amount_of(request)
        return JSONResponse(payment_object(self.provider.refund(payment, amount_minor)))

    async def dispute(self, request: Request) -> Response:
        """The customer's bank takes money back, and a dispute is open: about all that is left, or a part."""
        payment, amount_minor = await self._amount_of(request)
        return JSONResponse(payment_object(self.provider.dispute(payment, amount_minor)))

    async def win(self, request: Request) -> Response:
        """The open dispute is decided for the merchant."""
        return JSONResponse(payment_object(self.provider.win(request.path_params["id"])))

    async def lose(self, request: Request) -> Response:
        """The open dispute is decided for the customer."""
        return JSONResponse(payment_object(self.provider.lose(request.path_params["id"])))

    async def _amount_of(self, request: Request) -> tuple[str, int]:
        """The payment, and how much of it goes back: all that is left, unless it is said."""
        payment, body = self.provider.payment(request.path_params["id"]), await json_body(request)
        return payment.id, fields.minor_units(body, "amount_minor") if "amount_minor" in body else payment.left_minor

    async def put_on(self, request: Request) -> Response:
        """Put a mood on."""
        body = await json_body(request)
        name, args = fields.text(body, "mood"), fields.mapping(body, "args")
        try:
            mood = make(name, args)
        except UnknownName as unknown:
            raise fields.invalid("mood", str(unknown)) from None
        except BadArgument as bad:
            raise fields.invalid(bad.field, str(bad)) from None
        return JSONResponse({"id": self.provider.put_on(mood), "mood": name, "args": args}, status_code=201)

    async def list_moods(self, _: Request) -> Response:
        """Every mood that is on."""
        return JSONResponse({"moods": [self._mood(id) for id in self.provider.moods()]})

    async def show_mood(self, request: Request) -> Response:
        """A mood, and how many callbacks or payments it has touched."""
        return JSONResponse(self._mood(request.path_params["id"]))

    def _mood(self, id: str) -> dict[str, Any]:
        mood = self.provider.mood(id)
        return {"id": id, "mood": mood.name, "touched": mood.touched}

    async def end_mood(self, request: Request) -> Response:
        """End a mood: what it held leaves, what it left undone is done."""
        mood = self.provider.end_mood(request.path_params["id"])
        return JSONResponse({"id": request.path_params["id"], "mood": mood.name, "touched": mood.touched})

    async def forge(self, request: Request) -> Response:
        """Send one hostile callback about a payment, and wait for the answer."""
        body = await json_body(request)
        forgery, payment = fields.text(body, "forgery"), fields.text(body, "payment")
        claims = _claims(fields.mapping(body, "args"))
        try:
            delivery, answer = await self.provider.forge(forgery, payment, claims)
        except UnknownName as unknown:
            raise fields.invalid("forgery", str(unknown)) from None
        shown = answer.body.decode("utf-8", "replace")[:SHOWN]
        return JSONResponse({"delivery": delivery, "status": answer.status, "body": shown, "because": answer.because})

    async def dialects(self, _: Request) -> Response:
        """Every dialect, its words and its forgeries; what verifies this provider's callbacks, and its possible moods."""
        speaks = self.provider.dialect.name
        moods = [name for name, mood in all_moods().items() if self.provider.why_not(mood) is None]
        told = {"speaks": speaks, "receiver_keys": self.provider.receiver_keys(), "moods": moods}
        return JSONResponse({**told, "dialects": all_shown()})

    async def rotate_key(self, request: Request) -> Response:
        """Sign with a new key, and with the old one beside it for so many seconds on the provider's clock."""
        body = await json_body(request)
        overlap_s = fields.seconds(body, "overlap_s", TEN_YEARS_S)
        key = fields.text(body, "key", KEY_LONGEST) if "key" in body else None
        try:
            self.provider.rotate_key(timedelta(seconds=overlap_s), key)
        except ValueError as wrong:
            raise fields.invalid("key", str(wrong)) from None
        new = self.provider.receiver_keys()[0]
        return JSONResponse({"receiver_key": new, "receiver_keys": self.provider.receiver_keys()})

    async def list_deliveries(self, _: Request) -> Response:
        """The last deliveries, with all that was sent and answered."""
        return JSONResponse(
            {"deliveries": [attempt_object(each) for each in self.provider.deliveries.attempts.archive]}
        )

    async def show_delivery(self, request: Request) -> Response:
        """One delivery, with all that was sent and answered."""
        return JSONResponse(attempt_object(self.provider.attempt(request.path_params["id"])))

    async def send_again(self, request: Request) -> Response:
        """Send the callback of an earlier delivery once more: signed afresh, with the same bytes, or in copies at once."""
        body = await json_body(request)
        how = fields.one_of(body, "how", HOW_AGAIN)
        copies = fields.minor_units(body, "copies") if "copies" in body else 1 + (how == "at-once")
        if copies > COPIES_AT_MOST:
            raise fields.invalid("copies", f"copies must be from 1 to {COPIES_AT_MOST}")
        self.provider.send_by_hand(request.path_params["id"], copies=copies, same_bytes=how == "replay")
        return JSONResponse({"copies": copies}, status_code=202)

    async def ahead(self, _: Request) -> Response:
        """What is to come on the provider's clock: attempts to deliver, and what the bank is going to do."""
        attempts = [waiting_object(callback) for callback in self.provider.deliveries.waiting()]
        deeds = [deed_object(deed) for deed in self.provider.ahead()]
        return JSONResponse({"now": self.provider.now(), "attempts": attempts, "deeds": deeds})

    async def advance(self, request: Request) -> Response:
        """Move the clock by so many seconds."""
        seconds = fields.seconds(await json_body(request), "seconds", TEN_YEARS_S)
        due = self.provider.advance(timedelta(seconds=seconds))
        return JSONResponse({"now": self.provider.now(), "due": due})

    async def advance_to_next(self, _: Request) -> Response:
        """Move the clock to what is due next."""
        wait = self.provider.until_next() or timedelta(0)
        self.provider.advance(wait)
        left = self.provider.unsettled()
        return JSONResponse({"advanced_s": wait.total_seconds(), "pending": left.in_flight + left.due + left.ahead})

    async def play_out(self, request: Request) -> Response:
        """Move the clock on and on, seeing each attempt through, until nothing is due, or not within that time."""
        body = await json_body(request)
        within_s = fields.seconds(body, "within_s", TEN_YEARS_S) if "within_s" in body else TEN_YEARS_S
        moved = await self.provider.play_out(timedelta(seconds=within_s))
        return JSONResponse({"now": self.provider.now(), "advanced_s": moved.total_seconds()})

    async def unsettled(self, request: Request) -> Response:
        """Why the provider is not at rest, or null; answered once nothing is in flight, after `within_ms` at the latest."""
        within_ms = fields.whole_number(request.query_params.get("within_ms", "0"), "within_ms")
        if within_ms > WITHIN_MS_MAX:
            raise fields.invalid("within_ms", f"within_ms must be at most {WITHIN_MS_MAX}")
        with suppress(TimeoutError):
            async with asyncio.timeout(within_ms / 1000):
                await self.provider.deliveries.landed()
        left = self.provider.unsettled()
        counts = {"in_flight": left.in_flight, "due": left.due, "held": left.held, "ahead": left.ahead}
        return JSONResponse({"reason": left.reason, **counts})

    async def release(self, _: Request) -> Response:
        """Let go of what moods hold."""
        return JSONResponse({"released": self.provider.release()})

    async def journal(self, request: Request) -> Response:
        """What happened, in order, after entry number N."""
        after = fields.whole_number(request.query_params.get("after", "0"), "after")
        entries = self.provider.journal.after(after)
        events = [entry.to_json() for entry in entries]
        return JSONResponse({"events": events, "next": entries[-1].seq if entries else after})

    async def die(self, _: Request) -> Response:
        """Die without an answer, books kept: whoever started this must start it again."""
        if self.memory is None:
            raise Refused(409, "no_memory", "set PROVIDER_MEMORY, or all would be forgotten", "PROVIDER_MEMORY")
        die(self.provider.memory(), self.memory)
        raise AssertionError("this process is dead")

    async def book(self, request: Request) -> Response:
        """What is true of every payment, with its history; or of those with one reference."""
        reference = request.query_params.get("reference")
        found = self.provider.book if reference is None else self.provider.book.of_reference(reference)
        return JSONResponse({"payments": [book_entry(payment) for payment in found]})


def _claims(args: Mapping[str, Any]) -> dict[str, Any]:
    """What a forgery is to claim instead of the truth."""
    for name in args:
        if name not in CLAIMS:
            raise fields.invalid(f"args.{name}", f"{name} cannot be claimed; choose from {', '.join(CLAIMS)}")
    return {name: CLAIMS[name](args, name) for name in args}
