"""The pool of connections to PostgreSQL, and which errors mean that PostgreSQL is not to be had."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, TypeAlias

import asyncpg

from reference_impl.api_keys import NewKey
from reference_impl.environments import Environments
from reference_impl.migrate import migrate

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Connection = Pool = object

DATABASE_ERRORS: tuple[type[Exception], ...] = (
    OSError,  # refused, reset, timed out
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)
"""What may be raised around a statement. After any of them, whether a COMMIT happened is unknown: ask again."""

_WAIT_S = 3.0
_CLOSE_S = 1.0
_LIMITS = {
    "application_name": "topup-service",
    "statement_timeout": "3s",
    "lock_timeout": "3s",
    # A service that was cut off in the middle must not hold its locks against those who are not.
    "idle_in_transaction_session_timeout": "5s",
    "default_transaction_isolation": "read committed",
}


class _PlainConnection(asyncpg.Connection):
    """Skips the reset that asyncpg sends whenever a connection goes back to the pool: one round trip in each request.

    Sound only because nothing here LISTENs, SETs or takes an advisory lock for longer than a transaction.
    """

    def get_reset_query(self) -> str:
        return ""


class Database:
    """Connections with a bound on every wait. A broken connection is replaced by the pool when next asked for."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @classmethod
    @asynccontextmanager
    async def at(
        cls, url: str, environment: str, keys: Sequence[NewKey] = (), environments: Environments | None = None
    ) -> AsyncIterator["Database"]:
        """The database at *url*, brought up to the newest migration and with *keys* in it. Raises if it is another
        environment's.
        """
        await migrate(url, environment, keys, environments=environments)
        pool = await asyncpg.create_pool(
            url,
            min_size=1,
            max_size=10,
            timeout=_WAIT_S,
            command_timeout=_WAIT_S + 1,  # the server gives up first, and says so
            connection_class=_PlainConnection,
            server_settings=_LIMITS,
        )
        try:
            yield cls(pool)
        finally:
            with suppress(
                *DATABASE_ERRORS
            ):  # the server may be gone, or silent: close() ends hard when it is cut short
                await asyncio.wait_for(pool.close(), _CLOSE_S)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection outside of any transaction: each statement stands alone."""
        async with self._pool.acquire(timeout=_WAIT_S) as connection:
            yield connection

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """All of it or nothing: BEGIN, and COMMIT at the end, or ROLLBACK if anything is raised."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Connection]:
        """To read by: everything is as it was at one moment, and nothing can be written."""
        async with self.connection() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            yield connection
