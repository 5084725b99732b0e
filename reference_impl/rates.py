"""How often somebody may ask: the generic cell rate algorithm (GCRA, ITU-T I.371), shared by all processes, in one statement.

Of callbacks nobody counts anything: the provider is never told to come more seldom.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import structlog

from reference_impl.answers import Problem
from reference_impl.database import Database
from reference_impl.metrics import Metrics
from reference_impl.reviews import came_too_soon

log = structlog.get_logger()

KINDS = ("address", "principal", "customer", "method", "intent")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests in so many seconds: all of them at once, if they like, and then each when its turn has come."""

    requests: int
    window_s: float

    @classmethod
    def read(cls, text: str) -> "Rate":
        """`"5/60"` is five in a minute. Raises `ValueError` for anything that is not of this kind."""
        requests, slash, window_s = text.partition("/")
        rate = cls(int(requests), float(window_s)) if slash else cls(0, 0)
        if rate.requests < 1 or not 0 < rate.window_s < math.inf:
            raise ValueError(f"a rate is requests/seconds, as in 5/60; this is {text!r}")
        return rate

    @property
    def every(self) -> timedelta:
        """How long one turn takes."""
        return timedelta(seconds=self.window_s / self.requests)

    @property
    def tolerance(self) -> timedelta:
        """How far ahead of its turn a request may come."""
        return self.every * (self.requests - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who wants to top up, in all the ways that there are limits for."""

    address: str
    principal: str
    tenant: str
    customer: str
    method: str
    account: str
    key: str

    def buckets(self) -> Mapping[str, str]:
        """What is counted for each kind of limit."""
        return {
            "address": self.address,
            "principal": self.principal,
            "customer": f"{self.tenant} {self.customer}",
            "method": f"{self.tenant} {self.customer} {self.method}",
            "intent": f"{self.tenant} {self.customer} {self.account} {self.key}",
        }


@dataclass(frozen=True, slots=True)
class Turn:
    """A request of which one limit says no, and when it would say yes."""

    by: str
    bucket: str
    rate: Rate
    wait: timedelta


class RateLimits:
    """Lets a request in if every limit does; of one that is turned away none of them takes any notice.

    But for two that find the last turn at the same instant: the one that does not get it may have taken turns of other limits.
    """

    TAKE: ClassVar[str] = """
        WITH asked AS (
            SELECT bucket, every, tolerance
            FROM unnest($1::text[], $2::interval[], $3::interval[]) AS each (bucket, every, tolerance) ORDER BY bucket
        ), full_ones AS (
            SELECT bucket, free_at FROM rate_limits JOIN asked USING (bucket) WHERE free_at > $4::timestamptz + tolerance
        ), taken AS (
            INSERT INTO rate_limits AS known (bucket, free_at)
            SELECT bucket, $4 + every FROM asked WHERE NOT EXISTS (SELECT FROM full_ones)
            ON CONFLICT (bucket) DO UPDATE SET free_at = greatest(known.free_at, $4) + (excluded.free_at - $4)
            -- Looked at again under the row's lock: of two at the same instant that both found room, there may be room for one.
            WHERE known.free_at <= $4 + (SELECT tolerance FROM asked WHERE asked.bucket = known.bucket)
            RETURNING bucket, free_at
        )
        SELECT bucket, free_at, true AS taken FROM taken UNION ALL SELECT bucket, free_at, false FROM full_ones
    """

    def __init__(
        self, database: Database, rates: Mapping[str, Rate], metrics: Metrics, now: Callable[[], datetime]
    ) -> None:
        self.database = database
        self.rates = rates
        self.metrics = metrics
        self.now = now

    async def admit(self, asker: Asker) -> None:
        """One more request. Raises `Problem`, 429 with how long to wait, when it comes too soon."""
        if not self.rates:
            return
        turn = await self.take({by: bucket for by, bucket in asker.buckets().items() if by in self.rates})
        if turn is not None:
            async with self.database.connection() as connection:
                await came_too_soon(connection, asker.customer, self.now())
            raise await self.deny(turn)

    async def take(self, buckets: Mapping[str, str]) -> Turn | None:
        """Take a turn of each bucket, or of none: then which of them is full, and for how long. One statement."""
        names = {f"{by} {bucket}": by for by, bucket in buckets.items()}
        rates = [self.rates[by] for by in names.values()]
        at = self.now()
        async with self.database.connection() as connection:
            rows = await connection.fetch(
                self.TAKE, list(names), [rate.every for rate in rates], [rate.tolerance for rate in rates], at
            )
        known = {row["bucket"]: row for row in rows}
        turns = []
        for name, by in names.items():
            rate, row = self.rates[by], known.get(name)
            if row is None and len(known) < len(names) and all(each["taken"] for each in rows):
                turns.append(Turn(by, name, rate, rate.every))  # somebody else was faster, this very moment
            elif row is not None and not row["taken"]:
                turns.append(Turn(by, name, rate, row["free_at"] - rate.tolerance - at))
        return max(turns, key=lambda turn: turn.wait, default=None)

    async def deny(self, turn: Turn) -> Problem:
        """What whoever comes too soon is told. It costs him no turn: he need not wait longer for having asked."""
        self.metrics.count("topup_rate_limited", turn.by)
        log.warning("rate limited", by=turn.by)
        wait_s = turn.wait.total_seconds()
        seconds, rate = math.ceil(wait_s), turn.rate
        headers = {
            "Retry-After": str(seconds),
            "RateLimit-Policy": f'"{turn.by}";q={rate.requests};w={math.ceil(rate.window_s)}',
            "RateLimit": f'"{turn.by}";r=0;t={seconds}',
        }
        limit = {"by": turn.by, "requests": rate.requests, "window_s": rate.window_s, "wait_s": round(wait_s, 3)}
        message = f"Too many requests by {turn.by}. Send the same again in {seconds} s."
        return Problem(429, "too_often", message, headers=headers, more={"limit": limit})

    async def forget(self) -> None:
        """Delete the buckets that are as good as none."""
        async with self.database.connection() as connection:
            await connection.execute("DELETE FROM rate_limits WHERE free_at < $1", self.now())
