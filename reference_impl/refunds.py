"""Refunds that customer service asks for: store the wish, have the provider give the money back, post what it did."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from reference_impl import topups
from reference_impl.answers import Answer, problem
from reference_impl.audit import AuditLog
from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.database import Connection, Database
from reference_impl.events import Event
from reference_impl.keys import Go, IdempotencyKeys, answer_of
from reference_impl.ledger import Ledger
from reference_impl.logs import correlate, current_correlation
from reference_impl.provider import ProviderClient
from reference_impl.provider_answers import Declined, MoneyBack, OutcomeUnknown, ProviderRefused
from reference_impl.states import States
from reference_impl.topups import TopUp

log = structlog.get_logger()

REQUESTED, REFUNDED, REFUSED = "Requested", "Refunded", "Refused"

_COLUMNS = "refund, top_up, payment, account, amount_minor, currency, state, provider_refund, correlation, created_at"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """The stored wish, and what came of it. `provider_refund` is the provider's own id for it."""

    refund: str
    top_up: str
    payment: str
    account: str
    amount_minor: int
    currency: str
    state: str
    provider_refund: str | None
    correlation: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of asking the provider: a refund, a no, or (neither) nothing that is certain."""

    made: MoneyBack | None = None
    refused: bool = False


class Refunds:
    """Gives money back, once for each key. Like an initiation: nobody is asked before the wish is stored."""

    def __init__(
        self,
        database: Database,
        keys: IdempotencyKeys,
        ledger: Ledger,
        provider: ProviderClient,
        callbacks: CallbackIntake,
        audit: AuditLog,
        now: Callable[[], datetime],
    ) -> None:
        self.database = database
        self.keys = keys
        self.ledger = ledger
        self.provider = provider
        self.callbacks = callbacks
        self.audit = audit
        self.now = now

    async def start(self, key: str, top_up: TopUp, amount_minor: int) -> Answer:
        """Answer one request, or one of its repetitions."""
        request = json.dumps(["refund", top_up.top_up, amount_minor])
        decision = await self.keys.begin(top_up.customer, key, request, "rf")
        if not isinstance(decision, Go):
            return answer_of(decision, self.keys.profile)
        correlate(top_up.correlation)
        stored = await self.open(decision.id, top_up, amount_minor)
        reply = await self.ask(stored)
        await self.post(stored, top_up, reply)
        async with self.database.transaction() as connection:
            settled = await self.accept(connection, stored, reply)
            return await self.keys.remember(connection, top_up.customer, key, answer(settled))

    async def open(self, refund: str, top_up: TopUp, amount_minor: int) -> Refund:
        """Store the wish, or that it is refused; committed before anybody is asked. Resumed, it is as it was stored."""
        async with self.database.transaction() as connection:
            current = await topups.lock(connection, top_up.top_up) or top_up
            known = await find(connection, refund)
            if known is not None:
                return known
            wish = Refund(
                refund=refund,
                top_up=top_up.top_up,
                payment=current.payment or "",
                account=top_up.account,
                amount_minor=amount_minor,
                currency=top_up.currency,
                state=REQUESTED if amount_minor <= await self.room(connection, current) else REFUSED,
                provider_refund=None,
                correlation=current_correlation(),
                created_at=self.now(),
            )
            await insert(connection, wish)
            detail = {"top_up": top_up.top_up, "amount_minor": amount_minor, "state": wish.state}
            await self.audit.record(connection, "refund requested", refund, detail)
        log.info("refund opened", refund=refund, top_up=top_up.top_up, state=wish.state)
        return wish

    async def room(self, connection: Connection, top_up: TopUp) -> int:
        """What may be given back: what is left of this credit and still on the account, both without what is asked for.

        Others may take an account below zero; this service does not. The account is locked, so that of two refunds at once
        the second sees the first.
        """
        if top_up.state not in States.ONCE_CREDITED:
            return 0
        balance: int = await connection.fetchval(
            "SELECT balance_minor FROM accounts WHERE account = $1 FOR NO KEY UPDATE", top_up.account
        )
        asked = await connection.fetchrow(
            """SELECT coalesce(sum(amount_minor), 0)::bigint AS of_account,
                      coalesce(sum(amount_minor) FILTER (WHERE top_up = $2), 0)::bigint AS of_top_up
               FROM refunds WHERE account = $1 AND state = 'Requested'""",
            top_up.account,
            top_up.top_up,
        )
        assert asked is not None  # an aggregate always has one
        standing = await self.ledger.standing(connection, top_up)
        return min(standing.left_minor - int(asked["of_top_up"]), balance - int(asked["of_account"]))

    async def ask(self, refund: Refund) -> Reply:
        """Have the provider give the money back. No connection to the database is held meanwhile."""
        if refund.state == REFUSED:
            return Reply(refused=True)
        try:
            return Reply(await self.provider.refund(refund.payment, refund.refund, refund.amount_minor))
        except (Declined, ProviderRefused) as refusal:
            log.error("refund refused", refund=refund.refund, error=str(refusal))
            return Reply(refused=True)
        except OutcomeUnknown as doubt:
            log.warning("refund unknown", refund=refund.refund, error=str(doubt))
            return Reply()

    async def post(self, refund: Refund, top_up: TopUp, reply: Reply) -> Outcome | None:
        """Apply what the provider did like its callback, which may have been faster: same claim, one posting."""
        made = reply.made
        if made is None:
            return None
        return await self.callbacks.receive(
            Event(
                kind="refunded",
                payment=refund.payment,
                reference=top_up.top_up,
                amount_minor=made.amount_minor,
                currency=top_up.currency,
                account=top_up.account,
                merchant=top_up.merchant,
                environment=top_up.environment,
                captured_minor=top_up.amount_minor,
                refunded_minor=made.amount_minor,
                reversal=made.id,
                cause="refund",
            )
        )

    async def accept(self, connection: Connection, refund: Refund, reply: Reply) -> Refund:
        """Store what came of it, unless that is known by now; returns the refund as it then is."""
        if reply.made or reply.refused:
            await connection.execute(
                "UPDATE refunds SET state = $2, provider_refund = $3 WHERE refund = $1 AND state = 'Requested'",
                refund.refund,
                REFUNDED if reply.made else REFUSED,
                reply.made.id if reply.made else None,
            )
        return await find(connection, refund.refund) or refund

    async def finish(self, refund: Refund) -> Outcome | None:
        """Ask once more about a refund of which nobody knows what became. What goes wrong leaves it for the next run."""
        correlate(refund.correlation)
        try:
            async with self.database.connection() as connection:
                top_up = await topups.find(connection, refund.top_up)
            assert top_up is not None  # the database says so
            reply = await self.ask(refund)
            outcome = await self.post(refund, top_up, reply)
            async with self.database.transaction() as connection:
                await self.accept(connection, refund, reply)
            return outcome
        except Exception as error:
            # Whatever is wrong with this one, the others are not to wait for it.
            log.error("refund not finished", refund=refund.refund, error=type(error).__name__, exc_info=error)
            return None


def answer(refund: Refund) -> Answer:
    """What customer service is told: where the refund is, as committed with this answer."""
    match refund.state:
        case "Refunded":
            return Answer(201, view(refund))
        case "Refused":
            message = "There is not so much left of this credit, or of the balance, to give back. Nothing was changed."
            return Answer(422, problem("not_refundable", message, "amount_minor"))
        case _:
            return Answer(202, view(refund))


def view(refund: Refund) -> dict[str, Any]:
    """A refund as customer service reads it."""
    return {
        "refund": refund.refund,
        "top_up": refund.top_up,
        "payment": refund.payment,
        "amount_minor": refund.amount_minor,
        "currency": refund.currency,
        "state": refund.state,
        "provider_refund": refund.provider_refund,
    }


async def insert(connection: Connection, refund: Refund) -> None:
    """Store a new refund."""
    await connection.execute(
        f"INSERT INTO refunds ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",  # noqa: S608 - constants
        refund.refund,
        refund.top_up,
        refund.payment,
        refund.account,
        refund.amount_minor,
        refund.currency,
        refund.state,
        refund.provider_refund,
        refund.correlation,
        refund.created_at,
    )


async def find(connection: Connection, refund: str) -> Refund | None:
    """The refund with this id, as it is now."""
    row = await connection.fetchrow(f"SELECT {_COLUMNS} FROM refunds WHERE refund = $1", refund)  # noqa: S608
    return None if row is None else Refund(**row)


async def of_top_up(connection: Connection, top_up: str) -> list[Refund]:
    """All that were asked for, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM refunds WHERE top_up = $1 ORDER BY created_at",  # noqa: S608 - constants only
        top_up,
    )
    return [Refund(**row) for row in rows]


async def unanswered(connection: Connection) -> list[Refund]:
    """Those of which nobody knows what became, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM refunds WHERE state = 'Requested' ORDER BY created_at"  # noqa: S608 - constants only
    )
    return [Refund(**row) for row in rows]
