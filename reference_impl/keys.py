"""Idempotency keys: one intent of one customer has one answer, however often and however concurrently it is sent."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from uuid import uuid4

from reference_impl.answers import Answer, problem
from reference_impl.api_keys import FIRST_TENANT
from reference_impl.database import Connection, Database, acted_for
from reference_impl.metrics import Metrics

Row: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Go:
    """Do it, under this id: a new one, or that of what was left unanswered."""

    id: str


@dataclass(frozen=True, slots=True)
class Replay:
    """It was answered before, so."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class Conflict:
    """The key stands for another request."""


@dataclass(frozen=True, slots=True)
class InProgress:
    """Somebody is at it."""

    retry_after_s: int


Decision: TypeAlias = Go | Replay | Conflict | InProgress
_NAMES: Mapping[type[Decision], str] = {Go: "go", Replay: "replay", Conflict: "conflict", InProgress: "in progress"}


def answer_of(decision: Replay | Conflict | InProgress) -> Answer:
    """What somebody is told whose request is not to be done now."""
    match decision:
        case Replay(answer):
            return answer
        case Conflict():
            return Answer(422, problem("key_reused", "This key stands for another request.", "Idempotency-Key"))
        case InProgress(seconds):
            wait = {"Retry-After": str(seconds)}
            return Answer(409, problem("in_progress", "The first request is still running. Send it again."), wait)


class IdempotencyKeys:
    """Remembers what was asked under each key, and what was answered."""

    def __init__(self, database: Database, lease_s: float, metrics: Metrics, now: Callable[[], datetime]) -> None:
        self.database = database
        self.lease = timedelta(seconds=lease_s)
        self.metrics = metrics
        self.now = now

    async def begin(self, customer: str, key: str, request: str, prefix: str = "tu") -> Decision:
        """Decide, in one short transaction, what to do about a request. Of many at once, exactly one is told `Go`.

        *prefix* begins the id of what it is a request for: a top-up, or a refund.
        """
        async with self.database.transaction() as connection:
            reserved = await self.reserve(connection, customer, key, request, f"{prefix}_{uuid4().hex}")
            decision = Go(reserved) if reserved is not None else await self.again(connection, customer, key, request)
        self.metrics.count("topup_keys", _NAMES[type(decision)])
        return decision

    async def reserve(self, connection: Connection, customer: str, key: str, request: str, id: str) -> str | None:
        """Take a key that nobody has used, with the *id* of what it will stand for; None if it was used."""
        reserved: str | None = await connection.fetchval(
            """INSERT INTO idempotency_keys (customer, key, request, top_up, leased_until) VALUES ($1, $2, $3, $4, $5)
               ON CONFLICT (customer, key) DO NOTHING RETURNING top_up""",
            self.scope(customer),
            key,
            request,
            id,
            self.now() + self.lease,
        )
        return reserved

    async def again(self, connection: Connection, customer: str, key: str, request: str) -> Decision:
        """What to do about a key that was used before; its row is locked meanwhile."""
        found = await connection.fetchrow(
            "SELECT * FROM idempotency_keys WHERE customer = $1 AND key = $2 FOR UPDATE", self.scope(customer), key
        )
        assert found is not None  # keys are never deleted
        row = dict(found)
        if not self.same_request(row, request):
            return Conflict()
        if (answer := self.remembered(row)) is not None:
            return Replay(answer)
        if not self.lease_over(row, self.now()):
            return InProgress(math.ceil((row["leased_until"] - self.now()).total_seconds()))
        await connection.execute(
            "UPDATE idempotency_keys SET leased_until = $3 WHERE customer = $1 AND key = $2",
            self.scope(customer),
            key,
            self.now() + self.lease,
        )
        return Go(row["top_up"])

    def scope(self, customer: str) -> str:
        """Whose keys these are: two customers may well choose the same one, and two tenants the same name for a customer.

        The first tenant's stay as they were before there were others.
        """
        tenant = acted_for()
        return customer if tenant == FIRST_TENANT else f"{tenant}/{customer}"

    def same_request(self, row: Row, request: str) -> bool:
        """Whether it is a request for the very same thing as the first time: amount, currency, account and all."""
        return bool(row["request"] == request)

    def remembered(self, row: Row) -> Answer | None:
        """The answer that was given, if any was."""
        if row["answer"] is None:
            return None
        return Answer(row["status"], json.loads(row["answer"]), {"Idempotent-Replayed": "true"})

    def lease_over(self, row: Row, now: datetime) -> bool:
        """Whether whoever began has had time enough. A process that was killed must not hold a key for ever."""
        return bool(row["leased_until"] <= now)

    async def remember(self, connection: Connection, customer: str, key: str, answer: Answer) -> Answer:
        """Store the answer, in the transaction that made it true. If another was stored meanwhile, that one counts."""
        row = await connection.fetchrow(
            """UPDATE idempotency_keys SET status = coalesce(status, $3), answer = coalesce(answer, $4)
               WHERE customer = $1 AND key = $2 RETURNING status, answer""",
            self.scope(customer),
            key,
            answer.status,
            json.dumps(answer.body),
        )
        return Answer(row["status"], json.loads(row["answer"])) if row else answer
