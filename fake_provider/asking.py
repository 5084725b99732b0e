"""What all of the provider's HTTP shares: reading what is asked, and refusing it in words."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from fake_provider import fields
from fake_provider.dialects import NothingGenuine
from fake_provider.fields import Refused
from fake_provider.idempotency import KeyReused, StillRunning
from fake_provider.payments import BadAmount, IllegalMove

BODY_LIMIT = 64 * 1024

Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]


async def json_body(request: Request) -> dict[str, Any]:
    return fields.json_object(await raw_body(request))


async def raw_body(request: Request) -> bytes:
    """The body, read once however often it is asked for."""
    if not hasattr(request.state, "raw_body"):
        raw = b""
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > BODY_LIMIT:
                raise Refused(413, "too_large", f"the body must not exceed {BODY_LIMIT} bytes", "body")
        request.state.raw_body = raw
    kept: bytes = request.state.raw_body
    return kept


class OriginForm:
    """Lets in requests whose target is a whole URL, as clients send it that take every server for a proxy.

    HTTP wants servers to accept that (RFC 9112, 3.2.2), and Alipay's client for Python does it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith("http://"):
            path = "/" + "/".join(scope["path"].split("/")[3:])
            scope = {**scope, "path": path, "raw_path": path.encode()}
        await self._app(scope, receive, send)


# What each refusal of the layers below means in HTTP: status, code and the field to look at.
REFUSALS: dict[Any, tuple[int, str, str | None]] = {
    Refused: (400, "invalid", None),
    KeyReused: (422, "key_reused", "Idempotency-Key"),
    StillRunning: (409, "in_progress", "Idempotency-Key"),
    BadAmount: (422, "bad_amount", "amount_minor"),
    IllegalMove: (409, "illegal_move", "id"),
    NothingGenuine: (409, "nothing_genuine", "forgery"),
}


def in_words(error: Exception) -> Refused:
    """The refusal that one of `REFUSALS` comes to."""
    if isinstance(error, Refused):
        return error
    status, code, field = REFUSALS[type(error)]
    return Refused(status, code, str(error), field)


async def refuse(_: Request, error: Exception) -> Response:
    error = in_words(error)
    return JSONResponse(error.to_json(), status_code=error.status)


async def no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    refused = Refused(error.status_code, "no_such_route", f"{request.method} {request.url.path}: {error.detail}")
    return JSONResponse(refused.to_json(), status_code=error.status_code, headers=error.headers)
