"""Environments kept apart: keys, endpoints and the database each say where they belong, and a mix does not start.

An environment is production if its name says so; everything else is a place to try things. What belongs to the one is refused
by the other. What says nothing of itself, as a plain host name or an API key without a mode, is let pass here: the provider's
events are compared with the environment one by one anyway.
"""

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import asyncpg

_PRODUCTION = re.compile(r"(?<![a-z])(?:prod(?:uction)?|live)(?![a-z])", re.IGNORECASE)
_TRYING = re.compile(
    r"(?<![a-z])(?:test|dev|development|sandbox|staging|chaos|ci|localhost)(?![a-z])|^127\.", re.IGNORECASE
)
_LIVE_KEY = re.compile(r"(?:^|_)live_")
_TEST_KEY = re.compile(r"(?:^|_)test_")

_STAMP = """
WITH mine AS (
    INSERT INTO deployment (environment, stamped_at) VALUES ($1, now()) ON CONFLICT DO NOTHING RETURNING environment
)
SELECT environment FROM mine UNION ALL SELECT environment FROM deployment LIMIT 1
"""


class Mixed(RuntimeError):
    """What belongs to different environments was put together; the message names each part and the remedy."""


def is_production(environment: str) -> bool:
    """Whether real money is moved there."""
    return _PRODUCTION.search(environment) is not None


def strangers(environment: str, keys: Mapping[str, str], endpoints: Mapping[str, str]) -> Iterator[str]:
    """Each key and endpoint that belongs elsewhere, by the name of its setting; never the value of a key."""
    production = is_production(environment)
    for name, key in keys.items():
        if (_TEST_KEY if production else _LIVE_KEY).search(key):
            belongs = "a place to try things" if production else "production"
            yield f"{name} is a key of {belongs}, and ENVIRONMENT is {environment!r}: use this environment's own"
    for name, url in endpoints.items():
        host = urlsplit(url).hostname or ""
        if (_TRYING if production else _PRODUCTION).search(host):
            yield f"{name} points to {host}, which does not belong to {environment!r}: use this environment's own"


class Environments:
    """Whether what was put together belongs together: asked before anything is served."""

    def insist(self, environment: str, keys: Mapping[str, str], endpoints: Mapping[str, str]) -> None:
        """Raises `Mixed` naming each key and endpoint that belongs elsewhere."""
        found = list(strangers(environment, keys, endpoints))
        if found:
            self.refuse("; ".join(found))

    async def stamp(self, connection: "asyncpg.Connection[asyncpg.Record]", environment: str) -> None:
        """Make the database this environment's, if it is nobody's so far. Raises `Mixed` if it is another's."""
        self._insist_on_owner(await connection.fetchval(_STAMP, environment), environment)

    async def owner_of(self, connection: "asyncpg.Connection[asyncpg.Record]", environment: str) -> str:
        """Whose the database is: *environment*'s, or nobody's so far. Raises `Mixed` if it is another's. Changes nothing."""
        owner: str | None = await connection.fetchval("SELECT environment FROM deployment")
        self._insist_on_owner(owner or environment, environment)
        return owner or "nobody so far"

    def refuse(self, why: str) -> None:
        """What comes of a mix: nothing is started."""
        raise Mixed(why)

    def _insist_on_owner(self, owner: str, environment: str) -> None:
        if owner != environment:
            self.refuse(
                f"DATABASE_URL names the database of {owner!r}, and ENVIRONMENT is {environment!r}: use this environment's own"
            )
