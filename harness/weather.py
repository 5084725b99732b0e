"""The links' weather made by hand: a small page of its own, for whoever has the stack up and wants to try things."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from harness.serving import serving
from harness.stack import Link

LATENCY_MS = 500

Make: TypeAlias = Callable[[Link], AbstractAsyncContextManager[None]]

# What each button makes, in words and in deed.
KINDS: Mapping[str, tuple[str, Make]] = {
    "latency": (f"answers {LATENCY_MS} ms late", lambda link: link.toxic("latency", "downstream", latency=LATENCY_MS)),
    "stall": ("requests stuck on the way", lambda link: link.toxic("bandwidth", "upstream", rate=0)),
    "down": ("nobody there", lambda link: link.down()),
}


@dataclass(slots=True)
class Weather:
    """What was made on which link, and is to be mended again."""

    links: Mapping[str, Link]
    _made: dict[tuple[str, str], AsyncExitStack] = field(default_factory=dict)
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def on(self, link: str) -> list[str]:
        """The kinds of weather on a link."""
        return [kind for kind in KINDS if (link, kind) in self._made]

    async def turn(self, link: str, kind: str) -> None:
        """Make that weather, or mend it where it is. Raises `KeyError` for a link or a kind that there is not."""
        make = KINDS[kind][1]
        edge = self.links[link]
        async with self._one_at_a_time:
            made = self._made.pop((link, kind), None)
            if made is not None:
                await made.aclose()
                return
            made = AsyncExitStack()
            await made.enter_async_context(make(edge))
            self._made[link, kind] = made

    async def mend(self) -> None:
        """All of it is over, also where one part will not be mended."""
        async with AsyncExitStack() as ends:
            while self._made:
                ends.push_async_callback(self._made.popitem()[1].aclose)


def create_app(weather: Weather, look_from: str) -> Starlette:
    """The page. Its look and its script are those of the page at *look_from*, beside which it is shown."""
    templates = Environment(loader=PackageLoader("harness"), autoescape=True, undefined=StrictUndefined)

    def render(name: str) -> Response:
        page = templates.get_template(name).render(weather=weather, kinds=KINDS, look_from=look_from)
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def whole(_: Request) -> Response:
        return render("weather.html")

    async def links(_: Request) -> Response:
        return render("weather_links.html")

    async def turn(request: Request) -> Response:
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return PlainTextResponse(f"{origin} may not do this", status_code=403)
        try:
            await weather.turn(request.path_params["link"], request.path_params["kind"])
        except KeyError as unknown:
            return PlainTextResponse(f"there is no {unknown}", status_code=404)
        return render("weather_links.html") if "hx-request" in request.headers else RedirectResponse("/", 303)

    return Starlette(
        routes=[
            Route("/", whole, methods=["GET"]),
            Route("/links", links, methods=["GET"]),
            Route("/links/{link}/{kind}", turn, methods=["POST"]),
        ]
    )


@asynccontextmanager
async def weather_panel(links: Mapping[str, Link], port: int, look_from: str) -> AsyncIterator[None]:
    """The page is served on *port* while the block runs; what was made on it is mended afterwards."""
    weather = Weather(links)
    try:
        async with serving(create_app(weather, look_from), port):
            yield
    finally:
        await weather.mend()
