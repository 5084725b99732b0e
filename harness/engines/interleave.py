"""Every order in which the database statements of concurrent requests can meet, as far as anybody could tell them apart.

A batch of orders is one plan: the meeting is told once for each, with fresh accounts, and all of it is settled, audited and
judged together. What happened says which orders are left (`orders.py`). Where a batch is broken, the order that broke it is
told once more in a plan of its own: that is the story, and what a replay takes.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.orders import Asked, Moment, Orders, Trace
from harness.engines.suite import Job
from harness.history import History
from harness.judge import plan_event
from harness.meeting import IN_ORDER, Meeting, Order
from harness.plan import Begin, Do, End, Plan
from harness.run import Run
from harness.verdict import Status
from harness.wire.footprint import Footprint

BATCHES = (1, 8, 32, 64)
"""How many orders each next plan tries: few at first, because most races show themselves early."""


@dataclass(slots=True)
class Search:
    """The search through the orders of one meeting."""

    meeting: Meeting
    orders: Orders
    batch: int = 0
    found: list[Order] = field(default_factory=list)
    """Orders in which a promise was broken, the first found first."""
    found_in: str = ""
    """The plan in which that was."""
    retold: bool = False
    """One of them broke it again in a plan of its own."""
    told: bool = False
    seconds: float = 0.0

    @property
    def over(self) -> bool:
        return self.told or not (self.found or self.orders.waiting)


@dataclass(slots=True)
class Interleave:
    """What to interleave, and how far it is. `again` makes the command that repeats the part with the options given."""

    meetings: Sequence[Meeting]
    seed: int
    again: Callable[[str, str], str]
    mutant: str | None = None
    bound: int | None = None
    only: Order | None = None
    """This one order, and no search."""
    searches: list[Search] = field(init=False)
    _asked: dict[str, list[Asked]] = field(default_factory=dict)
    _seen: int = 0

    def __post_init__(self) -> None:
        self.searches = [Search(meeting, Orders(self.bound)) for meeting in self.meetings]

    def first(self) -> list[Job]:
        """One order of the first meeting: what comes of it says what else there is. Or the one order asked for, of each."""
        if self.only is None:
            return list(self._next())
        for search in self.searches:
            search.told = True
        return [
            self._job(search, [Asked(self.only.lanes)], f"{search.meeting.name}: in order {self.only}")
            for search in self.searches
        ]

    def further(self, runs: Sequence[Run]) -> list[Job]:
        """Learn from the runs that are new, and make the next plan; none when all is tried."""
        for run in runs[self._seen :]:
            self._learn(run)
        self._seen = len(runs)
        return list(self._next())

    def unfinished(self) -> int:
        """Orders that were not tried, though nothing was found that would make them idle."""
        return sum(
            search.orders.waiting + search.orders.lost for search in self.searches if not (search.found or search.told)
        )

    def retold(self) -> frozenset[str]:
        """Plans whose broken promise was broken again by one order alone: that one tells the story."""
        return frozenset(search.found_in for search in self.searches if search.retold)

    def _next(self) -> Iterator[Job]:
        search = next((each for each in self.searches if not each.over), None)
        if search is None:
            return
        if search.found:
            search.told = True
            yield self._job(
                search, [Asked(search.found[0].lanes)], f"{search.meeting.name}: in order {search.found[0]}"
            )
            return
        size = BATCHES[min(search.batch, len(BATCHES) - 1)]
        search.batch += 1
        asked = search.orders.take(size)
        first = search.orders.tried + 1
        span = f"order {first}" if len(asked) == 1 else f"orders {first} to {first + len(asked) - 1}"
        yield self._job(search, asked, f"{search.meeting.name}: {span}")

    def _job(self, search: Search, asked: Sequence[Asked], name: str) -> Job:
        plan = search.meeting.plan(self.seed, [Order(each.lanes, each.asleep) for each in asked], name)
        self._asked[name] = list(asked)
        order = str(Order(asked[0].lanes)) if len(asked) == 1 else ""
        return Job(plan, self.again(search.meeting.name, order), self.mutant)

    def _learn(self, run: Run) -> None:
        search = next(each for each in self.searches if each.meeting.name == run.plan.name.partition(":")[0])
        search.seconds += run.took_s
        if search.told:
            search.retold = run.status is Status.BROKEN
            return
        happened = traces(run.history, run.plan)
        for asked, trace in zip(self._asked[run.plan.name], happened.values(), strict=True):
            search.orders.learn(asked, trace)
        if run.status is Status.BROKEN:
            search.found_in = run.plan.name
            suspects = guilty(run) or happened.keys()
            search.found = [
                Order(tuple(moment.chosen for moment in trace)) for id, trace in happened.items() if id in suspects
            ]
            search.told = len(happened) == 1


def traces(history: History, plan: Plan) -> dict[str, Trace]:
    """The turns of each meeting of a plan, under the meeting's id, in the order of the plan."""
    turns: dict[str, list[Moment]] = {begin.id: [] for begin in _meetings(plan)}
    current: list[Moment] = []
    for event in history.of("fault-began", "turn", "waits"):
        if event.kind == "waits" and current:
            current[-1] = replace(current[-1], waited=True)
        elif event.kind == "turn":
            could = {int(lane): Footprint.decode(data) for lane, data in event["could"].items()}
            current.append(Moment(could, event["lane"]))
        elif event.kind == "fault-began" and event["id"] in turns:
            current = turns[event["id"]]
    return dict(turns)


def guilty(run: Run) -> frozenset[str]:
    """The meetings whose accounts the broken promises of a run are about."""
    account_of = {payment.payment: payment.account for payment in run.payments}
    violations = [violation for verdict in run.verdicts for violation in verdict.violations]
    accounts = {account_of.get(violation.payment or "") for violation in violations}
    accounts |= {event.get("account") for violation in violations for event in violation.evidence}
    name = plan_event(run.history)["run"]
    return frozenset(meeting for account, meeting in _accounts(run.plan).items() if f"{name}-{account}" in accounts)


def _accounts(plan: Plan) -> dict[str, str]:
    """The meeting that each account of a plan was opened for: the next one."""
    meetings: dict[str, str] = {}
    opened: list[str] = []
    for step in plan.steps:
        if isinstance(step, Do):
            opened += [operation.id for operation in step.operations if operation.kind == "open_account"]
        elif isinstance(step, End) and step.id in {begin.id for begin in _meetings(plan)}:
            meetings |= dict.fromkeys(opened, step.id)
            opened = []
    return meetings


def _meetings(plan: Plan) -> list[Begin]:
    return [begin for begin in plan.faults() if begin.fault == IN_ORDER]
