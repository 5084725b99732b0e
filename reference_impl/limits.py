"""How large a request may be, how long it may take to say what it wants, and who is let in: before anything looks at it."""

import asyncio

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from reference_impl.admission import Admission, compartment_of
from reference_impl.answers import Answer, problem
from reference_impl.events import BODY_BYTES_MAX
from reference_impl.responses import respond

BODY_S = 5.0
"""From the end of the headers to the end of the body. How long the headers may take is for what stands in front to say."""

TOO_LARGE = Answer(413, problem("too_large", f"A request has at most {BODY_BYTES_MAX} bytes."), {"Connection": "close"})
TOO_SLOW = Answer(408, problem("too_slow", f"Send the whole request within {BODY_S:g} s."), {"Connection": "close"})


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
            async with asyncio.timeout(self.body_s):
                body = await _body(scope, receive)
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


class Door:
    """Where requests are admitted: when they have come in whole, since slow senders must not take the room of quick ones."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        compartment = compartment_of(scope["path"]) if scope["type"] == "http" else None
        if compartment is None:
            await self.app(scope, receive, send)
            return
        admission: Admission = scope["app"].state.service.admission
        if not admission.room(compartment):
            await respond(admission.turn_away(compartment))(scope, receive, send)
            return
        with admission.admitted(compartment):
            await self.app(scope, receive, send)


async def _body(scope: Scope, receive: Receive) -> bytes | None:
    """The body, or None as soon as it is known to be longer than anything that is meant. Raises `ClientDisconnect`."""
    announced = Headers(scope=scope).get("content-length", "0")
    if announced.isdecimal() and int(announced) > BODY_BYTES_MAX:
        return None
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            return bytes(body)
