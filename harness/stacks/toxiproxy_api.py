"""Toxiproxy's control API through toxiproxy-python, with its sharp edges filed off.

The package keeps host and port on a class that all servers share, waits for ever, takes a 500 for a success, reports a
duplicate toxic as a duplicate proxy, and obeys `HTTP_PROXY`. Its `APIConsumer` can be subclassed per server and passes
keywords on to `requests`, which is all that is needed to mend that from outside. Calls block: see `toxiproxy.py`.
"""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import requests
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

NO_PROXIES = {"http": None, "https": None, "all": None}
STATUS_OF = {ProxyExists: 409, NotFound: 404, InvalidToxic: 400}
CALL_S = 3.0


class ToxiproxyError(RuntimeError):
    """Toxiproxy did not do what it was asked; names the call, the status and the server's own message."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ControlPlaneHung(ToxiproxyError):
    """No answer in time: a known deadlock of Toxiproxy when data is stuck in it, or its process is stopped."""


class ControlApi:
    """One server's control API. Every call is bounded; every answer of 400 and above is a `ToxiproxyError`."""

    def __init__(self, host: str, port: int, patience: float = CALL_S) -> None:
        self.address = (host, port)
        self.patience = patience
        self._consumer: Any = type("Consumer", (APIConsumer,), {"host": host, "port": port})

    def version(self, timeout: float | None = None) -> str:
        """What it calls itself: `2.12.0`, or `git` when it was built without being told."""
        text = self._call("get", "/version", timeout=timeout).text.strip()
        try:
            return str(json.loads(text)["version"])
        except (ValueError, TypeError, KeyError):
            return text  # before 2.5 the answer was the bare number

    def create(self, name: str, listen: tuple[str, int], upstream: tuple[str, int]) -> dict[str, Any]:
        """A proxy that accepts connections when this returns."""
        body = {"name": name, "listen": _joined(listen), "upstream": _joined(upstream), "enabled": True}
        return self._object("post", "/proxies", body)

    def delete(self, name: str, missing_ok: bool = False) -> None:
        """The proxy is gone, with its connections."""
        self._delete(f"/proxies/{_quoted(name)}", missing_ok, self.patience)

    def proxy(self, name: str) -> dict[str, Any]:
        """The proxy as the server sees it."""
        return self._object("get", f"/proxies/{_quoted(name)}")

    def enable(self, name: str, enabled: bool) -> None:
        """Up or down, and the server agrees that it is."""
        answer = self._object("post", f"/proxies/{_quoted(name)}", {"enabled": enabled})
        if answer.get("enabled") is not enabled:
            raise ToxiproxyError(f"proxy {name!r} should have enabled={enabled}, but the server says {answer}")

    def add_toxic(
        self,
        proxy: str,
        name: str,
        kind: str,
        stream: str,
        attributes: Mapping[str, int],
        toxicity: int,
        timeout: float,
    ) -> None:
        """The toxic acts, with exactly these attributes: the server's answer is compared with what was asked."""
        asked = {"name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": dict(attributes)}
        answer = self._object("post", f"/proxies/{_quoted(proxy)}/toxics", asked, timeout)
        if any(answer.get(key) != value for key, value in asked.items()):
            raise ToxiproxyError(f"asked for the toxic {asked}, but the server made {answer}")

    def remove_toxic(self, proxy: str, name: str, timeout: float) -> None:
        """The toxic is gone, or was already."""
        self._delete(f"/proxies/{_quoted(proxy)}/toxics/{_quoted(name)}", True, timeout)

    def _object(self, method: str, path: str, body: object = None, timeout: float | None = None) -> dict[str, Any]:
        answer = self._call(method, path, body, timeout)
        try:
            value = answer.json()
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise ToxiproxyError(f"{method.upper()} {path} answered no JSON object: {answer.text[:200]!r}")
        return value

    def _delete(self, path: str, missing_ok: bool, timeout: float) -> None:
        try:
            self._call("delete", path, timeout=timeout)
        except ToxiproxyError as error:
            if not (missing_ok and error.status == 404):
                raise

    def _call(self, method: str, path: str, body: object = None, timeout: float | None = None) -> requests.Response:
        timeout = self.patience if timeout is None else timeout
        what = f"{method.upper()} {path} at {_joined(self.address)}"
        keywords: dict[str, Any] = {"timeout": timeout, "proxies": NO_PROXIES}
        if body is not None:
            keywords["json"] = body
        try:
            answer: requests.Response = getattr(self._consumer, method)(path, **keywords)
        except (ProxyExists, NotFound, InvalidToxic) as error:
            status = STATUS_OF[type(error)]
            raise ToxiproxyError(f"{what} was answered {status}: {_message(error.args[0])}", status) from None
        except requests.Timeout:
            raise ControlPlaneHung(f"{what} was not answered within {timeout:g} s") from None
        except requests.RequestException as error:
            raise ToxiproxyError(f"{what} could not be sent or read: {error}") from error
        if answer.status_code >= 400:
            message = f"{what} was answered {answer.status_code}: {_message(answer.content)}"
            # 503 is the server's own way of saying that a handler of its has been stuck for 25 s.
            problem = ControlPlaneHung if answer.status_code == 503 else ToxiproxyError
            raise problem(message, answer.status_code)
        return answer


def _joined(address: tuple[str, int]) -> str:
    return f"{address[0]}:{address[1]}"


def _quoted(name: str) -> str:
    return quote(name, safe="")


def _message(content: object) -> str:
    """The server's own words, out of its JSON when there is some."""
    text = content.decode(errors="replace") if isinstance(content, bytes) else str(content)
    try:
        return str(json.loads(text)["error"])
    except (ValueError, TypeError, KeyError):
        return text.strip()[:200] or "(nothing)"
