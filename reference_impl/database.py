"""The pools of connections to PostgreSQL, one for each job, and which errors mean that PostgreSQL is not to be had.

A connection is opened in its job's role (`migrations/0010_roles.sql`), which costs no round trip, and remembers for which tenant
it acts: what row-level security asks (`migrations/0010_tenants.sql`). Saying so costs one when a connection changes from one
tenant to another, and none as long as it does not. Said in each transaction instead (`BEGIN; SET LOCAL app.tenant`), it would
have to be said around every statement that stands alone, and most of what is read is such a one. A pool for each tenant would
cost none, and as many connections as there are tenants.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple, Self, TypeAlias, cast

import asyncpg

from reference_impl.api_keys import TENANT

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


EVERYBODY = ""
"""In the place of a tenant: for all of them."""
_tenant: ContextVar[str] = ContextVar("tenant", default=EVERYBODY)


@contextmanager
def acting_for(tenant: str) -> Iterator[None]:
    """What the block asks of the database, it asks for that tenant."""
    token = _tenant.set(tenant)
    try:
        yield
    finally:
        _tenant.reset(token)


def acted_for() -> str:
    """For which tenant it is asked now; empty where it is for all of them."""
    return _tenant.get()


class _PlainConnection(asyncpg.Connection):
    """Skips the reset that asyncpg sends whenever a connection goes back to the pool: one round trip in each request.

    Sound only because nothing here LISTENs or takes an advisory lock for longer than a transaction, and SETs nothing but for
    which tenant it acts, which is asked whenever it is handed over.
    """

    tenant: str | None = ""
    """For which it acts, as far as it is known: a new one for nobody."""

    async def act_for(self, tenant: str) -> None:
        """Have it act for *tenant*; for nobody, and so for all where that is allowed, when that is empty."""
        if tenant != self.tenant:
            assert not tenant or TENANT.fullmatch(tenant)  # as it was stored with its principal
            self.tenant = None
            await self.execute(f"SET app.tenant TO '{tenant}'")
            self.tenant = tenant

    def get_reset_query(self) -> str:
        return ""


class Job(StrEnum):
    """What connections are for, by the name of the role that may do that and no more."""

    API = "topup_api"
    CALLBACKS = "topup_callbacks"
    RECONCILER = "topup_reconciler"
    READER = "topup_reader"


class Size(NamedTuple):
    """How many connections a pool opens at once, and has at most. All but one are opened when they are first needed."""

    least: int
    most: int


_SIZES: Mapping[Job, Size] = {Job.API: Size(1, 8), Job.CALLBACKS: Size(0, 8), Job.RECONCILER: Size(0, 6)}


class Database:
    """Connections for one job, with a bound on every wait. A broken one is replaced by the pool when next asked for."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._pool: Pool

    @asynccontextmanager
    async def open(self, url: str) -> AsyncIterator[Self]:
        """The pool, at the database at *url*, which is migrated."""
        self._pool = await asyncpg.create_pool(
            url,
            min_size=_SIZES[self.job].least,
            max_size=_SIZES[self.job].most,
            timeout=_WAIT_S,
            command_timeout=_WAIT_S + 1,  # the server gives up first, and says so
            connection_class=_PlainConnection,
            server_settings={**_LIMITS, "role": self.role()},
            setup=self._hand_over,
        )
        try:
            yield self
        finally:
            with suppress(
                *DATABASE_ERRORS
            ):  # the server may be gone, or silent: close() ends hard when it is cut short
                await asyncio.wait_for(self._pool.close(), _CLOSE_S)

    def role(self) -> str:
        """As whom its connections act: never as whoever logged in, who owns the tables."""
        return self.job.value

    def whose(self, _before: str | None) -> str:
        """For which tenant a connection is to act that acted for another *before*: for that of the request at hand."""
        return _tenant.get()

    async def _hand_over(self, connection: Connection) -> None:
        """A connection goes to whoever asked for one. A callback's is nobody's: the provider knows no tenants."""
        if self.job is not Job.CALLBACKS:
            plain = cast("_PlainConnection", connection)
            await plain.act_for(self.whose(plain.tenant))

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
