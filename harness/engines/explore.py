"""What did nobody think of? Hypothesis tells stories that nobody wrote; each is a plan, carried out on a warm stack.

`TopUpMachine` is a Hypothesis state machine whose rules append steps to a plan; nothing is carried out before the story is
told, so that a plan is what is recorded, replayed and made shorter. Swarm testing: each example switches whole kinds of
fault off, and gives those that are left wild weights. Hypothesis chooses rules and what they are about; one number drawn
at the beginning seeds all other choices, because a draw costs more than it tells.

Hypothesis does not shrink here. Its shrinker believes one answer for each example and calls a story that is broken only
sometimes flaky; `harness/engines/shrink.py` tries each plan as often as it takes to be believed. So the first broken plan
ends the exploration, stands in a report at once, and is then replayed and made shorter there.
"""

import asyncio
import concurrent.futures
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, ClassVar
from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.database import DirectoryBasedExampleDatabase
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import integers

from harness.cache import cache_dir
from harness.engines.suite import Job, Order, Progress, Watcher, carry_out_one
from harness.plan import Begin, End, Operation, Plan, Scalar
from harness.run import Run
from harness.scenario import MONEY, Draft
from harness.stacks.processes import processes
from harness.verdict import Status

PATIENCE_S = 1.0
"""How long a client waits for an answer while something is broken."""
OPEN_MAX = 3
"""So many faults at once, at most: with more, nothing gets far enough to go wrong."""
STEPS = 25
SIMPLEST = 0
"""The number that Hypothesis begins with, and nobody draws by chance: its story is next to empty."""
TOP_UPS_MAX = 6
"""Of one account: each amount that names itself in the balance is larger than all before it together."""
EXAMPLES_MAX = 1_000_000
STORY = "A story that nobody wrote."
KINDS = ("weather", "surgery", "kills", "pauses", "database", "moods", "forgeries", "clock")
WEIGHTS = (0, 0, 2, 5, 10)
"""Of ten: how often a rule of a kind may be taken. Nought is off for the whole example."""

HTTP_LINKS = ("edge", "api", "hook")
WEATHER: Sequence[tuple[str, Mapping[str, Scalar]]] = (
    ("latency", {"link": "edge", "ms": 200}),
    ("latency", {"link": "api", "ms": 600}),
    ("latency", {"link": "hook", "ms": 200}),
    ("latency", {"link": "db", "ms": 15}),
    *(("stall", {"link": link, "stream": stream}) for link in HTTP_LINKS for stream in ("upstream", "downstream")),
    *(("lose-answers", {"link": link}) for link in HTTP_LINKS),
    *(("lose-requests", {"link": link}) for link in HTTP_LINKS),
    *(("refuse", {"link": link}) for link in HTTP_LINKS),
)
MESSAGES = (("db", "COMMIT"), ("db", "INSERT"), ("hook", "POST"), ("api", "POST"), ("edge", "POST"))
MOODS: tuple[Mapping[str, Scalar], ...] = (
    {"mood": "drop"},
    {"mood": "delay"},
    {"mood": "duplicate", "copies": 3},
    {"mood": "duplicate-at-once", "copies": 3},
    {"mood": "reorder", "count": 2},
    {"mood": "replay", "times": 2},
    {"mood": "replay-fresh-id", "times": 1},
    {"mood": "contradict"},
    {"mood": "answer-late"},
    {"mood": "acknowledge-late", "first": 2},
    {"mood": "error-after-capture", "n": 1},
    {"mood": "fail-then-succeed"},
    {"mood": "truncate", "percent": 70},
    {"mood": "two-event-types"},
)
FORGERIES = ("unsigned", "wrong-key", "empty-key", "tampered-body", "malformed-signature", "stale-timestamp")
JUMPS_S = (1.0, 60.0, 3600.0)


class Enough(BaseException):
    """Ends an exploration from inside an example. No `Exception`, which Hypothesis would take for a finding."""


class Tale(Draft):
    """A draft whose faults begin and end wherever the story likes, and whose clients lose patience while one lasts."""

    def __init__(self, rng: Random) -> None:
        super().__init__(rng)
        self.open: dict[str, Begin] = {}
        self._met: set[str] = set()
        """Open faults during which something was done that crosses links."""

    def begin(self, fault: str, **args: Scalar) -> None:
        begin = Begin(self._next("x"), fault, args)
        self.open[begin.id] = begin
        self._add(begin)

    def end(self, id: str) -> None:
        """A fault that nothing met yet is given something to meet."""
        if id not in self._met:
            self.top_up(self.account())
        del self.open[id]
        self._met.discard(id)
        self._add(End(id))

    def advance(self, seconds: float) -> None:
        """The provider's test clock jumps."""
        self._do(Operation(id=self._next("c"), kind="advance", args={"seconds": seconds}))

    def breaks(self, begin: str, args: Mapping[str, Scalar]) -> bool:
        """Whether another fault that is open has its hand on the same link, node or mood already."""
        places = {args[name] for name in ("link", "node", "mood") if name in args}
        return any(places & set(other.args.values()) for other in self.open.values()) or begin in {
            other.fault for other in self.open.values() if other.fault in ("kill", "pause")
        }

    def _do(self, operation: Operation) -> None:
        if self.open:
            if operation.kind in ("open_account", "top_up", "refund", "status", "reconcile"):
                operation = replace(operation, args={**operation.args, "patience_s": PATIENCE_S})
            if operation.kind in ("top_up", "pay"):
                self._met |= set(self.open)
        super()._do(operation)


class TopUpMachine(RuleBasedStateMachine):
    """Tells a story of a top-up service, one rule a step. When it is told, `carry_out` is given the plan.

    Subclass it to add rules of your own; `self.tale` is the draft that they add steps to.
    """

    carry_out: ClassVar[Callable[[Plan], None]]

    accounts: Bundle[str] = Bundle("accounts")
    payments: Bundle[str] = Bundle("payments")
    deliveries: Bundle[str] = Bundle("deliveries")

    @initialize(target=accounts, number=integers(0, 2**64 - 1))
    def begins(self, number: int) -> str:
        """Calm first: a service that refuses everything is not safe. The swarm is drawn here."""
        self.number, self.rng = number, Random(number)
        self.tale = Tale(Random(number))
        self.weights = {kind: self.rng.choice(WEIGHTS) for kind in KINDS}
        self.parts: set[str] = set()
        self._asked: Counter[str] = Counter()
        self._turn()
        account = self.tale.account()
        self.tale.paid(account=account)
        self.unpaid = self.tale.top_up(self.tale.account(), method="redirect")
        return account

    def teardown(self) -> None:
        if hasattr(self, "tale") and self.number != SIMPLEST:
            type(self).carry_out(self.plan())

    def plan(self) -> Plan:
        """Heal, and a calm top-up that closes the story."""
        self._mend_all()
        self.tale.paid()
        plan = Plan("explored", STORY, self.number, self.tale.steps(), MONEY)
        return replace(plan, name=f"explored-{crc32(plan.to_json().encode()):08x}")

    # What clients and customers do

    @rule(target=accounts)
    def open_account(self) -> str:
        self._turn()
        return self.tale.account()

    @rule(target=deliveries, account=accounts)
    def pay_by_card(self, account: str) -> str:
        self._turn()
        return self.tale.top_up(self._with_room(account))

    @rule(target=payments, account=accounts)
    def ask_for_a_page(self, account: str) -> str:
        self._turn()
        top_up = self.tale.top_up(self._with_room(account), method="redirect", parts=1)
        self.parts.add(top_up)
        return top_up

    @rule(target=deliveries, top_up=payments)
    def pay(self, top_up: str) -> str:
        self._turn()
        self.tale.pay(top_up)
        return top_up

    @rule(top_up=payments)
    def decline(self, top_up: str) -> None:
        self._turn()
        self.tale.decline(top_up)

    @rule(top_up=deliveries)
    def refund(self, top_up: str) -> None:
        self._turn()
        if top_up in self.parts:
            self.parts.discard(top_up)
            self.tale.quiet()
            self.tale.refund(top_up)

    @rule(top_up=deliveries)
    def look(self, top_up: str) -> None:
        self._turn()
        self.tale.status(top_up)

    @rule()
    def reconcile(self) -> None:
        self._turn()
        self.tale.reconcile()

    @rule(account=accounts)
    def volley_of_one_key(self, account: str) -> None:
        """The same request several times at the same instant."""
        self._turn()
        account = self._with_room(account)
        amount = self.tale.amount(account)
        key = f"{account}-{amount}"
        with self.tale.together():
            for _ in range(self.rng.randint(2, 3)):
                self.tale.top_up(account, key=key, amount_minor=amount)

    @rule(account=accounts, top_up=payments)
    def volley(self, account: str, top_up: str) -> None:
        """A customer pays while others top up, look and reconcile, all at the same instant."""
        self._turn()
        account = self._with_room(account)
        with self.tale.together():
            self.tale.pay(top_up)
            self.tale.top_up(account)
            self.tale.status(top_up)
            self.tale.reconcile()

    @rule()
    def deliver(self) -> None:
        """What the provider holds back is let go, and all that is due is attempted."""
        self._turn()
        self.tale.release()
        self.tale.quiet(3.0)

    # What goes wrong

    @precondition(lambda self: self._may("weather"))
    @rule()
    def weather(self) -> None:
        self._begin(*self.rng.choice(WEATHER))

    @precondition(lambda self: self._may("surgery"))
    @rule()
    def surgery(self) -> None:
        """One message that is to come is singled out."""
        link, label = self.rng.choice(MESSAGES)
        args: dict[str, Scalar] = {"link": link, "label": label, "nth": self.rng.choice((1, 1, 1, 2))}
        args["point"] = self.rng.choice(("before", "after"))
        if self.rng.random() < 0.5:
            self._begin("cut-at", args)
        else:
            self._begin("kill-at", args | {"node": "service"})

    @precondition(lambda self: self._may("kills"))
    @rule()
    def kill(self) -> None:
        self._begin("kill", {"node": "service"})

    @precondition(lambda self: self._may("pauses"))
    @rule()
    def pause(self) -> None:
        self._begin("pause", {"node": "service"})

    @precondition(lambda self: self._may("database"))
    @rule()
    def trouble_the_database(self) -> None:
        """PostgreSQL dies and comes back, or its connections are cut."""
        if self.rng.random() < 0.5:
            self._begin("kill", {"node": "postgres"})
        else:
            self._begin("refuse", {"link": "db"})

    @precondition(lambda self: self._may("moods"))
    @rule()
    def moody(self) -> None:
        self._begin("mood", self.rng.choice(MOODS))

    @precondition(lambda self: self._may("forgeries"))
    @rule(top_up=payments)
    def forge(self, top_up: str) -> None:
        """Somebody who is not the provider reports a payment that the customer may make yet."""
        self._forge(top_up)

    @precondition(lambda self: self._may("forgeries"))
    @rule()
    def forge_what_is_never_paid(self) -> None:
        """A credit for it is a phantom, whatever else the story has in it."""
        self._forge(self.unpaid)

    def _forge(self, top_up: str) -> None:
        forgeries = self.rng.sample(FORGERIES, 4)
        self._turn()
        for forgery in forgeries:
            self.tale.forge(forgery, top_up)

    @precondition(lambda self: self._may("clock"))
    @rule()
    def jump(self) -> None:
        seconds = self.rng.choice(JUMPS_S)
        self._turn()
        self.tale.advance(seconds)

    @precondition(lambda self: bool(self.tale.open))
    @rule()
    def mend(self) -> None:
        """The fault that lasts longest ends."""
        self._turn()
        self.tale.end(next(iter(self.tale.open)))

    @precondition(lambda self: bool(self.tale.open))
    @rule()
    def heal(self) -> None:
        self._turn()
        self._mend_all()

    def _begin(self, fault: str, args: Mapping[str, Scalar]) -> None:
        self._turn()
        if not self.tale.breaks(fault, args):
            self.tale.begin(fault, **args)

    def _with_room(self, account: str) -> str:
        """This account, or a fresh one where it has had its share."""
        self._asked[account] += 1
        return account if self._asked[account] <= TOP_UPS_MAX else self.tale.account()

    def _mend_all(self) -> None:
        for id in reversed(list(self.tale.open)):
            self.tale.end(id)

    def _may(self, kind: str) -> bool:
        """Whether the swarm lets this kind have its turn."""
        return kind in self._turns and (len(self.tale.open) < OPEN_MAX or kind in ("forgeries", "clock"))

    def _turn(self) -> None:
        """Draw which kinds of fault may have the next turn. Preconditions only look, since they are asked several times."""
        self._turns = {kind for kind in KINDS if self.rng.randrange(10) < self.weights[kind]}


def settings_for(examples: int, *, steps: int = STEPS, kept: bool = True, shrink: bool = False) -> settings:
    """What fits a service behind HTTP and a database: an example takes as long as it takes, and one that failed is kept
    in the cache (unless not *kept*), to be tried first the next time. Explaining costs more runs than shrinking does.
    """
    phases = [Phase.explicit, Phase.generate, *([Phase.reuse] if kept else []), *([Phase.shrink] if shrink else [])]
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        database=DirectoryBasedExampleDatabase(cache_dir() / "examples") if kept else None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )


@dataclass(slots=True)
class Told:
    """What an exploration comes to, in numbers. `bit` counts faults that touched something, by kind."""

    examples: int
    steps: int
    bit: Counter[str]
    missed: int
    unproved: int

    @classmethod
    def of(cls, runs: Sequence[Run]) -> "Told":
        bit: Counter[str] = Counter()
        missed = 0
        for run in runs:
            kinds = {begin.id: _kind(begin) for begin in run.plan.faults()}
            for event in run.history.of("fault-ended"):
                missed += not event["touched"]
                bit[kinds[event["id"]]] += bool(event["touched"])
        return cls(
            examples=len(runs),
            steps=sum(len(run.plan.steps) for run in runs),
            bit=+bit,
            missed=missed,
            unproved=sum(run.unproved for run in runs),
        )

    def lines(self) -> Sequence[str]:
        lines = [
            f"{self.examples} examples · {self.steps} steps · {self.bit.total()} faults that bit, {self.missed} not"
        ]
        if self.bit:
            lines.append("bit: " + ", ".join(f"{name} {count}" for name, count in self.bit.most_common()))
        if self.unproved:
            examples = "1 example" if self.unproved == 1 else f"{self.unproved} examples"
            lines.append(f"{examples} unknown because a fault touched nothing or some operation was never done")
        return lines


def _kind(begin: Begin) -> str:
    where = next((str(begin.args[name]) for name in ("mood", "node", "link") if name in begin.args), "")
    return f"{begin.fault} {where}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explore:
    """How long to explore: *time_s* None is no bound but *examples*. `again` is the command for one broken run."""

    order: Order
    mutant: str | None
    examples: int | None
    time_s: float | None
    found: Callable[[], None]
    machine: type[TopUpMachine] = TopUpMachine


async def explore(asked: Explore, progress: Progress, watcher: Watcher) -> None:
    """Tell stories and carry them out until one is broken or the budget is spent; *progress* has what was done.

    Hypothesis is not asynchronous: it has a thread of its own, which waits for each plan to be carried out here.
    """
    opening = time.monotonic()
    order = asked.order
    with (progress.folder / "history.jsonl").open("w", encoding="utf-8") as sink:
        async with processes(order.target, progress.folder / "logs", Random(order.seed), mutant=asked.mutant) as stack:
            progress.spend("stack up", opening)
            progress.remarks = stack.remarks

            async def one(plan: Plan) -> Run:
                job = Job(plan, order.again, asked.mutant)
                return await carry_out_one(job, stack, len(progress.runs) + 1, sink)

            teller = _Teller(asked, progress, watcher, asyncio.get_running_loop(), one)
            telling = asyncio.ensure_future(asyncio.to_thread(teller.tell))
            try:
                with progress.timed("runs"):
                    await asyncio.shield(telling)
            finally:
                teller.stop()
                await asyncio.wait([telling], timeout=30)
            opening = time.monotonic()
        progress.spend("stack down", opening)
    if teller.error is not None:
        raise teller.error


def tell_stories(machine: type[TopUpMachine], rng: Random, count: int) -> None:
    """Tell so many stories, each drawn afresh.

    Left to itself, Hypothesis makes five variations of each story that it draws, and they keep its swarm: too little of what
    there is would be seen. So it is asked for two at a time: the first is always the simplest that there is, which the
    machine does not carry out.
    """
    for _ in range(count):
        run_state_machine_as_test(seed(rng.getrandbits(64))(machine), settings=settings_for(2, kept=False))


class _Teller:
    """The thread in which Hypothesis tells stories, and its way to the loop in which they are carried out."""

    def __init__(
        self,
        asked: Explore,
        progress: Progress,
        watcher: Watcher,
        loop: asyncio.AbstractEventLoop,
        one: Callable[[Plan], Any],
    ) -> None:
        self._asked, self._progress, self._watcher, self._loop, self._one = asked, progress, watcher, loop, one
        self._stopped = threading.Event()
        self._under_way: concurrent.futures.Future[Run] | None = None
        self.error: Exception | None = None
        self._began = time.monotonic()

    def tell(self) -> None:
        machine = type("Exploration", (self._asked.machine,), {"carry_out": staticmethod(self._carry_out)})
        try:
            tell_stories(machine, Random(self._asked.order.seed), self._asked.examples or EXAMPLES_MAX)
        except Enough:
            return

    def stop(self) -> None:
        self._stopped.set()
        if self._under_way is not None:
            self._under_way.cancel()

    def _carry_out(self, plan: Plan) -> None:
        if self._stopped.is_set() or self._spent():
            raise Enough
        self._watcher.begins(plan.name)
        self._under_way = asyncio.run_coroutine_threadsafe(self._one(plan), self._loop)
        try:
            run = self._under_way.result()
        except concurrent.futures.CancelledError:
            raise Enough from None
        except Exception as error:
            self.error = error  # the stack's or the plan's, and no finding about the service
            raise Enough from error
        self._progress.runs.append(run)
        self._watcher.finished(run)
        if run.status is Status.BROKEN:
            self._asked.found()
            raise Enough

    def _spent(self) -> bool:
        time_s, examples = self._asked.time_s, self._asked.examples
        late = time_s is not None and time.monotonic() - self._began > time_s
        return late or (examples is not None and len(self._progress.runs) >= examples)


def as_test(plan: Plan, target: Path, mutant: str | None, name: str) -> str:
    """A plan as a pytest test of its own: it must not be broken in any of several runs."""
    return f'''"""Found by exploring: {plan.story}"""

from pathlib import Path

from harness.cli import load_everything, work
from harness.engines.explore import Nobody
from harness.engines.suite import Job, Order
from harness.plan import Plan
from harness.verdict import Status

TIMES = 5
TARGET = Path({str(target)!r})
MUTANT = {mutant!r}
PLAN = Plan.from_json(
    {plan.to_json()!r}
)


def test_{name}(tmp_path: Path) -> None:
    """It repeats as often as the network lets it, so it is carried out several times."""
    load_everything()
    jobs = [Job(PLAN, "", MUTANT)] * TIMES
    order = Order(name="explored", jobs=jobs, target=TARGET, seed=PLAN.seed, again="", out=tmp_path)
    _, progress = work(order, Nobody())

    assert [sorted(run.broken) for run in progress.runs] == [[]] * TIMES
    assert all(run.status is Status.HOLDS for run in progress.runs)
'''


def as_scenario(plan: Plan, name: str) -> str:
    """A plan as a file for `scenarios/`, its handles renamed so that they are not those of the calm around it."""
    return f'''"""Found by exploring."""

from harness.plan import Plan
from harness.scenario import Draft, scenario

PLAN = Plan.from_json(
    {plan.to_json()!r}
)


@scenario()
def {name}(draft: Draft) -> None:
    """{plan.story}"""
    draft.retell(PLAN)
'''


class Nobody:
    """A watcher that says nothing."""

    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...
