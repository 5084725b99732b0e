"""Webhook endpoints: where events are sent, each with a secret of its own and with a list of the events that it wants.

The first is the one of the program's settings: it can be disabled, and not be deleted. Known difference: an endpoint stays at
its address; another address is another endpoint.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import Response

from fake_provider.apis.stripe.errors import StripeError, invalid, missing, no_such
from fake_provider.apis.stripe.forms import Asked
from fake_provider.apis.stripe.pages import answer, asked_in_body, asked_in_query, page
from fake_provider.asking import Endpoint
from fake_provider.dialects.stripe import API_VERSION, EVENTS
from fake_provider.doors import Door, State
from fake_provider.news import News
from fake_provider.payments import Payment
from fake_provider.provider import Provider

EVERYTHING = "*"

Make: TypeAlias = Callable[[str], tuple[Payment | None, Mapping[str, Any]]]
Once: TypeAlias = Callable[[Request, Asked, Make], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class WebhookEndpoints:
    """Those of one provider. *once* does what is asked for once per key."""

    provider: Provider
    once: Once

    def endpoints(self) -> list[tuple[str, str, Endpoint]]:
        return [
            ("POST", "/webhook_endpoints", self.create),
            ("GET", "/webhook_endpoints", self.list),
            ("GET", "/webhook_endpoints/{id}", self.show),
            ("POST", "/webhook_endpoints/{id}", self.update),
            ("DELETE", "/webhook_endpoints/{id}", self.delete),
        ]

    async def create(self, request: Request) -> Response:
        """From now on send events there, too. The answer holds the secret that verifies them, this once."""
        asked = await asked_in_body(request)
        url, news = asked.text("url"), _news(asked)
        asked.text("description", "")
        asked.done()

        def make(_: str) -> tuple[None, Mapping[str, Any]]:
            try:
                secret = self.provider.open_door(url, news)
            except ValueError as wrong:
                raise invalid("url", f"Invalid URL: {wrong}", "url_invalid") from None
            return None, _shown(self.provider.deliveries.doors.at(url)) | {"secret": secret}

        return await self.once(request, asked, make)

    async def list(self, request: Request) -> Response:
        """Where events are sent, newest first."""
        shown = [_shown(door) for door in self.provider.deliveries.doors]
        return page(request, asked_in_query(request), shown[::-1])

    async def show(self, request: Request) -> Response:
        """One place that events are sent to."""
        return answer(_shown(self._door(request)))

    async def update(self, request: Request) -> Response:
        """Change which events are sent there, or whether any are."""
        door, asked = self._door(request), await asked_in_body(request)
        news = _news(asked) if "enabled_events" in asked.tree else door.news
        disabled = asked.flag("disabled") if "disabled" in asked.tree else door.state is State.DISABLED
        asked.text("description", "")
        asked.done()

        def make(_: str) -> tuple[None, Mapping[str, Any]]:
            changed = replace(door, news=news, state=State.DISABLED if disabled else State.ENABLED)
            self.provider.change_door(changed)
            return None, _shown(changed)

        return await self.once(request, asked, make)

    async def delete(self, request: Request) -> Response:
        """Send no events there any more."""
        door = self._door(request)
        if door.url == self.provider.deliveries.doors.first.url:
            message = "this endpoint is set in PROVIDER_CALLBACK_URL: it can be disabled, and not be deleted"
            raise StripeError(400, message, param="id")
        self.provider.change_door(replace(door, state=State.DELETED))
        return answer({"id": _id(door), "object": "webhook_endpoint", "deleted": True})

    def _door(self, request: Request) -> Door:
        id = request.path_params["id"]
        for door in self.provider.deliveries.doors:
            if _id(door) == id:
                return door
        raise no_such("webhook endpoint", id)


def _news(asked: Asked) -> frozenset[News] | None:
    """What the events that were asked for are about; None where all were."""
    wanted = set(asked.inside("enabled_events").words().values())
    if not wanted:
        raise missing("enabled_events")
    for name in sorted(wanted - {EVERYTHING, *EVENTS.values()}):
        known = ", ".join([EVERYTHING, *dict.fromkeys(EVENTS.values())])
        raise invalid("enabled_events", f"this provider has no event {name!r}; it has {known}")
    return None if EVERYTHING in wanted else frozenset(news for news, name in EVENTS.items() if name in wanted)


def _shown(door: Door) -> dict[str, Any]:
    wanted = [EVERYTHING] if door.news is None else list(dict.fromkeys(EVENTS[news] for news in sorted(door.news)))
    return {
        "id": _id(door),
        "object": "webhook_endpoint",
        "api_version": API_VERSION,
        "enabled_events": wanted,
        "livemode": False,
        "metadata": {},
        "status": door.state.value,
        "url": door.url,
    }


def _id(door: Door) -> str:
    return "we_" + hashlib.sha256(door.url.encode()).hexdigest()[:24]
