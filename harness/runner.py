"""The one executor: it walks the arc so that no author of a plan has to.

set up → disturb → heal → settle → audit → judge. Healing comes from outside the victim. Settling polls why the stack is not
at rest, and is bounded; when the bound passes, the reason is written down. Then the books are read, and the judge judges.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from typing import Any

from harness.audit import Account, Auditor
from harness.books import BEFORE, FINAL, payment_verdicts
from harness.client import Answer, Client
from harness.faults import FAULTS, Touched
from harness.history import Event, Recorder
from harness.judge import judge
from harness.locust import put_load
from harness.outcomes import Outcome, of_status, together
from harness.plan import CONDITIONS, Begin, Do, End, Join, Meanwhile, Operation, Plan, PlanError, Step, Wait, encode
from harness.provider import ProviderError
from harness.run import Run
from harness.stack import Node, Stack, StackError
from harness.verdict import INVARIANTS

POLL_S = 0.005
SETTLE_S = 30.0
DURABLE_S = 0.5
RECONCILE_CYCLES = 2
ATTEMPTS = 8
CLIENT_TIMEOUT_S = 4.0

AGAIN_S = 0.3
"""How long a client lets a conflict rest before it asks again with the same key."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is carried out on, for its report."""

    target: str
    mutant: str | None
    versions: Mapping[str, str]
    again: str


async def carry_out(plan: Plan, stack: Stack, name: str, recorder: Recorder, setting: Setting) -> Run:
    """Carry out *plan* on a stack that is up; *name* sets its accounts and keys apart from all others on that stack.

    Raises `PlanError` when the plan asks for something that there is not. What the target or the network does is never an
    exception: it is the history.
    """
    _validate(plan)
    started = datetime.now(UTC)
    stack.wire.recorder = recorder
    host, port = stack.links["edge"].tap.address
    client = Client(stack.target, f"http://{host}:{port}", recorder, CLIENT_TIMEOUT_S)
    try:
        await _Execution(plan, stack, name, recorder, client).arc()
    finally:
        await client.close()
        stack.wire.recorder = None
        recorder.flush()
    history = recorder.history()
    verdicts = judge(history, INVARIANTS)
    return Run(
        plan=plan,
        target=setting.target,
        mutant=setting.mutant,
        proxies=stack.proxies,
        versions=setting.versions,
        started=started,
        took_s=(datetime.now(UTC) - started).total_seconds(),
        history=history,
        verdicts=verdicts,
        payments=payment_verdicts(history, verdicts),
        again=setting.again,
    )


def _validate(plan: Plan) -> None:
    """Before anything starts: every name in the plan names something."""
    try:
        for begin in plan.faults():
            signature(FAULTS[begin.fault].begin).bind(None, **begin.args)
        for name in plan.about:
            INVARIANTS[name]
    except LookupError as error:
        raise PlanError(f"plan {plan.name!r}: {error.args[0]}") from None
    except TypeError as error:
        raise PlanError(f"plan {plan.name!r}: fault {begin.fault!r} ({begin.id}): {error}") from None


class _Execution:
    """One plan on its way through the arc."""

    def __init__(self, plan: Plan, stack: Stack, name: str, recorder: Recorder, client: Client) -> None:
        self._plan, self._stack, self._name = plan, stack, name
        self._recorder, self._client = recorder, client
        self._auditor = Auditor(stack, client, recorder)
        self._accounts: dict[str, Account] = {}
        self._operations = {operation.id: operation for operation in plan.operations()}
        self._attempts: dict[str, list[Outcome]] = {}
        self._top_ups: dict[str, str] = {}
        self._paid_for: dict[str, Account] = {}
        self._faults: dict[str, tuple[AsyncExitStack, Touched]] = {}
        self._background: dict[str, asyncio.Task[None]] = {}

    async def arc(self) -> None:
        self._record_plan()
        self._phase("set-up")
        for node in self._stack.nodes.values():
            if not node.alive:  # an earlier plan could not bring it up again; `StackError` if this one cannot
                await node.start()
        try:
            await self._auditor.begin()
            try:
                await self._disturb()
            finally:
                self._phase("heal")
                await self._heal()
            await self._ask_again()
            self._phase("settle")
            await self._settle()
            await self._reconcile()
            self._phase("audit")
            await self._audit()
        except ProviderError as error:
            self._recorder.record("harness", "book-unread", book="provider", because=str(error))

    async def _disturb(self) -> None:
        self._phase("disturb")
        for step in self._plan.steps:
            await self._step(step)
        for id in list(self._background):
            await self._join(id)

    def _phase(self, name: str) -> None:
        self._recorder.record("harness", "phase", name=name)

    def _record_plan(self) -> None:
        states = self._stack.target.states
        self._recorder.record(
            "harness",
            "plan",
            run=self._name,
            plan=encode(self._plan),
            unoffered=self._stack.target.unoffered(),
            states=states.model_dump() if states else None,
        )

    # The steps

    async def _step(self, step: Step) -> None:
        match step:
            case Do(operations):
                ends = await asyncio.gather(*(self._do(operation) for operation in operations), return_exceptions=True)
                for end in ends:
                    if isinstance(end, BaseException):
                        raise end
            case Begin(id, fault, args):
                await self._begin(id, fault, args)
            case End(id):
                await self._end(id)
            case Meanwhile(id, steps):
                self._background[id] = asyncio.create_task(self._steps(steps))
            case Join(id):
                await self._join(id)
            case Wait(until, at_most_s, args):
                await self._wait(until, at_most_s, args)

    async def _steps(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            await self._step(step)

    async def _join(self, id: str) -> None:
        await self._background.pop(id)

    async def _begin(self, id: str, fault: str, args: Mapping[str, Any]) -> None:
        context = AsyncExitStack()
        try:
            touched = await context.enter_async_context(FAULTS[fault].begin(self._stack, **args))
        except (ProviderError, LookupError, ValueError) as error:
            raise PlanError(f"plan {self._plan.name!r}: fault {fault!r} ({id}) does not begin: {error}") from error
        self._faults[id] = (context, touched)
        self._recorder.record("harness", "fault-began", id=id, fault=fault, args=dict(args))

    async def _end(self, id: str) -> None:
        """Mend, and write down how much the fault touched while it lasted."""
        context, touched = self._faults.pop(id)
        begin = next(begin for begin in self._plan.faults() if begin.id == id)
        count = 0
        try:
            count = await touched()
        finally:
            await self._mend(context)
            self._recorder.record("harness", "fault-ended", id=id, fault=begin.fault, touched=count)

    async def _mend(self, context: AsyncExitStack) -> None:
        """End a fault. A node that it killed and that does not come up again is left to `_revive` to tell of."""
        with suppress(StackError):
            await context.aclose()

    async def _wait(self, until: str, at_most_s: float, args: Mapping[str, Any]) -> None:
        conditions: dict[str, Callable[[], Any]] = {
            "callbacks-attempted": self._callbacks_attempted,
            "fault-touched": lambda: self._fault_touched(str(args["fault"])),
        }
        if until == "time-passed":  # weather lasts as long as the plan says
            await asyncio.sleep(at_most_s)
            self._recorder.record("harness", "wait", until=until, outcome=f"{at_most_s:g} s")
            return
        if until not in conditions:
            raise PlanError(f"there is no condition {until!r} to wait for: there are {', '.join(CONDITIONS)}")
        met = await self._until(conditions[until], at_most_s)
        self._recorder.record("harness", "wait", until=until, outcome="met" if met else f"not met in {at_most_s:g} s")

    async def _until(self, condition: Callable[[], Any], at_most_s: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + at_most_s
        while not await condition():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(POLL_S)
        return True

    async def _callbacks_attempted(self) -> bool:
        return (await self._stack.provider.rest()).in_flight == 0

    async def _fault_touched(self, id: str) -> bool:
        return bool(await self._faults[id][1]())

    # The operations

    async def _do(self, operation: Operation) -> None:
        match operation.kind:
            case "open_account":
                await self._open(operation)
            case "pay" | "decline" | "release" | "advance":
                await self._at_the_provider(operation)
            case "forge":
                await self._forge(operation)
            case "load":
                await self._load(operation)
            case _ if self._stack.target.operations.named(operation.kind) is None:
                self._recorder.record("harness", "not-offered", operation=operation.kind, id=operation.id)
            case _:
                await self._perform(operation)

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
        answer = await self._client.perform(operation.kind, operation.id, len(attempts) + 1, self._values(operation))
        attempts.append(answer.outcome)
        if answer.facts.get("top_up"):
            self._top_ups[operation.id] = str(answer.facts["top_up"])
        return answer

    def _values(self, operation: Operation) -> dict[str, Any]:
        """What fills the placeholders of the target's operation."""
        about = self._operations.get(operation.about)
        values: dict[str, Any] = {"run": self._name}
        account = operation if operation.kind == "open_account" else about
        if about is not None and about.kind == "top_up":
            account = self._operations[about.about]
            values["top_up"] = self._top_ups.get(about.id, "unknown")
        if account is not None and account.id in self._accounts:
            values |= self._accounts[account.id].values()
        if operation.kind == "top_up":
            values |= {"amount_minor": operation.amount_minor, "currency": operation.currency}
            values |= {"method": operation.method, "key": f"{self._name}-{operation.key}"}
        return values

    async def _at_the_provider(self, operation: Operation) -> None:
        provider = self._stack.provider
        try:
            match operation.kind:
                case "release":
                    await provider.release()
                case "advance":
                    await provider.advance(float(operation.args["seconds"]))
                case "pay":
                    await provider.pay(await self._payment(operation))
                case _:
                    await provider.decline(await self._payment(operation))
        except ProviderError as error:
            self._answered(operation, Outcome.NOT_DONE, str(error))
        else:
            self._answered(operation, Outcome.DONE, "the provider's word")

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
            run=self._name,
            seed=self._plan.seed,
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
            self._paid_for[event["top_up"]] = self._accounts[event["account"]]

    async def _payment(self, operation: Operation) -> str:
        """The payment that an operation is about. Raises `ProviderError` when the provider has none."""
        top_up = self._top_ups.get(operation.about)
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

    # After the disturbance

    async def _heal(self) -> None:
        """The background first, so that it begins nothing that nobody would end. Then each part, even when another will
        not be mended: the faults, the youngest first, and the nodes.
        """
        for task in self._background.values():
            task.cancel()
        await asyncio.gather(*self._background.values(), return_exceptions=True)
        async with AsyncExitStack() as mending:
            for node in self._stack.nodes.values():
                mending.push_async_callback(self._revive, node)
            for id in self._faults:
                mending.push_async_callback(self._end, id)

    async def _revive(self, node: Node) -> None:
        """Start a node that is dead. One that does not come up again is no fault of ours: it is written down, and judged."""
        if node.alive:
            return
        try:
            await node.start()
        except StackError as error:
            self._recorder.record("harness", "node", node=node.name, did="did not come up again", because=str(error))

    async def _ask_again(self) -> None:
        """What a client does that does not know what became of its request: ask again, with the same key."""
        unsure = [
            self._operations[id]
            for id, outcomes in self._attempts.items()
            if self._operations[id].kind in ("top_up", "open_account")
            and together(outcomes) is Outcome.UNKNOWN
            and id not in self._top_ups
        ]
        for operation in unsure:
            for _ in range(ATTEMPTS):
                answer = await self._perform(operation)
                if answer.outcome is not Outcome.UNKNOWN or operation.id in self._top_ups:
                    break
                await asyncio.sleep(AGAIN_S)

    async def _settle(self) -> None:
        """Let every callback run its course, on the provider's test clock, until the provider is at rest."""
        loop = asyncio.get_running_loop()
        began, reason = loop.time(), None
        while loop.time() - began < SETTLE_S:
            down = [name for name, node in self._stack.nodes.items() if not node.alive]
            if down:
                reason = f"{' and '.join(down)} did not come up again"
                break
            rest = await self._stack.provider.rest()
            reason = rest.reason
            if reason is None:
                break
            if rest.held:
                await self._stack.provider.release()
            elif rest.in_flight == 0:
                await self._stack.provider.advance_to_next()
            await asyncio.sleep(POLL_S)
        self._recorder.record("harness", "settled", reason=reason, took_s=round(loop.time() - began, 3))

    async def _reconcile(self) -> None:
        """First what is there without asking, then what is there once the service has asked the provider."""
        if self._stack.target.operations.reconcile is None:
            return
        await self._auditor.provider()
        await self._auditor.discrepancies(self._accounts.values())
        await self._auditor.entries(BEFORE, self._accounts.values())
        await self._until(self._acknowledged_is_there, DURABLE_S)
        for cycle in range(RECONCILE_CYCLES):
            await self._client.perform("reconcile", f"reconcile {cycle + 1}", 1, {"run": self._name})
        await self._settle()

    async def _acknowledged_is_there(self) -> bool:
        """True once every acknowledged payment shows its effect; each look is a fresh snapshot."""
        if not self._auditor.uncredited():
            return True
        await self._auditor.entries(BEFORE, self._accounts.values())
        return not self._auditor.uncredited()

    async def _audit(self) -> None:
        await self._auditor.provider()
        await self._auditor.entries(FINAL, self._accounts.values())
        await self._auditor.discrepancies(self._accounts.values())
        own = {
            top_up: self._accounts[self._operations[id].about]
            for id, top_up in self._top_ups.items()
            if self._operations[id].kind == "top_up"
        }
        await self._auditor.top_ups(own | self._paid_for)
        self._auditor.logs()
        self._recorder.record("harness", "audited")
