"""Between a provider and its receiver: passes everything on as it comes, and keeps the callbacks on a cassette."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from fake_provider.dialects import Dialect, Wire
from harness.engines.fuzz.cassette import HOPS, Delivery, cleaned, write, write_head
from harness.engines.fuzz.door import Place
from harness.serving import serving

TIMEOUT_S = 30.0
BODY_MAX = 1_000_000
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@dataclass(slots=True)
class Recorder:
    """Passes requests on to a *place*; each POST goes on the cassette once it was answered."""

    place: Place
    dialect: Dialect
    file: TextIO
    fields: Sequence[str]
    most: int
    tell: Callable[[str], None]
    client: httpx.AsyncClient
    kept: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)

    async def passed_on(self, request: Request) -> Response:
        body = await _bounded(request)
        if body is None:
            return PlainTextResponse(f"a recorded callback has at most {BODY_MAX} bytes", 413)
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        said = [(name.decode("latin-1"), value) for name, value in request.headers.raw]
        headers = [(name.encode("latin-1"), value) for name, value in said if name not in HOPS]
        url = f"{self.place.scheme}://{self.place.authority}{target}"
        try:
            answer = await self.client.send(httpx.Request(request.method, url, headers=headers, content=body))
        except httpx.HTTPError as wrong:
            self._keep(request.method, target, Wire(tuple(said), body), None)
            return PlainTextResponse(f"the receiver did not answer: {type(wrong).__name__}", 502)
        self._keep(request.method, target, Wire(tuple(said), body), answer.status_code)
        passed = Response(answer.content, answer.status_code)
        passed.raw_headers = [
            *((name.lower(), value) for name, value in answer.headers.raw if name.lower().decode() not in NOT_PASSED),
            (b"content-length", b"%d" % len(answer.content)),
        ]
        return passed

    def _keep(self, method: str, target: str, wire: Wire, answered: int | None) -> None:
        if method != "POST" or self.kept >= self.most:
            return
        write(self.file, Delivery(target=target, wire=cleaned(wire, self.dialect, self.fields), answered=answered))
        self.file.flush()
        self.kept += 1
        self.tell(f"{self.kept}  POST {target}  {len(wire.body)} bytes  answered {answered or 'nothing'}")
        if self.kept >= self.most:
            self.full.set()


NOT_PASSED = (*HOPS, "content-encoding", "keep-alive")


async def _bounded(request: Request) -> bytes | None:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_MAX:
            return None
    return bytes(body)


async def record(
    place: Place,
    dialect: Dialect,
    cassette: Path,
    *,
    port: int,
    fields: Sequence[str],
    most: int,
    within_s: float | None,
    tell: Callable[[str], None],
) -> int:
    """How many were kept, once there are *most*, or *within_s* seconds have passed. Cancelling ends it too, cassette kept."""
    async with httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
        with cassette.open("x", encoding="utf-8") as file:
            write_head(file, dialect.name, fields)
            recorder = Recorder(place, dialect, file, fields, most, tell, client)
            app = Starlette(routes=[Route("/{path:path}", recorder.passed_on, methods=METHODS)])
            async with serving(app, port):
                with suppress(TimeoutError):
                    await asyncio.wait_for(recorder.full.wait(), within_s)
            return recorder.kept
