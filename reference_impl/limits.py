"""How large a request may be, how long it may take to say what it wants, and that it says it in one way: judged before
anything looks at it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from decimal import Decimal
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.answers import Answer, Problem, Refused, problem
from reference_impl.events import BODY_BYTES_MAX, read_json
from reference_impl.responses import respond

_WHOLE_MAX = 10**18
BODY_S = 5.0
"""From the end of the headers to the end of the body. How long the headers may take is for what stands in front to say."""

TOO_LARGE = Answer(413, problem("too_large", f"A request has at most {BODY_BYTES_MAX} bytes."), {"Connection": "close"})
TOO_SLOW = Answer(408, problem("too_slow", "Send the whole request without a pause."), {"Connection": "close"})


class Limits:
    """Reads a request to its end, or refuses it and has its connection closed: what is still to come of it is not waited for."""

    def __init__(self, app: ASGIApp, body_s: float = BODY_S) -> None:
        self.app = app
        self.body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            async with asyncio.timeout(self.patience_s()):
                body = await self.body(scope, receive)
        except ClientDisconnect:
            return  # half a request is none, and nobody is there to be answered
        except TimeoutError:
            await respond(TOO_SLOW)(scope, receive, send)
            return
        if body is None:
            await respond(TOO_LARGE)(scope, receive, send)
            return
        whole: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

        async def replay() -> Message:
            return whole.pop() if whole else await receive()

        await self.app(scope, replay, send)

    def patience_s(self) -> float | None:
        """How long the body may take, in seconds."""
        return self.body_s

    def too_long(self, size: int) -> bool:
        """Whether a body of so many bytes is longer than anything that is meant."""
        return size > BODY_BYTES_MAX

    async def body(self, scope: Scope, receive: Receive) -> bytes | None:
        """The body, or None as soon as it is known to be too long. Raises `ClientDisconnect`."""
        announced = Headers(scope=scope).get("content-length", "0")
        if announced.isdecimal() and self.too_long(int(announced)):
            return None
        body = bytearray()
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnect
            body += message.get("body", b"")
            if self.too_long(len(body)):
                return None
            if not message.get("more_body", False):
                return bytes(body)


class Bodies:
    """Reads what is in a request."""

    def read(self, body: bytes) -> Any:
        """The JSON object in *body*; `Refused` for what two parsers could read in two ways."""
        return read_json(body, fraction=_number)


def _number(digits: str) -> int | float:
    """A number written with a point or an exponent: whole ones are integers, as JSON Schema has it. Whoever checks the
    fields says which may not be another.
    """
    value = Decimal(digits)
    return int(value) if abs(value) < _WHOLE_MAX and value == value.to_integral_value() else float(digits)


class OneReading(APIRoute):
    """A route whose body is read by the service's `Bodies`, and not by whatever the framework has."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await handler(_OneReading(request.scope, request.receive))
            except HTTPException as error:  # what the framework makes of anything that reading raises
                if isinstance(error.__cause__, Refused):
                    raise Problem(error.__cause__.status, "invalid", error.__cause__.reason, at="body") from None
                raise

        return handle


class _OneReading(Request):
    async def json(self) -> Any:
        bodies: Bodies = self.app.state.service.bodies
        return bodies.read(await self.body())
