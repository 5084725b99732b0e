"""The provider over HTTP: what merchants may ask for, and what the one who runs the experiment may do."""

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from fake_provider import fields
from fake_provider.acs3 import Asked, Gate
from fake_provider.apis.alipay import AlipayGateway
from fake_provider.apis.stripe import StripeApi
from fake_provider.asking import REFUSALS, Endpoint, OriginForm, json_body, no_such_route, raw_body, refuse
from fake_provider.control import Control
from fake_provider.fields import Refused
from fake_provider.idempotency import ApiAnswer
from fake_provider.memory import recalled
from fake_provider.openapi import document
from fake_provider.page import About, Page
from fake_provider.payments import IllegalMove, Order
from fake_provider.provider import Provider
from fake_provider.records import payment_object
from fake_provider.settings import INBOX

METHODS = ("card", "redirect", "bad-card")
PAGE = 100  # reversals that are listed in one answer

Guard: TypeAlias = Callable[[Request], Awaitable[None]]


def create_app(
    provider: Provider,
    api_key: str,
    gate: Gate | None = None,
    about: About | None = None,
    memory: Path | None = None,
    gateway: AlipayGateway | None = None,
) -> Starlette:
    """All APIs and the page in one application: `/v1` needs the key, or a request signed as *gate* has it; Alipay's *gateway*
    looks at its own signatures; the rest is for whoever started this, and needs nothing. *about* is what the page says of
    the program. *memory* is where an earlier life may have left its books, and where this one can be told to leave them.
    """
    guard = _key_needed(api_key) if gate is None else _signature_needed(gate)
    business, control = Business(provider), Control(provider, memory)
    stripe = StripeApi(provider, api_key) if gate is None else None
    page = Page(provider, about or About())
    described = document(
        [*business.routes(), *(stripe.endpoints() if stripe else [])],
        control.routes(),
        gateway.endpoints() if gateway else [],
    )

    async def openapi(_: Request) -> Response:
        return JSONResponse(described)

    async def inbox(_: Request) -> Response:
        return Response(status_code=204)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        if memory is not None and (earlier := recalled(memory)) is not None:
            provider.recall(earlier)
        try:
            yield
        finally:
            await provider.close()

    return Starlette(
        routes=[
            *(stripe.routes() if stripe else []),
            *(gateway.routes() if gateway else []),
            Mount("/v1", routes=[_needing(guard, *route) for route in business.routes()]),
            Route("/control/openapi.json", openapi, methods=["GET"]),
            Mount("/control", routes=[Route(path, run, methods=[method]) for method, path, run in control.routes()]),
            Route(INBOX, inbox, methods=["POST"]),
            *page.routes(),
        ],
        middleware=[Middleware(OriginForm)],
        exception_handlers=dict.fromkeys(REFUSALS, refuse) | {HTTPException: no_such_route},
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
            ("GET", "/reversals", self.reversals),
        ]

    async def create(self, request: Request) -> Response:
        """Make a payment. A card is charged before the answer."""
        key = _idempotency_key(request)
        body = await json_body(request)
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
        """Give money back: together at most what is left."""
        key = _idempotency_key(request)
        amount_minor = fields.minor_units(await json_body(request), "amount_minor")
        try:
            return _answered(await self.provider.create_refund(key, request.path_params["id"], amount_minor))
        except IllegalMove as illegal:
            raise Refused(422, "not_refundable", str(illegal), "id") from None

    async def show(self, request: Request) -> Response:
        """A payment as it is now."""
        return JSONResponse(payment_object(self.provider.payment(request.path_params["id"])))

    async def search(self, request: Request) -> Response:
        """The payments that carry a reference, oldest first."""
        reference = fields.text(request.query_params, "reference")
        found = self.provider.book.of_reference(reference)
        return JSONResponse({"payments": [payment_object(payment) for payment in found]})

    async def reversals(self, request: Request) -> Response:
        """The payments of which something went back, or came back again, after number N."""
        after = fields.whole_number(request.query_params.get("after", "0"), "after")
        found, following = self.provider.book.reversed_after(after, PAGE)
        return JSONResponse({"payments": [payment_object(payment) for payment in found], "next": following})


def _needing(guard: Guard, method: str, path: str, run: Endpoint) -> Route:
    """A route that is closed to everyone whom *guard* does not let in."""

    async def guarded(request: Request) -> Response:
        await guard(request)
        return await run(request)

    return Route(path, guarded, methods=[method])


def _key_needed(api_key: str) -> Guard:
    expected = f"Bearer {api_key}".encode()

    async def guard(request: Request) -> None:
        if not hmac.compare_digest(request.headers.get("authorization", "").encode(), expected):
            raise Refused(401, "unauthorized", "send `Authorization: Bearer <PROVIDER_API_KEY>`", "Authorization")

    return guard


def _signature_needed(gate: Gate) -> Guard:
    async def guard(request: Request) -> None:
        gate.check(
            Asked(
                method=request.method,
                path=request.scope["raw_path"].decode("latin-1").partition("?")[0],
                query=request.url.query,
                headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
                body=await raw_body(request),
            )
        )

    return guard


def _idempotency_key(request: Request) -> str:
    key = request.headers.get("idempotency-key", "")
    if not 0 < len(key) <= fields.LONGEST:
        message = f"send an Idempotency-Key of 1 to {fields.LONGEST} characters, the same one on every retry"
        raise fields.invalid("Idempotency-Key", message)
    return key


def _answered(answer: ApiAnswer) -> Response:
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    if answer.location is not None:
        headers["Location"] = answer.location
    return JSONResponse(dict(answer.body), status_code=answer.status, headers=headers)
