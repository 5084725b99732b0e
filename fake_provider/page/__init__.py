"""The page: watch payments and deliveries, and meddle by hand. Rendered here; the browser only swaps what it is given."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from urllib.parse import parse_qsl, urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from fake_provider.asking import REFUSALS, in_words, raw_body
from fake_provider.fields import Refused
from fake_provider.page.deeds import DEEDS
from fake_provider.page.view import View, attempt_shown, look
from fake_provider.provider import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What the page says of the program itself: how a receiver and a merchant are set up. `to_inbox`: nobody named a receiver.

    `panel_url` is a page of somebody else's that belongs beside this one.
    """

    to_inbox: bool = False
    setup: Mapping[str, str] | None = None
    example: str = ""
    panel_url: str = ""


class Page:
    """The routes of the page. Everything that changes something is a POST, and works without scripts, too."""

    def __init__(self, provider: Provider, about: About) -> None:
        self._provider, self._about = provider, about
        self._templates = Environment(
            loader=PackageLoader("fake_provider.page"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
        )

    def routes(self) -> list[Route | Mount]:
        static = StaticFiles(directory=str(files("fake_provider.page") / "static"))
        return [
            Route("/", self.whole, methods=["GET"]),
            Route("/page/live", self.live, methods=["GET"]),
            Route("/page/deliveries/{id}", self.delivery, methods=["GET"]),
            Route("/page/{deed}", self.do, methods=["POST"]),
            Mount("/page/static", static),
        ]

    async def whole(self, _: Request) -> Response:
        return self._html("page.html", view=self._look())

    async def live(self, request: Request) -> Response:
        """What changes by itself; 204 when the browser has *seen* just that, so that it leaves everything as it is."""
        view = self._look()
        rendered = self._render("live.html", view=view)
        version = sha256(rendered.encode()).hexdigest()[:16]
        if request.query_params.get("seen") == version:
            return Response(status_code=204)
        return HTMLResponse(rendered.replace(SEEN, version), headers=HEADERS)

    async def delivery(self, request: Request) -> Response:
        attempt = attempt_shown(self._provider.attempt(request.path_params["id"]))
        name = "delivery.html" if _by_script(request) else "delivery_page.html"
        return self._html(name, attempt=attempt)

    async def do(self, request: Request) -> Response:
        """Do what a button says. What comes of it is said in a line; what is refused, too."""
        _refuse_strangers(request)
        deed = DEEDS.get(request.path_params["deed"])
        if deed is None:
            raise Refused(404, "not_found", f"there is no button {request.path_params['deed']!r}", "deed")
        form = dict(parse_qsl((await raw_body(request)).decode("utf-8", "replace")))
        try:
            said, went_well = await deed(self._provider, form), True
        except tuple(REFUSALS) as error:
            said, went_well = in_words(error).message, False
        if not _by_script(request):
            return RedirectResponse("/", status_code=303)
        return self._html("live.html", view=self._look(), said=said, went_well=went_well)

    def _look(self) -> View:
        return look(self._provider)

    def _html(self, name: str, **values: object) -> Response:
        return HTMLResponse(self._render(name, **values), headers=HEADERS)

    def _render(self, name: str, **values: object) -> str:
        page: str = self._templates.get_template(name).render(
            {"about": self._about, "provider": self._provider, "said": None, "went_well": True, "seen": SEEN} | values
        )
        return page


SEEN = "not-seen-yet"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-src http://127.0.0.1:*; frame-ancestors 'none'",
}


def _by_script(request: Request) -> bool:
    return "hx-request" in request.headers


def _refuse_strangers(request: Request) -> None:
    """A page of another site must not press these buttons from the visitor's browser."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(403, "another_site", f"{origin} may not do this", "Origin")
