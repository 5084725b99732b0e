"""The audit: the books of all three parties, read into the history.

The provider's book is its journal. The service's is what it shows of itself through the target's operations; where it
lists no entries, the credits are inferred from the balance, whose amounts name their payments. The clients' is what they
were told, already there.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from math import inf
from typing import Any
from urllib.parse import quote

from harness.amounts import as_few_mistakes, times_each
from harness.books import BEFORE, captured, credits_of, held, lines_of
from harness.client import Answer, Client
from harness.history import Recorder
from harness.outcomes import Outcome
from harness.reversals import reversals, told
from harness.stack import Stack

ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Account:
    """An account that a plan opened: what fills the placeholders of operations about it."""

    id: str
    account: str
    customer: str
    currency: str

    def values(self) -> dict[str, Any]:
        return {"account": self.account, "customer": self.customer, "currency": self.currency}


class Auditor:
    """Reads books. A book that cannot be read is said so: `book-unread`, and the run is unknown."""

    def __init__(self, stack: Stack, client: Client, recorder: Recorder) -> None:
        self._stack, self._client, self._recorder = stack, client, recorder
        self._operations = stack.target.operations
        self._journal = 0
        self._earlier = frozenset(stack.named)
        self._left_over: set[str] = set()

    async def begin(self) -> None:
        """Start a new page: what the provider and the logs said before is not of this run."""
        _, self._journal = await self._stack.provider.journal(self._stack.provider.heard)
        self._stack.log_lines()

    async def provider(self) -> None:
        """The provider's book since the last reading.

        A payment that the service makes only now for a top-up of an earlier plan is not of this run: nobody here asked for
        it, and its account is not read.
        """
        events, self._journal = await self._stack.provider.journal(self._journal)
        for event in events:
            if event.kind == "payment" and event.get("reference") in self._earlier:
                if event["payment"] not in self._left_over:
                    self._recorder.record("harness", "left-over", payment=event["payment"], top_up=event["reference"])
                self._left_over.add(event["payment"])
            if event.get("payment") not in self._left_over:
                self._recorder.add(event)

    async def accounts(self, snapshot: str, accounts: Iterable[Account]) -> None:
        """What the service has of these accounts: balance, the ledger's entries or what the balance says was credited, and
        what it found amiss.
        """
        whole = "balance" if self._operations.statement is None else "statement"
        for account in accounts:
            books = await self._ask((whole, "entries", "discrepancies"), account.values())
            balance = self._balance(snapshot, account, books[whole])
            if "entries" in books:
                self._entries(snapshot, account, books["entries"])
            elif balance is not None:
                self._infer(snapshot, account, balance)
            for row in _rows(books.get("discrepancies")):
                self._recorder.record("service", "discrepancy", **row)

    def uncredited(self) -> Sequence[str]:
        """Payments and reversals whose acknowledged callback shows no effect yet, by the last snapshot before
        reconciliation."""
        history = self._recorder.history()
        kept = {credit.payment for credit in credits_of(history, BEFORE)} | held(history)
        heard = {event["payment"] for event in history.of("answer") if event["acknowledged"] and not event["hostile"]}
        there = {(line.reversal, line.way) for line in lines_of(history, BEFORE)}
        back = [
            name
            for (name, way), answer in told(history, inf).items()
            if (name, way) not in there and answer["payment"] in kept - held(history)
        ]
        return [payment.payment for payment in captured(history) if payment.payment in heard - kept] + back

    async def top_ups(self, top_ups: Mapping[str, Account]) -> None:
        """The last status that each customer reads, and the steps that led there."""
        for top_up, account in top_ups.items():
            values = account.values() | {"top_up": top_up}
            if self._operations.status is not None:
                await self._client.perform("status", f"final {top_up}", 1, values, final=True)
            for row in _rows((await self._ask(("timeline",), values)).get("timeline")):
                self._recorder.record("service", "transition", **({"top_up": top_up} | _timed(row)))

    def logs(self) -> None:
        """Every line that the nodes wrote during this run, searched for secrets and for the signatures that were sent."""
        secrets = dict(self._stack.secrets)
        for event in self._recorder.history().of("delivery"):
            for part in str(event.get("signature") or "").split():
                token = part.rpartition(",")[2]
                if len(token) > 16:
                    secrets[f"signature of {event['delivery']}"] = token
                    if (encoded := quote(token, safe="")) != token:  # as it stands in a form
                        secrets[f"signature of {event['delivery']}, encoded"] = encoded
        for node, lines in self._stack.log_lines().items():
            self._recorder.record("harness", "log-scanned", node=node, lines=len(lines), secrets=len(secrets))
            for number, line in enumerate(lines, 1):
                for name, secret in secrets.items():
                    if secret in line:
                        self._recorder.record("harness", "secret-in-log", node=node, line=number, secret=name)

    def _balance(self, snapshot: str, account: Account, answer: Answer | None) -> int | None:
        if answer is None:
            return None
        try:
            balance = int(answer.facts["balance_minor"])
        except (KeyError, TypeError, ValueError):
            self._unread("balance", account.values(), "there is no whole number of minor units in the answer")
            return None
        currency = answer.facts.get("currency", account.currency)
        self._recorder.record(
            "service", "balance", snapshot=snapshot, account=account.account, balance_minor=balance, currency=currency
        )
        return balance

    def _entries(self, snapshot: str, account: Account, answer: Answer | None) -> None:
        self._recorder.record("service", "ledger-read", snapshot=snapshot, account=account.account)
        try:
            entries = [_timed(row) | _of_an_entry(row, account) for row in _rows(answer)]
        except (KeyError, TypeError, ValueError) as error:
            self._unread("entries", account.values(), f"an entry has no usable account, amount or currency: {error!r}")
            return
        for facts in entries:
            self._recorder.record("service", "entry", **facts, snapshot=snapshot)

    def _infer(self, snapshot: str, account: Account, balance: int) -> None:
        """Credits out of a bare balance: how often each payment's amount is in it."""
        paid: dict[int, list[str]] = defaultdict(list)
        for payment in captured(self._recorder.history()):
            if payment.account == account.account:
                paid[payment.captured_minor].append(payment.payment)
        back = self._infer_with_reversals(account, balance)
        times = times_each(balance, list(paid))
        found: list[_Inferred] = [_Inferred(None, balance)]
        if back is not None:
            found = back
        elif times is not None:  # of several payments of one amount, each is credited before any is twice
            found = [
                _Inferred(paid[amount][turn % len(paid[amount])], amount)
                for amount, n in times.items()
                for turn in range(n)
            ]
        for each in found:
            self._recorder.record(
                "service",
                "entry",
                snapshot=snapshot,
                own=True,
                inferred=True,
                account=account.account,
                payment=each.payment,
                amount_minor=each.amount_minor,
                currency=account.currency,
                **({"reversal": each.reversal} if each.reversal else {}),
            )

    def _infer_with_reversals(self, account: Account, balance: int) -> list["_Inferred"] | None:
        """The same where money went back, or came back again; None where none did, or nothing explains the balance."""
        history = self._recorder.history()
        paid = [each for each in captured(history) if each.account == account.account]
        back = [each for each in reversals(history) if each.account == account.account]
        lines = [_Inferred(each.payment, each.captured_minor) for each in paid]
        for each in back:
            lines.append(_Inferred(each.payment, -each.amount_minor, each.reversal))
            if each.won:
                lines.append(_Inferred(each.payment, each.amount_minor, each.reversal))
        times = as_few_mistakes(balance, [line.amount_minor for line in lines]) if back else None
        if times is None:
            return None
        return [line for line, n in zip(lines, times, strict=True) for _ in range(n)]

    async def _ask(self, kinds: Iterable[str], values: Mapping[str, Any]) -> dict[str, Answer | None]:
        """Ask about each of these, for which the service has an operation, until it answers; after `ATTEMPTS`, the book is
        unread and the reason is written down. Those that are one request are asked once, and are of one moment.
        """
        asked = {kind: operation for kind in kinds if (operation := self._operations.named(kind)) is not None}
        answers: dict[str, Answer | None] = {}
        while left := [kind for kind in asked if kind not in answers]:
            alike = [kind for kind in left if asked[kind].asks(asked[left[0]])]
            answers |= await self._ask_once(alike, values)
        return answers

    async def _ask_once(self, kinds: Sequence[str], values: Mapping[str, Any]) -> dict[str, Answer | None]:
        operations = [operation for kind in kinds if (operation := self._operations.named(kind)) is not None]
        for _ in range(ATTEMPTS):
            answers = await self._client.ask(operations, values)
            if all(answer.outcome is Outcome.DONE for answer in answers):
                break
        for kind, answer in zip(kinds, answers, strict=True):
            if answer.outcome is not Outcome.DONE:
                self._unread(kind, values, answer.because)
        return {
            kind: answer if answer.outcome is Outcome.DONE else None
            for kind, answer in zip(kinds, answers, strict=True)
        }

    def _unread(self, kind: str, values: Mapping[str, Any], because: str) -> None:
        book = f"service {kind} {values['account']}"
        self._recorder.record("harness", "book-unread", book=book, account=values["account"], because=because)


@dataclass(frozen=True, slots=True)
class _Inferred:
    """An entry that a bare balance gives away; `reversal` is set for money that went back, or came back again."""

    payment: str | None
    amount_minor: int
    reversal: str | None = None


def _rows(answer: Answer | None) -> Sequence[Mapping[str, Any]]:
    return answer.rows if answer is not None else ()


def _of_an_entry(row: Mapping[str, Any], account: Account) -> dict[str, Any]:
    """What every entry must say. Raises when one does not."""
    amount_minor, currency = int(row["amount_minor"]), str(row["currency"])
    return {"own": row["account"] == account.account, "amount_minor": amount_minor, "currency": currency}


def _timed(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its `written` time as seconds since the epoch, where the service gives one."""
    facts = dict(row)
    written = facts.get("written")
    if isinstance(written, str):
        del facts["written"]
        with suppress(ValueError):  # a time that cannot be read is as good as none
            facts["written"] = datetime.fromisoformat(written).timestamp()
    return facts
