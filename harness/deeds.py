"""What clients, customers and attackers do in a plan, and what they know: accounts opened, top-ups named, attempts made."""

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from harness.assault import assault
from harness.audit import Account
from harness.client import Answer, Client
from harness.history import Event, Recorder
from harness.locust import put_load
from harness.outcomes import Outcome, of_status, together
from harness.plan import Operation, Plan
from harness.provider import ProviderError
from harness.stack import Stack, StackError
from harness.target import request

ATTEMPTS = 8
OPERATOR = "chaos-operator"
"""Who asks for reconciliation, comparisons and the audit log, and changes flags."""
AGAIN_S = 0.3
"""How long a client lets a conflict rest before it asks again with the same key."""


class Deeds:
    """Carries out the operations of one plan, under the run's own *name*, and remembers what came of them."""

    def __init__(self, plan: Plan, stack: Stack, name: str, recorder: Recorder, client: Client) -> None:
        self._seed, self._stack, self._name = plan.seed, stack, name
        self._recorder, self._client = recorder, client
        self._operations = {operation.id: operation for operation in plan.operations()}
        self._accounts: dict[str, Account] = {}
        self._attempts: dict[str, list[Outcome]] = {}
        self._named: dict[str, str] = {}
        self._payers: dict[str, Account] = {}

    @property
    def accounts(self) -> Collection[Account]:
        """Every account that was opened."""
        return self._accounts.values()

    def top_ups(self) -> Mapping[str, Account]:
        """Every top-up whose id some client was told, and the account that it is for."""
        own = {
            top_up: self._accounts[self._operations[id].about]
            for id, top_up in self._named.items()
            if self._operations[id].kind == "top_up"
        }
        return own | self._payers

    async def do(self, operation: Operation) -> None:
        """Carry out one operation. What comes of it is history, never an exception."""
        match operation.kind:
            case "open_account":
                await self._open(operation)
            case (
                "pay"
                | "decline"
                | "give_back"
                | "dispute"
                | "win"
                | "lose"
                | "release"
                | "advance"
                | "play_out"
                | "tell_again"
            ):
                await self._at_the_provider(operation)
            case "forge":
                await self._forge(operation)
            case "adopt_secret" | "rotate_secret" if self._stack.target.rotates:
                await self._at_the_secret(operation)
            case "start_mixed" if operation.args["mix"] in self._stack.target.start.mixed:
                await self._start_mixed(operation)
            case "load":
                await self._load(operation)
            case "send_again" if self._stack.target.principals.signer is not None:
                overheard = self._operations[operation.about]
                await self._client.send_again(overheard.id, overheard.kind, operation.id)
            case _ if operation.kind != "assault" and self._stack.target.operations.named(operation.kind) is None:
                self._recorder.record("harness", "not-offered", operation=operation.kind, id=operation.id)
            case _ if not self._knows(_principal(operation)):
                self._recorder.record(
                    "harness", "not-offered", operation=operation.kind, id=operation.id, asked_by=_principal(operation)
                )
            case "assault":
                await self._assault(operation)
            case "correct" | "approve":
                await self._correct(operation)
            case _:
                await self._perform(operation)

    def _knows(self, principal: str) -> bool:
        """Whether the target says how that one asks; the default one need not say anything."""
        return principal == "default" or self._stack.target.principals.named(principal) is not None

    async def _open(self, operation: Operation) -> None:
        account = Account(
            id=operation.id,
            account=f"{self._name}-{operation.id}",
            customer=f"{operation.args.get('customer', 'customer')}-{self._name}",
            currency=operation.currency,
        )
        self._accounts[operation.id] = account
        if self._stack.target.operations.open_account is not None:
            await self._perform(operation)
        else:
            self._answered(operation, Outcome.DONE, "the target needs no account opened")

    async def _perform(self, operation: Operation) -> Answer:
        """One attempt at an operation of the target."""
        attempts = self._attempts.setdefault(operation.id, [])
        patience_s = operation.args.get("patience_s")
        client = self._client if patience_s is None else self._client.with_patience(float(patience_s))
        odd = {name: value for name, value in operation.args.items() if name == "at_least_minor"}
        answer = await client.perform(
            operation.kind, operation.id, len(attempts) + 1, self._values(operation), _principal(operation), **odd
        )
        attempts.append(answer.outcome)
        if listed := {"compare": "finding", "audit": "audit-line", "reviews": "review"}.get(operation.kind):
            for row in answer.rows:
                self._recorder.record("service", listed, id=operation.id, **row)
        named = answer.facts.get("refund" if operation.kind == "refund" else "top_up")
        if named:
            self._named[operation.id] = str(named)
        return answer

    def _values(self, operation: Operation) -> dict[str, Any]:
        """What fills the placeholders of the target's operation."""
        about = self._operations.get(operation.about)
        values: dict[str, Any] = {"run": self._name, "operator": OPERATOR}
        account = operation if operation.kind == "open_account" else about
        if about is not None and about.kind == "top_up":
            account = self._operations[about.about]
            values["top_up"] = self._named.get(about.id, "unknown")
        if account is not None and account.id in self._accounts:
            values |= self._accounts[account.id].values()
        if operation.kind in ("top_up", "refund"):
            values |= {"amount_minor": operation.amount_minor, "key": f"{self._name}-{operation.key}"}
        if operation.kind == "switch":
            values["to"] = operation.args["to"]
        if operation.kind == "top_up":
            values |= {"currency": operation.currency, "method": operation.method}
        return values

    async def _at_the_provider(self, operation: Operation) -> None:
        provider = self._stack.provider
        try:
            match operation.kind:
                case "release":
                    await provider.release()
                case "tell_again":
                    named = [name for name in self._named.values() if name in self.top_ups()]
                    await provider.tell_again(
                        {payment for name in named for payment in await provider.payments_of(name)}
                    )
                case "advance":
                    await provider.advance(float(operation.args["seconds"]))
                case "play_out":
                    await provider.play_out()
                case "pay":
                    await provider.pay(await self._payment(operation))
                case "decline":
                    await provider.decline(await self._payment(operation))
                case "give_back":
                    await provider.give_back(await self._payment(operation), operation.amount_minor)
                case "dispute":
                    await provider.dispute(await self._payment(operation), operation.amount_minor)
                case "win":
                    await provider.win(await self._payment(operation))
                case _:
                    await provider.lose(await self._payment(operation))
        except ProviderError as error:
            self._answered(operation, Outcome.NOT_DONE, str(error))
        else:
            self._answered(operation, Outcome.DONE, "the provider's word")

    async def _at_the_secret(self, operation: Operation) -> None:
        now = datetime.fromtimestamp(self._recorder.ago(0.0), UTC)
        try:
            if operation.kind == "adopt_secret":
                await self._stack.adopt_secret(now)
            else:
                overlap_s, old_for_s = (float(operation.args[name]) for name in ("overlap_s", "old_for_s"))
                await self._stack.rotate_secret(now, overlap_s, old_for_s)
        except (ProviderError, StackError) as error:
            self._answered(operation, Outcome.NOT_DONE, str(error))
        else:
            self._answered(operation, Outcome.DONE, "the operator's word")

    async def _start_mixed(self, operation: Operation) -> None:
        """An operator starts the service with settings that do not belong together."""
        mix = str(operation.args["mix"])
        try:
            start = await self._stack.start_mixed(mix)
        except StackError as error:
            self._answered(operation, Outcome.UNKNOWN, str(error))
            return
        named = sorted(name for name in self._stack.target.start.mixed[mix] if name in start.says)
        self._recorder.record("harness", "start", mix=mix, code=start.code, named=named)
        self._answered(operation, Outcome.DONE, f"tried; exit code {start.code}")

    async def _assault(self, operation: Operation) -> None:
        """An attacker asks for a top-up in a way that no honest client has."""
        how, top_up = str(operation.args["how"]), self._stack.target.operations.top_up
        if top_up.json_body is None:
            self._recorder.record("harness", "not-offered", operation=operation.kind, id=operation.id)
            return
        account = self._accounts[operation.about].values()
        wish = {"run": self._name, "method": "redirect", "amount_minor": 1, "key": f"{self._name}-{operation.id}"}
        suffered = await assault(
            how, request(top_up, self._stack.service_url, account | wish, self._stack.target.asked_by())
        )
        self._recorder.record("client", "assault", how=how, **asdict(suffered))
        self._answered(operation, Outcome.DONE, f"tried; answered {suffered.status}")

    async def _correct(self, operation: Operation) -> None:
        """What an operator wants done about what was found of a top-up's payment: all that was captured is to be credited."""
        named = self._stack.target.operations.findings
        orders = await self._stack.provider.orders_of(self._named.get(operation.about, "unknown"))
        rows = (await self._client.ask((named,), {"run": self._name}))[0].rows if named and orders else ()
        found = next((row["finding"] for row in rows if row.get("payment") == orders[-1]["id"]), None)
        if found is None:
            self._answered(operation, Outcome.NOT_DONE, f"nothing was found of {operation.about}")
            return
        values = self._values(operation) | {"payment": orders[-1]["id"], "finding": found, "by": operation.args["by"]}
        amount_minor = operation.amount_minor or orders[-1]["captured_minor"]
        values |= {"amount_minor": amount_minor}
        await self._client.perform(operation.kind, operation.id, 1, values, principal=str(values["by"]))

    async def _forge(self, operation: Operation) -> None:
        args = {name: value for name, value in operation.args.items() if name != "forgery"}
        forgery = str(operation.args["forgery"])
        try:
            answer = await self._stack.provider.forge(forgery, await self._payment(operation), args)
        except ProviderError as error:
            self._answered(operation, Outcome.NOT_DONE, str(error))
        else:
            status = answer.get("status")
            outcome, because = of_status(status) if status else (Outcome.UNKNOWN, "no answer")
            self._answered(operation, outcome, f"{forgery}: {because}")

    async def _load(self, operation: Operation) -> None:
        """Many payers in a process of their own; what they were told becomes part of the history."""
        host, port = self._stack.links["edge"].tap.address
        events, log = await put_load(
            url=f"http://{host}:{port}",
            target=self._stack.target_file,
            keys=self._stack.principal_keys,
            run=self._name,
            seed=self._seed,
            folder=self._stack.directory,
            users=int(operation.args["users"]),
            spawn_rate=float(operation.args["spawn_rate"]),
            time_s=int(operation.args["time_s"]),
        )
        for event in events:
            self._recorder.add(event)
            self._remember(event)
        self._recorder.record("harness", "load", summary=log)
        self._answered(operation, Outcome.DONE, f"{len(events)} events of payers")

    def _remember(self, event: Event) -> None:
        """Accounts and top-ups of payers are audited like those of the plan's own clients."""
        if event.kind == "invoked" and event["operation"] == "open_account":
            name = event["account"]
            self._accounts[name] = Account(name, name, event["customer"], event["currency"])
        if event.kind == "answered" and event["operation"] == "top_up" and event.get("top_up"):
            self._payers[event["top_up"]] = self._accounts[event["account"]]

    async def _payment(self, operation: Operation) -> str:
        """The payment that an operation is about. Raises `ProviderError` when the provider has none."""
        top_up = self._named.get(operation.about)
        payments = await self._stack.provider.payments_of(top_up) if top_up else []
        if not payments:
            raise ProviderError(f"{operation.about} has no payment at the provider")
        return payments[-1]

    def _answered(self, operation: Operation, outcome: Outcome, because: str) -> None:
        self._recorder.record(
            "client",
            "answered",
            operation=operation.kind,
            id=operation.id,
            attempt=1,
            outcome=outcome.value,
            status=None,
            because=because,
        )

    async def ask_again(self) -> None:
        """What a client does that does not know what became of its request: ask again, with the same key."""
        unsure = [
            self._operations[id]
            for id, outcomes in self._attempts.items()
            if self._operations[id].kind in ("top_up", "open_account", "refund")
            and together(outcomes) is Outcome.UNKNOWN
            and id not in self._named
        ]
        for operation in unsure:
            for _ in range(ATTEMPTS):
                answer = await self._perform(operation)
                if answer.outcome is not Outcome.UNKNOWN or operation.id in self._named:
                    break
                await asyncio.sleep(AGAIN_S)


def _principal(operation: Operation) -> str:
    """Who asks."""
    return str(operation.args.get("as", "default"))
