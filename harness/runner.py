"""The one executor: it walks the arc so that no author of a plan has to.

set up → disturb → heal → settle → audit → judge. Healing comes from outside the victim. Settling polls why the stack is not
at rest, and is bounded; when the bound passes, the reason is written down. Then the books are read, and the judge judges.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from inspect import signature
from typing import Any

from harness.audit import Auditor
from harness.books import BEFORE, FINAL, payment_verdicts
from harness.client import Client
from harness.deeds import OPERATOR, Deeds
from harness.faults import FAULTS, Touched
from harness.history import Recorder
from harness.judge import judge
from harness.plan import CONDITIONS, Begin, Do, End, Join, Meanwhile, Plan, PlanError, Step, Wait, encode
from harness.provider import ProviderError
from harness.run import Run
from harness.stack import Node, Stack, StackError
from harness.verdict import INVARIANTS

POLL_S, POLL_MAX_S = 0.005, 0.1
QUIET_S = 0.03
"""So long nothing may cross any link for all to be quiet: ten times what a service takes from one statement to the next."""
LANDING_S = 0.25
"""So long the provider may take to answer whether anything is in flight: it knows the moment, and to ask often is to disturb."""
SETTLE_S = 30.0
DURABLE_S = 0.5
RECONCILE_CYCLES = 2
CLIENT_TIMEOUT_S = 4.0


@dataclass(frozen=True, slots=True)
class Setting:
    """What a run is carried out on, for its report."""

    target: str
    mutant: str | None
    versions: Mapping[str, str]
    again: str
    dialect: str = ""


async def carry_out(plan: Plan, stack: Stack, name: str, recorder: Recorder, setting: Setting) -> Run:
    """Carry out *plan* on a stack that is up; *name* sets its accounts and keys apart from all others on that stack.

    Raises `PlanError` when the plan asks for something that there is not. What the target or the network does is never an
    exception: it is the history.
    """
    validate(plan)
    started = datetime.now(UTC)
    stack.wire.recorder = recorder
    host, port = stack.links["edge"].tap.address
    client = Client(stack.target, f"http://{host}:{port}", recorder, CLIENT_TIMEOUT_S, books_url=stack.service_url)
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
        dialect=setting.dialect,
    )


def validate(plan: Plan) -> None:
    """Before anything starts: every name in the plan names something. Raises `PlanError` where one does not."""
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
        self._deeds = Deeds(plan, stack, name, recorder, client)
        self._faults: dict[str, tuple[AsyncExitStack, Touched]] = {}
        self._lasting: dict[str, int] = {}
        """What ended and is felt still, with how much it touched: its node did not come up, for another fault is in the way."""
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
            await self._deeds.ask_again()
            self._phase("settle")
            await self._settle()
            await self._reconcile()
            self._phase("audit")
            await self._audit()
        except ProviderError as error:
            self._recorder.record("harness", "book-unread", book="provider", because=str(error))
        finally:
            self._stack.named |= set(self._deeds.top_ups())

    async def _disturb(self) -> None:
        self._phase("disturb")
        for step in self._plan.steps:
            await self._step(step)
        for id in list(self._background):
            await self._join(id)

    def _phase(self, name: str) -> None:
        self._recorder.record("harness", "phase", name=name)

    def _record_plan(self) -> None:
        states, corrections = self._stack.target.states, self._stack.target.corrections
        self._recorder.record(
            "harness",
            "plan",
            run=self._name,
            plan=encode(self._plan),
            unoffered=self._stack.target.unoffered(),
            states=states.model_dump() if states else None,
            correction_limit_minor=corrections.limit_minor if corrections else None,
        )

    # The steps

    async def _step(self, step: Step) -> None:
        match step:
            case Do(operations):
                ends = await asyncio.gather(
                    *(self._deeds.do(operation) for operation in operations), return_exceptions=True
                )
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
        """Mend, and write down how much the fault touched while it lasted. It lasts until the node that it killed is up again."""
        context, touched = self._faults.pop(id)
        count, mended = 0, False
        try:
            count = await touched()
        finally:
            mended = await self._mend(context)
            if mended:
                self._write_end(id, count)
            else:
                self._lasting[id] = count
        if self._lasting and not self._faults:
            await self._bring_up()

    async def _mend(self, context: AsyncExitStack) -> bool:
        """End a fault; false when a node that it killed does not come up again."""
        try:
            await context.aclose()
        except StackError:
            return False
        return True

    async def _bring_up(self) -> None:
        """Nothing is in the way any more of what could not come up. If it still cannot, healing tells of it."""
        with suppress(StackError):
            for node in self._stack.nodes.values():
                if not node.alive:
                    await node.start()
            self._write_ends()

    def _write_ends(self) -> None:
        while self._lasting:
            self._write_end(*self._lasting.popitem())

    def _write_end(self, id: str, count: int) -> None:
        begin = next(begin for begin in self._plan.faults() if begin.id == id)
        self._recorder.record("harness", "fault-ended", id=id, fault=begin.fault, touched=count)

    async def _wait(self, until: str, at_most_s: float, args: Mapping[str, Any]) -> None:
        conditions: dict[str, Callable[[], Any]] = {
            "callbacks-attempted": self._callbacks_attempted,
            "fault-touched": lambda: self._fault_touched(str(args["fault"])),
            "background-heard": self._background_heard,
            "links-quiet": self._links_quiet,
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
        pauses = _pauses()
        while not await condition():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(next(pauses))
        return True

    async def _callbacks_attempted(self) -> bool:
        """A provider that is dead attempts nothing. One that breaks off its answer may be dying, and is not known to be dead
        until its process has ended: it is asked again, for as long as this wait lasts.
        """
        provider = self._stack.nodes.get("provider")
        if provider is not None and not provider.alive:
            return True
        try:
            return (await self._stack.provider.rest(LANDING_S)).in_flight == 0
        except ProviderError:
            return False

    async def _background_heard(self) -> bool:
        """True once it is known what the service does in its database by the clock, while nobody asks anything of it."""
        await self._stack.watch()
        return True

    async def _links_quiet(self) -> bool:
        """True once nothing has crossed any link for a moment: what a service does when it has answered is done, too."""
        before = self._crossings()
        await asyncio.sleep(QUIET_S)
        return self._crossings() == before

    def _crossings(self) -> int:
        return sum(link.crossings() for link in self._stack.links.values())

    async def _fault_touched(self, id: str) -> bool:
        return bool(await self._faults[id][1]())

    # After the disturbance

    async def _heal(self) -> None:
        """The background first, so that it begins nothing that nobody would end. Then each part, even when another will
        not be mended: the faults, the youngest first, and the nodes.
        """
        for task in self._background.values():
            task.cancel()
        await asyncio.gather(*self._background.values(), return_exceptions=True)
        async with AsyncExitStack() as mending:
            mending.callback(self._write_ends)
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

    async def _settle(self) -> None:
        """Let every callback run its course, on the provider's test clock, until the provider is at rest."""
        loop = asyncio.get_running_loop()
        began, reason = loop.time(), None
        pauses = _pauses()
        while loop.time() - began < SETTLE_S:
            down = [name for name, node in self._stack.nodes.items() if not node.alive]
            if down:
                reason = f"{' and '.join(down)} did not come up again"
                break
            rest = await self._stack.provider.rest(LANDING_S)
            reason = rest.reason
            if reason is None:
                break
            if rest.held:
                await self._stack.provider.release()
            elif rest.in_flight == 0:
                await self._stack.provider.advance_to_next()
                pauses = _pauses()
            await asyncio.sleep(next(pauses))
        self._recorder.record("harness", "settled", reason=reason, took_s=round(loop.time() - began, 3))

    async def _reconcile(self) -> None:
        """First what is there without asking, then what is there once the service has asked the provider."""
        if self._stack.target.operations.reconcile is None:
            return
        self._recorder.record("harness", "looked", snapshot=BEFORE)
        await self._auditor.provider()
        await self._auditor.accounts(BEFORE, self._deeds.accounts)
        await self._until(self._acknowledged_is_there, DURABLE_S)
        for cycle in range(RECONCILE_CYCLES):
            await self._client.perform(
                "reconcile", f"reconcile {cycle + 1}", 1, {"run": self._name, "operator": OPERATOR}
            )
        await self._settle()

    async def _acknowledged_is_there(self) -> bool:
        """True once every acknowledged payment shows its effect; each look is a fresh snapshot."""
        if not self._auditor.uncredited():
            return True
        await self._auditor.accounts(BEFORE, self._deeds.accounts)
        return not self._auditor.uncredited()

    async def _audit(self) -> None:
        await self._auditor.provider()
        await self._auditor.accounts(FINAL, self._deeds.accounts)
        await self._auditor.top_ups(self._deeds.top_ups())
        self._auditor.logs()
        self._recorder.record("harness", "audited")


def _pauses() -> Iterator[float]:
    """How long to let pass between two looks, in seconds: what is nearly there is soon seen, what takes long is not asked
    for all the time.
    """
    pause = POLL_S
    while True:
        yield pause
        pause = min(pause * 1.5, POLL_MAX_S)
