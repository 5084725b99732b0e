"""One answer per idempotency key: the same question again gets the first answer again, another question is refused."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What a business API says: a status and a JSON object. `replayed` is true when it was said before; `location` is
    where it points, if it points elsewhere. `payment` is the one that it is about, to be found at the path `found_at`.
    """

    status: int
    body: Mapping[str, Any]
    replayed: bool = False
    location: str | None = None
    payment: str = ""
    found_at: str = ""

    @property
    def is_done(self) -> bool:
        """Whether something was made."""
        return 200 <= self.status < 300


class KeyReused(Exception):
    """The key belongs to another question."""


class StillRunning(Exception):
    """The first request under this key has not been answered yet."""


@dataclass(slots=True)
class Keys:
    """Every key ever used, with the question that was asked under it and, once there is one, the answer."""

    _questions: dict[str, str] = field(default_factory=dict)
    _answers: dict[str, ApiAnswer] = field(default_factory=dict)
    _running: set[str] = field(default_factory=set)

    def claim(self, key: str, question: str) -> ApiAnswer | None:
        """The first answer again, or None: then the key is the caller's, who must `finish` it, whatever happens."""
        if self._questions.setdefault(key, question) != question:
            raise KeyReused(f"the key {key!r} was used for another request: send a new key with a new request")
        if key in self._running:
            raise StillRunning(f"the first request under the key {key!r} is still running: ask again later")
        if key in self._answers:
            return replace(self._answers[key], replayed=True)
        self._running.add(key)
        return None

    def keep(self, key: str, answer: ApiAnswer) -> None:
        """From now on this is the answer. To be called in the same breath as the effect it speaks of."""
        self._answers[key] = answer

    def after_a_death(self) -> "Keys":
        """What is left of them: requests that were running are over, and were never answered."""
        for key in list(self._running):
            self.finish(key)
        return self

    def finish(self, key: str) -> None:
        """The request is over. A key under which nothing was kept is free again, for any question."""
        self._running.discard(key)
        if key not in self._answers:
            self._questions.pop(key, None)
