"""The panel of `topup-chaos up`: what its buttons do to a real link, and that all of it is mended afterwards."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import httpx
import pytest

from harness.cli import REFERENCE
from harness.stacks.ports import free_port
from harness.stacks.processes import Processes, processes
from harness.weather import LATENCY_MS, weather_panel

pytestmark = pytest.mark.stack


@asynccontextmanager
async def beside(directory: Path) -> AsyncIterator[tuple[Processes, httpx.AsyncClient]]:
    """A stack, and a browser in front of the panel beside it."""
    port = free_port()
    panel = f"http://127.0.0.1:{port}"
    async with (
        processes(REFERENCE, directory, Random(1), panel_url=f"{panel}/") as stack,
        weather_panel(stack.links, port, f"{stack.provider_url}/"),
        httpx.AsyncClient(base_url=panel, trust_env=False) as client,
    ):
        yield stack, client


async def answer_of(stack: Processes) -> float | None:
    """How long the service's health takes over the edge link, in seconds; None when it does not answer in two."""
    async with httpx.AsyncClient(timeout=2, trust_env=False) as client:
        began = time.monotonic()
        try:
            await client.get(f"http://{stack.links['edge'].url}/healthz")
        except httpx.HTTPError:
            return None
        return time.monotonic() - began


def test_each_button_makes_its_weather_and_mends_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with beside(tmp_path) as (stack, client):
            late: Callable[[float | None], bool] = lambda took: took is not None and took >= LATENCY_MS / 1000  # noqa: E731
            for kind, is_so in (
                ("latency", late),
                ("stall", lambda took: took is None),
                ("down", lambda took: took is None),
            ):
                pressed = await client.post(f"/links/edge/{kind}", headers={"HX-Request": "true"})
                assert f'id="{kind}-edge" aria-pressed="true"' in pressed.text
                assert is_so(await answer_of(stack)), kind
                await client.post(f"/links/edge/{kind}", headers={"HX-Request": "true"})
                took = await answer_of(stack)
                assert took is not None and took < LATENCY_MS / 1000, f"{kind} is not mended"

    asyncio.run(story())


def test_what_was_left_on_is_mended_when_the_panel_goes(tmp_path: Path) -> None:
    async def story() -> None:
        port = free_port()
        async with processes(REFERENCE, tmp_path, Random(1)) as stack:
            async with (
                weather_panel(stack.links, port, "http://127.0.0.1:1/"),
                httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
            ):
                await client.post("/links/edge/latency")
                await client.post("/links/edge/down")
                assert await answer_of(stack) is None
            took = await answer_of(stack)
            assert took is not None and took < LATENCY_MS / 1000

    asyncio.run(story())


def test_the_provider_shows_the_panel_and_the_panel_every_link(tmp_path: Path) -> None:
    async def story() -> None:
        async with beside(tmp_path) as (stack, client):
            page = await ask(lambda: client.get(f"{stack.provider_url}/"))
            assert f'<iframe class="panel" src="{client.base_url}' in page.text
            panel = await ask(lambda: client.get("/"))
            assert all(f"<b>{name}</b>" in panel.text for name in ("edge", "api", "hook", "db"))
            for wanted in (
                f"{stack.provider_url}/page/static/page.css",
                f"{stack.provider_url}/page/static/htmx.min.js",
            ):
                assert wanted in panel.text
                await ask(lambda url=wanted: client.get(url))
            assert (await client.post("/links/edge/hail")).status_code == 404
            assert (await client.post("/links/moon/down")).status_code == 404
            strange = await client.post("/links/edge/down", headers={"Origin": "http://elsewhere.example"})
            assert strange.status_code == 403
            assert await answer_of(stack) is not None

    asyncio.run(story())


async def ask(request: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    answer = await request()
    assert answer.status_code == 200
    return answer
