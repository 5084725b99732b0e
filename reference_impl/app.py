"""The ASGI application: callbacks, health and figures on plain routes; everything else on FastAPI, behind a key."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.access import Authenticated
from reference_impl.admission import Door
from reference_impl.answers import Answer, problem
from reference_impl.face import face
from reference_impl.logs import correlate, current_correlation
from reference_impl.metrics import CONTENT_TYPE
from reference_impl.parts import Parts
from reference_impl.responses import respond
from reference_impl.service import World, running
from reference_impl.settings import Settings

log = structlog.get_logger()


def build(settings: Settings, parts: Parts | None = None, world: World | None = None) -> Starlette:
    """The service as an ASGI application. It connects when its lifespan starts, and refuses to start half."""

    api, parts = face(), parts or Parts()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings, parts, world or World()) as service:
            app.state.service = api.state.service = service
            yield

    return Starlette(
        routes=[
            Route("/healthz", healthz),
            Route(f"/callbacks/{settings.callback_dialect}", callback, methods=["POST"]),
            Route("/metrics", figures),
            Mount("/", app=Authenticated(api)),
        ],
        middleware=[
            Middleware(Correlation),
            Middleware(OneLength),
            Middleware(parts.limits, settings.body_within_s),
            Middleware(Door),
        ],
        exception_handlers={HTTPException: on_http, Exception: on_crash},
        lifespan=lifespan,
    )


async def healthz(_request: Request) -> Response:
    return Response("ok")


async def figures(request: Request) -> Response:
    """What this process has counted, for Prometheus."""
    return Response(request.app.state.service.metrics.exposition(), media_type=CONTENT_TYPE)


async def callback(request: Request) -> Response:
    """The raw bytes and headers, as they came: a signature is over bytes, not over what a framework makes of them."""
    return respond(await request.app.state.service.callbacks.on_callback(request.headers.raw, await request.body()))


async def on_http(_request: Request, error: Exception) -> Response:
    """What is no route of ours, in the words of every other refusal."""
    assert isinstance(error, HTTPException)
    return respond(Answer(error.status_code, problem("refused", error.detail), error.headers or {}))


async def on_crash(_request: Request, _error: Exception) -> Response:
    headers = {"X-Correlation-Id": current_correlation()}
    return respond(Answer(500, problem("internal", "Something is broken here. The correlation id finds it."), headers))


class Correlation:
    """Gives everything that happens in one request one id, and says it in the answer.

    A callback is about a top-up that has one already; by the time it is answered, that is the id.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        correlate(Headers(scope=scope).get("x-correlation-id", ""))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Correlation-Id"] = current_correlation()
            await send(message)

        await self.app(scope, receive, send_with_id)


class OneLength:
    """Refuses a request that says its length in two ways, and what stands behind it is never read.

    Whoever stands in front may believe the other way, and see one request where this server sees two. RFC 9112, section
    6.1, has the connection closed after such a request; the server underneath leaves it open.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        names = [name for name, _ in scope.get("headers", ())]
        if b"transfer-encoding" in names and (b"content-length" in names or names.count(b"transfer-encoding") > 1):
            message = "Say the length of the body in one way."
            refusal = respond(Answer(400, problem("two_lengths", message), {"Connection": "close"}))
            await refusal(scope, receive, send)
            return
        await self.app(scope, receive, send)
