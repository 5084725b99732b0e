"""The search through orders, against models that are small enough to try everything."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise, permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.engines.orders import Asked, Lane, Moment, Orders, Trace
from harness.wire.footprint import Footprint, still_asleep

Statement = tuple[str, str]
"""`read x`, `write x`, or `commit`."""
Programs = Mapping[Lane, Sequence[Statement]]


@dataclass
class Database:
    """READ COMMITTED in small: a write locks its row until the commit; a read sees what was committed."""

    programs: Programs
    at: dict[Lane, int] = field(default_factory=dict)
    committed: dict[str, str] = field(default_factory=dict)
    written: dict[Lane, dict[str, str]] = field(default_factory=dict)
    waits: dict[Lane, str] = field(default_factory=dict)
    seen: dict[Lane, list[str]] = field(default_factory=dict)
    failed: set[Lane] = field(default_factory=set)

    def __post_init__(self) -> None:
        for lane in self.programs:
            self.at[lane], self.written[lane], self.seen[lane] = 0, {}, []

    def could(self) -> dict[Lane, Footprint]:
        return {
            lane: self._footprint(lane)
            for lane, program in self.programs.items()
            if self.at[lane] < len(program) and lane not in self.waits and lane not in self.failed
        }

    def _footprint(self, lane: Lane) -> Footprint:
        verb, row = self.programs[lane][self.at[lane]]
        if verb == "read":
            return Footprint(reads=frozenset({row}))
        if verb == "write":
            return Footprint(reads=frozenset({row}), locks=frozenset({row}))
        return Footprint(publishes=frozenset(self.written[lane]))

    def go(self, lane: Lane) -> None:
        verb, row = self.programs[lane][self.at[lane]]
        if verb == "write" and self._holder(row) not in (None, lane):
            self.waits[lane] = row
            self._break_deadlock(lane)
            return
        self._do(lane, verb, row)

    def _do(self, lane: Lane, verb: str, row: str) -> None:
        self.at[lane] += 1
        value = self.written[lane].get(row, self.committed.get(row, "nothing"))
        if verb == "read":
            self.seen[lane].append(value)
        elif verb == "write":  # it adds to what is there: lost updates are those of the reader, not of the database
            self.written[lane][row] = f"{value}+{lane}.{self.at[lane]}"
        else:
            self.committed |= self.written[lane]
            self._release(lane)

    def _release(self, lane: Lane) -> None:
        rows, self.written[lane] = self.written[lane].keys(), {}
        for row in rows:
            waiter = next((each for each, wanted in self.waits.items() if wanted == row), None)
            if waiter is not None:
                del self.waits[waiter]
                self._do(waiter, "write", row)

    def _holder(self, row: str) -> Lane | None:
        return next((lane for lane, rows in self.written.items() if row in rows), None)

    def _break_deadlock(self, lane: Lane) -> None:
        chain, at = {lane}, lane
        while at in self.waits and (holder := self._holder(self.waits[at])) is not None:
            if holder in chain:
                del self.waits[lane]
                self.failed.add(lane)
                self._release(lane)
                return
            chain.add(holder)
            at = holder


def carry_out(programs: Programs, asked: Asked) -> tuple[Trace, Database]:
    """One order, as the turns of the wire do it."""
    database, trace, asleep, last = Database(programs), list[Moment](), frozenset[Lane](), 0
    while could := database.could():
        at = len(trace)
        if at == len(asked.lanes) and not (trace and trace[-1].waited):
            asleep = asked.asleep
        awake = [lane for lane in could if lane not in asleep] or list(could)
        wanted = asked.lanes[at] if at < len(asked.lanes) else last
        chosen = wanted if wanted in (could if at < len(asked.lanes) else awake) else min(awake)
        database.go(chosen)
        waited = chosen in database.waits or chosen in database.failed
        trace.append(Moment(could, chosen, waited))
        if at >= len(asked.lanes):
            asleep = still_asleep(asleep, could, chosen)
        if waited:
            asleep = frozenset()
        last = chosen
    return trace, database


def outcome(database: Database) -> object:
    """What anybody could tell: what each lane read, what is left in the end, and who was refused."""
    return (
        tuple(sorted(database.committed.items())),
        tuple((lane, tuple(seen)) for lane, seen in sorted(database.seen.items())),
        frozenset(database.failed),
    )


def search(programs: Programs, at_once: int, bound: int | None = None) -> tuple[Orders, set[object]]:
    orders, found = Orders(bound), set[object]()
    while orders.waiting:
        for asked in orders.take(at_once):
            trace, database = carry_out(programs, asked)
            orders.learn(asked, trace)
            found.add(outcome(database))
    return orders, found


def everything(programs: Programs) -> set[object]:
    """Every outcome of every order at all."""
    found = set()
    todo: list[tuple[Lane, ...]] = [()]
    while todo:
        prefix = todo.pop()
        database = Database(programs)
        for lane in prefix:
            database.go(lane)
        could = database.could()
        todo += [(*prefix, lane) for lane in could]
        if not could:
            found.add(outcome(database))
    return found


rows = st.sampled_from(["x", "y"])
bodies = st.lists(st.tuples(st.sampled_from(["read", "write"]), rows), min_size=1, max_size=3)
programs = st.lists(bodies, min_size=2, max_size=3).map(
    lambda lanes: {number: [*body[: 5 - len(lanes)], ("commit", "")] for number, body in enumerate(lanes, 1)}
)


@given(programs, st.sampled_from([1, 3, 64]))
@settings(max_examples=150, deadline=None)
def test_every_outcome_that_any_order_has_is_found(programs: Programs, at_once: int) -> None:
    orders, found = search(programs, at_once)

    assert found == everything(programs)
    assert orders.exhausted


@given(programs)
@settings(max_examples=60, deadline=None)
def test_fewer_orders_are_tried_than_there_are(programs: Programs) -> None:
    orders, _ = search(programs, 8)
    length = [len(body) for body in programs.values()]
    all_orders = len(set(permutations([lane for lane, n in zip(programs, length, strict=True) for _ in range(n)])))

    assert orders.tried <= all_orders


def test_statements_that_do_not_meet_are_tried_in_one_order() -> None:
    apart = {1: [("write", "x"), ("commit", "")], 2: [("write", "y"), ("commit", "")]}

    orders, _ = search(apart, 8)

    assert orders.tried == 1
    assert orders.pruned > 0


def test_a_bound_on_preemptions_is_kept_and_admitted() -> None:
    race = {1: [("read", "x"), ("write", "x"), ("commit", "")], 2: [("read", "x"), ("write", "x"), ("commit", "")]}

    orders, found = search(race, 8, bound=0)

    assert not orders.exhausted
    assert orders.beyond > 0
    assert found < everything(race)


def test_an_order_that_is_not_followed_is_asked_for_again_and_at_last_given_up() -> None:
    orders = Orders()
    (first,) = orders.take(1)
    trace, _ = carry_out({1: [("read", "x"), ("commit", "")], 2: [("write", "x"), ("commit", "")]}, first)
    orders.learn(first, trace)
    (asked,) = orders.take(8)

    for _ in range(3):
        orders.learn(asked, ())
        orders.take(8)

    assert orders.lost == 1
    assert not orders.exhausted


def test_the_orders_with_the_fewest_preemptions_come_first() -> None:
    race = {lane: [("read", "x"), ("write", "x"), ("commit", "")] for lane in (1, 2)}
    within: list[tuple[int, set[object]]] = []
    for bound in (0, 1, 2, None):
        orders, found = search(race, 1, bound)
        within.append((orders.tried, found))

    assert [tried for tried, _ in within] == sorted(tried for tried, _ in within)
    assert all(less <= more for (_, less), (_, more) in pairwise(within))
    assert within[-1][1] == everything(race)
