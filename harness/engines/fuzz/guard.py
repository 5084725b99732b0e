"""Who may be attacked: this machine, and nobody else who has not said so himself."""

import json
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from harness.engines.fuzz.door import Place
from harness.target import PRODUCTION

PERMISSION = "/.well-known/topup-chaos"
WITHIN_S = 5.0


class Forbidden(ValueError):
    """This receiver is not to be attacked; the message says what would have to be said, and where."""


def allowed(url: str, owned: Sequence[str], ask: Callable[[str], Any] | None = None) -> Place:
    """Where to send, once it is known that it may be. *owned* are hosts that somebody says are his own.

    A name counts as this machine only when every address that it stands for is: then it is sent to the address that was
    looked at. A host that is *owned* must say so too: it answers `PERMISSION` with `{"allow": ["fuzz"], "environment": …}`.
    """
    try:
        place = Place.of(url)
    except ValueError as wrong:
        raise Forbidden(str(wrong)) from None
    if PRODUCTION.search(place.host) or PRODUCTION.search(urlsplit(url).path):
        raise Forbidden(f"{url} looks like production, and is refused: attack a stack of its own")
    addresses = _addresses(place)
    if addresses and all(ip_address(each).is_loopback for each in addresses):
        return place if place.scheme == "https" else Place(place.scheme, addresses[0], place.port, place.target)
    if place.host not in owned:
        raise Forbidden(f"{place.host} is not this machine: if it is yours, say --i-own {place.host}")
    where = f"{place.scheme}://{place.authority}{PERMISSION}"
    _permitted(where, (ask or _ask)(where))
    return place


def _permitted(where: str, said: Any) -> None:
    """Raises `Forbidden` unless the host allows it, and is no production."""
    remedy = f'{where} must answer {{"allow": ["fuzz"], "environment": "staging"}}, in JSON'
    if not isinstance(said, dict) or not isinstance(said.get("allow"), list) or "fuzz" not in said["allow"]:
        raise Forbidden(f"the host does not allow it: {remedy}")
    environment = said.get("environment")
    if not isinstance(environment, str) or not environment or PRODUCTION.search(environment):
        raise Forbidden(f"the host's environment is {environment!r}, and production is refused: {remedy}")


def _ask(where: str) -> Any:
    try:
        answer = httpx.get(where, timeout=WITHIN_S, follow_redirects=False, trust_env=False)
        return json.loads(answer.content) if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None


def _addresses(place: Place) -> list[str]:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except OSError as wrong:
        raise Forbidden(f"{place.host} has no address: {wrong.strerror or wrong}") from None
    return list(dict.fromkeys(str(address[0]).partition("%")[0] for *_, address in found))
