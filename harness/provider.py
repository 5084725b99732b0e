"""The provider's control side: what a harness asks of a payment provider that one can be cruel to, over HTTP.

It goes straight to the provider and over no link: faults are for the system under test, not for the hand that makes them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import httpx

from harness.history import Event
from harness.transport import Loopback

KEPT_S = 2.0
"""How long a connection may rest before another one is made. The provider closes one that rested for 5 s, and whoever asks at that
very moment hears nothing.
"""


class ProviderError(Exception):
    """The provider refused a control request, or did not answer it; the message is its own."""


@dataclass(frozen=True, slots=True)
class Rest:
    """How far the provider is from rest. `reason` is None when nothing is in flight, due or held."""

    reason: str | None
    in_flight: int
    due: int
    held: int


@dataclass(frozen=True, slots=True)
class Speech:
    """One dialect: the events that it has a word for (`payment.captured`, …), the ways in which it is forged, and the moods
    that the provider can be in.
    """

    events: frozenset[str]
    forgeries: frozenset[str]
    moods: frozenset[str]


class ProviderControl:
    """A client of the provider's control API. Every call is bounded by `timeout_s`."""

    def __init__(self, base_url: str, timeout_s: float = 10.0) -> None:
        self.heard = 0
        """The number of the last journal entry that somebody asked for: what comes before it need not be sent again."""
        self._client = httpx.AsyncClient(
            base_url=base_url, timeout=timeout_s, trust_env=False, transport=Loopback(KEPT_S)
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def pay(self, payment: str) -> None:
        await self._post(f"/control/payments/{payment}/pay", {})

    async def decline(self, payment: str) -> None:
        await self._post(f"/control/payments/{payment}/decline", {})

    async def give_back(self, payment: str, amount_minor: int) -> None:
        """Refund at the provider itself; all that is left where the amount is 0."""
        await self._post(f"/control/payments/{payment}/refund", _amount(amount_minor))

    async def dispute(self, payment: str, amount_minor: int) -> None:
        """The customer's bank takes money back; all that is left where the amount is 0."""
        await self._post(f"/control/payments/{payment}/dispute", _amount(amount_minor))

    async def win(self, payment: str) -> None:
        await self._post(f"/control/payments/{payment}/win", {})

    async def lose(self, payment: str) -> None:
        await self._post(f"/control/payments/{payment}/lose", {})

    async def rotate_key(self, key: str, overlap_s: float) -> None:
        """From now on *key* signs; the one before it beside it, where there is room, for so long on the provider's clock."""
        await self._post("/control/keys/rotate", {"key": key, "overlap_s": overlap_s})

    async def begin_mood(self, mood: str, args: Mapping[str, Any]) -> str:
        answer = await self._post("/control/moods", {"mood": mood, "args": dict(args)})
        return str(answer["id"])

    async def mood_touched(self, id: str) -> int:
        return int((await self._call("GET", f"/control/moods/{id}"))["touched"])

    async def end_mood(self, id: str) -> int:
        return int((await self._call("DELETE", f"/control/moods/{id}"))["touched"])

    async def tell_again(self, payments: Collection[str]) -> int:
        """Send every callback about these payments that was acknowledged once more, in the order of the first time; how many."""
        archive = (await self._call("GET", "/control/deliveries"))["deliveries"]
        own = [each for each in archive if each["payment"] in payments and not each["forgery"] and each["acknowledged"]]
        for each in own:
            await self._post(f"/control/deliveries/{each['id']}/send", {"how": "replay"})
        return len(own)

    async def forge(self, forgery: str, payment: str, args: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._post("/control/forge", {"forgery": forgery, "payment": payment, "args": dict(args)})

    async def speech(self) -> Speech:
        """What can be told, and what can be forged, in the dialect that the provider speaks."""
        answer = await self._call("GET", "/control/dialects")
        spoken = answer["dialects"][answer["speaks"]]
        return Speech(frozenset(spoken["events"]), frozenset(spoken["forgeries"]), frozenset(answer["moods"]))

    async def advance(self, seconds: float) -> None:
        await self._post("/control/clock/advance", {"seconds": seconds})

    async def advance_to_next(self) -> None:
        """Move the test clock to the next due callback, if there is one."""
        await self._post("/control/clock/next", {})

    async def play_out(self) -> None:
        """Move the test clock on until nothing is due, seeing each attempt through."""
        await self._post("/control/clock/play-out", {})

    async def release(self) -> int:
        return int((await self._post("/control/release", {}))["released"])

    async def rest(self, within_s: float = 0.0) -> Rest:
        """What keeps the provider from its rest, once nothing is in flight, or after so many seconds."""
        answer = await self._call("GET", f"/control/unsettled?within_ms={within_s * 1000:.0f}")
        return Rest(answer["reason"], int(answer["in_flight"]), int(answer["due"]), int(answer["held"]))

    async def journal(self, after: int) -> tuple[list[Event], int]:
        """What the provider did since entry number *after*, and the number to ask from next."""
        answer = await self._call("GET", f"/control/journal?after={after}")
        events = [
            Event(
                at=float(entry["at"]),
                actor="provider",
                kind=str(entry["kind"]),
                facts={name: value for name, value in entry.items() if name not in ("seq", "at", "kind", "actor")},
            )
            for entry in answer["events"]
        ]
        self.heard = int(answer["next"])
        return events, self.heard

    async def payments_of(self, reference: str) -> list[str]:
        """The payments that carry this reference, oldest first."""
        return [str(each["id"]) for each in await self.orders_of(reference)]

    async def orders_of(self, reference: str) -> Sequence[Mapping[str, Any]]:
        """The same, with all that the book says of each."""
        book = await self._call("GET", f"/control/book?reference={quote(reference, safe='')}")
        found: Sequence[Mapping[str, Any]] = book["payments"]
        return found

    async def _post(self, path: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._call("POST", path, dict(body))

    async def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        try:
            answer = await self._client.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise ProviderError(f"the provider did not answer {method} {path}: {error!r}") from error
        if answer.is_error:
            raise ProviderError(f"the provider refused {method} {path} with {answer.status_code}: {answer.text[:300]}")
        found: Mapping[str, Any] = answer.json()
        return found


def _amount(amount_minor: int) -> Mapping[str, Any]:
    return {"amount_minor": amount_minor} if amount_minor else {}
