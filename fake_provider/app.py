"""The provider over HTTP: what merchants may ask for, and what the one who runs the experiment may do."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from fake_provider import fields
from fake_provider.dialects import NothingGenuine
from fake_provider.fields import Refused
from fake_provider.idempotency import ApiAnswer, KeyReused, StillRunning
from fake_provider.moods import BadArgument, make
from fake_provider.payments import BadAmount, IllegalMove, Order
from fake_provider.provider import Provider
from fake_provider.records import book_entry, payment_object
from fake_provider.registry import UnknownName

METHODS = ("card", "redirect", "bad-card")
BODY_LIMIT = 64 * 1024
TEN_YEARS_S = 10 * 365 * 86_400.0
SHOWN = 200  # characters of a receiver's answer that are passed on

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

CLAIMS: Mapping[str, Callable[[Mapping[str, Any], str], Any]] = {
    "amount_minor": fields.minor_units,
    "attempt": fields.minor_units,
    "currency": fields.currency,
    "account": fields.text,
    "reference": fields.text,
    "merchant": fields.text,
    "environment": fields.text,
}


def create_app(provider: Provider, api_key: str) -> Starlette:
    """Both APIs in one application: `/v1` needs the key, `/control` is for whoever started this."""
    business, control = Business(provider), Control(provider)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await provider.close()

    return Starlette(
        routes=[
            Mount("/v1", routes=[_needing(api_key, *route) for route in business.routes()]),
            Mount("/control", routes=[Route(path, run, methods=[method]) for method, path, run in control.routes()]),
        ],
        exception_handlers=dict.fromkeys(_REFUSALS, _refuse) | {HTTPException: _no_such_route},
        lifespan=lifespan,
    )


@dataclass(frozen=True, slots=True)
class Business:
    """What merchants may ask for."""

    provider: Provider

    def routes(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("POST", "/payments", self.create),
            ("GET", "/payments", self.search),
            ("GET", "/payments/{id}", self.show),
            ("POST", "/payments/{id}/refunds", self.refund),
        ]

    async def create(self, request: Request) -> Response:
        key = _idempotency_key(request)
        body = await _body(request)
        order = Order(
            reference=fields.text(body, "reference"),
            amount_minor=fields.minor_units(body, "amount_minor"),
            currency=fields.currency(body),
            account=fields.text(body, "account"),
            merchant=fields.text(body, "merchant"),
            method=fields.one_of(body, "method", METHODS),
        )
        return _answered(await self.provider.create_payment(key, order))

    async def refund(self, request: Request) -> Response:
        key = _idempotency_key(request)
        amount_minor = fields.minor_units(await _body(request), "amount_minor")
        try:
            return _answered(self.provider.create_refund(key, request.path_params["id"], amount_minor))
        except IllegalMove as illegal:
            raise Refused(422, "not_refundable", str(illegal), "id") from None

    async def show(self, request: Request) -> Response:
        return JSONResponse(payment_object(self.provider.payment(request.path_params["id"])))

    async def search(self, request: Request) -> Response:
        reference = fields.text(request.query_params, "reference")
        found = self.provider.book.of_reference(reference)
        return JSONResponse({"payments": [payment_object(payment) for payment in found]})


@dataclass(frozen=True, slots=True)
class Control:
    """What the one who runs the experiment may do."""

    provider: Provider

    def routes(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("GET", "/health", self.health),
            ("POST", "/payments/{id}/pay", self.pay),
            ("POST", "/payments/{id}/decline", self.decline),
            ("POST", "/payments/{id}/refund", self.refund),
            ("POST", "/moods", self.put_on),
            ("GET", "/moods/{id}", self.show_mood),
            ("DELETE", "/moods/{id}", self.end_mood),
            ("POST", "/forge", self.forge),
            ("POST", "/clock/advance", self.advance),
            ("POST", "/clock/next", self.advance_to_next),
            ("GET", "/unsettled", self.unsettled),
            ("POST", "/release", self.release),
            ("GET", "/journal", self.journal),
            ("GET", "/book", self.book),
        ]

    async def health(self, _: Request) -> Response:
        return JSONResponse({"status": "up", "now": self.provider.now()})

    async def pay(self, request: Request) -> Response:
        payment = self.provider.payment(request.path_params["id"])
        body = await _body(request)
        amount = fields.minor_units(body, "captured_minor") if "captured_minor" in body else payment.order.amount_minor
        return JSONResponse(payment_object(self.provider.pay(payment.id, amount, "customer paid")))

    async def decline(self, request: Request) -> Response:
        return JSONResponse(payment_object(self.provider.decline(request.path_params["id"], "customer declined")))

    async def refund(self, request: Request) -> Response:
        amount_minor = fields.minor_units(await _body(request), "amount_minor")
        return JSONResponse(payment_object(self.provider.refund(request.path_params["id"], amount_minor)))

    async def put_on(self, request: Request) -> Response:
        body = await _body(request)
        name, args = fields.text(body, "mood"), fields.mapping(body, "args")
        try:
            mood = make(name, args)
        except UnknownName as unknown:
            raise fields.invalid("mood", str(unknown)) from None
        except BadArgument as bad:
            raise fields.invalid(bad.field, str(bad)) from None
        return JSONResponse({"id": self.provider.put_on(mood), "mood": name, "args": args}, status_code=201)

    async def show_mood(self, request: Request) -> Response:
        mood = self.provider.mood(request.path_params["id"])
        return JSONResponse({"id": request.path_params["id"], "mood": mood.name, "touched": mood.touched})

    async def end_mood(self, request: Request) -> Response:
        mood = self.provider.end_mood(request.path_params["id"])
        return JSONResponse({"id": request.path_params["id"], "mood": mood.name, "touched": mood.touched})

    async def forge(self, request: Request) -> Response:
        body = await _body(request)
        forgery, payment = fields.text(body, "forgery"), fields.text(body, "payment")
        claims = _claims(fields.mapping(body, "args"))
        try:
            delivery, answer = await self.provider.forge(forgery, payment, claims)
        except UnknownName as unknown:
            raise fields.invalid("forgery", str(unknown)) from None
        shown = answer.body.decode("utf-8", "replace")[:SHOWN]
        return JSONResponse({"delivery": delivery, "status": answer.status, "body": shown, "because": answer.because})

    async def advance(self, request: Request) -> Response:
        seconds = fields.seconds(await _body(request), "seconds", TEN_YEARS_S)
        due = self.provider.advance(timedelta(seconds=seconds))
        return JSONResponse({"now": self.provider.now(), "due": due})

    async def advance_to_next(self, _: Request) -> Response:
        wait = self.provider.deliveries.until_next() or timedelta(0)
        self.provider.advance(wait)
        left = self.provider.deliveries.unsettled()
        return JSONResponse({"advanced_s": wait.total_seconds(), "pending": left.in_flight + left.due})

    async def unsettled(self, _: Request) -> Response:
        left = self.provider.deliveries.unsettled()
        counts = {"in_flight": left.in_flight, "due": left.due, "held": left.held}
        return JSONResponse({"reason": left.reason, **counts})

    async def release(self, _: Request) -> Response:
        return JSONResponse({"released": self.provider.release()})

    async def journal(self, request: Request) -> Response:
        after = fields.whole_number(request.query_params.get("after", "0"), "after")
        entries = self.provider.journal.after(after)
        events = [entry.to_json() for entry in entries]
        return JSONResponse({"events": events, "next": entries[-1].seq if entries else after})

    async def book(self, _: Request) -> Response:
        return JSONResponse({"payments": [book_entry(payment) for payment in self.provider.book]})


def _needing(api_key: str, method: str, path: str, run: Endpoint) -> Route:
    """A route that is closed to everyone without the key."""
    expected = f"Bearer {api_key}".encode()

    async def guarded(request: Request) -> Response:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise Refused(401, "unauthorized", "send `Authorization: Bearer <PROVIDER_API_KEY>`", "Authorization")
        return await run(request)

    return Route(path, guarded, methods=[method])


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not 0 < len(key) <= fields.LONGEST:
        message = f"send an Idempotency-Key of 1 to {fields.LONGEST} characters, the same one on every retry"
        raise fields.invalid("Idempotency-Key", message)
    return key


async def _body(request: Request) -> dict[str, Any]:
    raw = b""
    async for chunk in request.stream():
        raw += chunk
        if len(raw) > BODY_LIMIT:
            raise Refused(413, "too_large", f"the body must not exceed {BODY_LIMIT} bytes", "body")
    return fields.json_object(raw)


def _claims(args: Mapping[str, Any]) -> dict[str, Any]:
    """What a forgery is to claim instead of the truth."""
    for name in args:
        if name not in CLAIMS:
            raise fields.invalid(f"args.{name}", f"{name} cannot be claimed; choose from {', '.join(CLAIMS)}")
    return {name: CLAIMS[name](args, name) for name in args}


def _answered(answer: ApiAnswer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
    return JSONResponse(dict(answer.body), status_code=answer.status, headers=headers)


# What each refusal of the layers below means in HTTP: status, code and the field to look at.
_REFUSALS: dict[Any, tuple[int, str, str | None]] = {
    Refused: (400, "invalid", None),
    KeyReused: (422, "key_reused", "Idempotency-Key"),
    StillRunning: (409, "in_progress", "Idempotency-Key"),
    BadAmount: (422, "bad_amount", "amount_minor"),
    IllegalMove: (409, "illegal_move", "id"),
    NothingGenuine: (409, "nothing_genuine", "forgery"),
}


async def _refuse(_: Request, error: Exception) -> Response:
    if not isinstance(error, Refused):
        status, code, field = _REFUSALS[type(error)]
        error = Refused(status, code, str(error), field)
    return JSONResponse(error.to_json(), status_code=error.status)


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = Refused(error.status_code, "no_such_route", f"{request.method} {request.url.path}: {error.detail}")
    return JSONResponse(refused.to_json(), status_code=error.status_code, headers=error.headers)
