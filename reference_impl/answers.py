"""What goes back to whoever asked: an answer, or a problem that names the field and the remedy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """A status, and a body to be sent as JSON, or the very words of `text`."""

    status: int
    body: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None


class Problem(Exception):
    """A request that is not served, and what to do about it."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        at: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.answer = Answer(status, problem(code, message, at, more), headers or {})


class Refused(Exception):
    """A callback that is not believed (401) or not understood (400)."""

    def __init__(self, reason: str, status: int = 401) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


def problem(code: str, message: str, at: str | None = None, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The body of every error; *more* is for programs."""
    return {"error": {"code": code, **({"field": at} if at else {}), "message": message, **(more or {})}}


def unavailable() -> Answer:
    """The database is not there, or did not answer: whether anything happened is unknown, and asking again is safe."""
    return Answer(
        503, problem("unavailable", "The service cannot store anything now. Send the same again."), {"Retry-After": "1"}
    )
