"""Corrections of what reconciliation found: entries of their own, once for each finding, and by two people when they are large."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import structlog

from reference_impl import topups
from reference_impl.answers import Problem
from reference_impl.audit import AuditLog
from reference_impl.database import Connection, Database
from reference_impl.findings import Class
from reference_impl.ledger import Ledger, Posting
from reference_impl.logs import correlate
from reference_impl.money import Money
from reference_impl.outbox import Outbox
from reference_impl.states import States

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Adjustment:
    """A correction of one account for one finding. `amount_minor` is below zero when money is taken back; `posting` is None
    while a second person has not approved it.
    """

    finding: int
    account: str
    amount_minor: int
    reason: str
    proposed_by: str
    approved_by: str | None = None
    posting: str | None = None

    @property
    def state(self) -> str:
        return "Posted" if self.posting else "Waiting for approval"


@dataclass(frozen=True, slots=True)
class Found:
    """The finding that is to be corrected."""

    finding: int
    class_: Class
    top_up: str
    payment: str


class Adjustments:
    """Proposes, approves and posts. However often any of it is repeated, and beside whatever callback, it is done once."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        states: States,
        outbox: Outbox,
        audit: AuditLog,
        now: Callable[[], datetime],
        limit_minor: int,
    ) -> None:
        self.database = database
        self.ledger = ledger
        self.states = states
        self.outbox = outbox
        self.audit = audit
        self.now = now
        self.limit_minor = limit_minor

    async def propose(self, wanted: Adjustment) -> Adjustment:
        """Store the correction, and post it if it is small. Raises `Problem` when there is no such thing to correct."""
        async with self.database.transaction() as connection:
            found = await _finding(connection, wanted.finding)
            await _in_its_currency(connection, found, wanted.account)
            if not await self.store(connection, wanted):
                return await self.again(connection, wanted)
            await self.write_down(connection, "adjustment proposed", wanted)
            if self.needs_approval(wanted):
                log.warning("adjustment waits for approval", finding=wanted.finding, account=wanted.account)
                return wanted
            return await self.post(connection, found, wanted, None)

    async def approve(self, finding: int, account: str, approver: str) -> Adjustment:
        """Post what somebody else proposed. Raises `Problem` for who proposed it, and for what nobody did."""
        async with self.database.transaction() as connection:
            found = await _finding(connection, finding)
            stored = await _stored(connection, finding, account)
            if stored is None:
                raise Problem(404, "no_such_adjustment", "Nobody proposed this.", at="account")
            if stored.posting is not None:
                return stored
            if not self.may_approve(stored, approver):
                raise Problem(
                    403, "same_person", "Who proposed it cannot approve it: ask a second person.", at="Authorization"
                )
            await self.write_down(connection, "adjustment approved", stored)
            return await self.post(connection, found, stored, approver)

    async def write_down(self, connection: Connection, action: str, adjustment: Adjustment) -> None:
        """Who did this, in the audit log, in the same transaction."""
        detail = {"amount_minor": adjustment.amount_minor, "reason": adjustment.reason}
        await self.audit.record(connection, action, f"fi_{adjustment.finding}:{adjustment.account}", detail)

    def needs_approval(self, wanted: Adjustment) -> bool:
        """Whether it is too large for one person."""
        return abs(wanted.amount_minor) > self.limit_minor

    def may_approve(self, stored: Adjustment, approver: str) -> bool:
        """Anybody but who proposed it."""
        return approver != stored.proposed_by

    async def store(self, connection: Connection, wanted: Adjustment) -> bool:
        """False when this finding has a correction of this account already."""
        return bool(
            await connection.fetchval(
                """INSERT INTO adjustments (finding, account, amount_minor, reason, proposed_by, proposed_at)
                   VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING RETURNING true""",
                wanted.finding,
                wanted.account,
                wanted.amount_minor,
                wanted.reason,
                wanted.proposed_by,
                self.now(),
            )
        )

    async def again(self, connection: Connection, wanted: Adjustment) -> Adjustment:
        """The one that is there, if it is for the same amount."""
        stored = await _stored(connection, wanted.finding, wanted.account)
        assert stored is not None  # never deleted
        if stored.amount_minor != wanted.amount_minor:
            raise Problem(
                409, "corrected_already", "This finding has another correction of this account.", at="amount_minor"
            )
        return stored

    async def post(self, connection: Connection, found: Found, wanted: Adjustment, approver: str | None) -> Adjustment:
        """The entries, and what they mean for the top-up. A credit that was missing is claimed like a callback's: whoever
        comes later with it finds it taken.
        """
        if found.class_ is Class.MISSING and not await self.claim(connection, found):
            raise Problem(409, "credited_meanwhile", "This payment was credited meanwhile. Compare the books again.")
        top_up = await topups.lock(connection, found.top_up)
        assert top_up is not None  # findings are about top-ups that there are
        correlate(top_up.correlation)
        posting = await self.ledger.post(
            connection,
            replace(top_up, account=wanted.account),
            Posting(
                kind="adjustment" if wanted.amount_minor > 0 else "adjustment-back",
                payment=found.payment,
                amount=Money(abs(wanted.amount_minor), top_up.currency),
                reversal=f"fi_{found.finding}",
            ),
            self.now(),
        )
        if found.class_ is Class.MISSING and wanted.account == top_up.account:
            await topups.name_payment(connection, top_up.top_up, found.payment)
            source = f"fi_{found.finding}"
            state = await self.states.move(connection, top_up, "captured", "adjustment", source, self.now())
            if state is not None:
                await self.outbox.write(connection, top_up, state, self.now())
        await connection.execute(
            """UPDATE adjustments SET posting = $3, posted_at = $4, approved_by = $5
               WHERE finding = $1 AND account = $2""",
            wanted.finding,
            wanted.account,
            posting,
            self.now(),
            approver,
        )
        log.warning("adjusted", finding=found.finding, account=wanted.account, posting=posting)
        return replace(wanted, posting=posting, approved_by=approver)

    async def claim(self, connection: Connection, found: Found) -> bool:
        """True when nobody has credited this payment so far."""
        return bool(
            await connection.fetchval(
                """INSERT INTO claims (payment, effect, claimed_at) VALUES ($1, 'captured', $2)
                   ON CONFLICT DO NOTHING RETURNING true""",
                found.payment,
                self.now(),
            )
        )


async def _finding(connection: Connection, finding: int) -> Found:
    row = await connection.fetchrow("SELECT class, about, payment FROM findings WHERE finding = $1", finding)
    if row is None:
        raise Problem(404, "no_such_finding", "Reconciliation found nothing of that name.", at="finding")
    if row["class"] in (Class.BALANCE, Class.STATUS):
        message = "No entry corrects this: the ledger is right, and what is beside it is not."
        raise Problem(422, "not_corrected_by_entries", message, at="finding")
    return Found(finding, Class(row["class"]), row["about"], row["payment"])


async def _in_its_currency(connection: Connection, found: Found, account: str) -> None:
    """Raises `Problem` unless *account* is a customer's, in the currency of the top-up that is corrected."""
    there = await connection.fetchval(
        """SELECT t.currency = a.currency FROM top_ups t, accounts a
           WHERE t.top_up = $1 AND a.account = $2 AND a.kind = 'customer'""",
        found.top_up,
        account,
    )
    if there is None:
        raise Problem(404, "no_such_account", "No customer has an account of that name.", at="account")
    if not there:
        raise Problem(422, "other_currency", "This account is in another currency than the top-up.", at="account")


async def _stored(connection: Connection, finding: int, account: str) -> Adjustment | None:
    row = await connection.fetchrow(
        """SELECT finding, account, amount_minor, reason, proposed_by, approved_by, posting FROM adjustments
           WHERE finding = $1 AND account = $2 FOR UPDATE""",
        finding,
        account,
    )
    return None if row is None else Adjustment(**row)
