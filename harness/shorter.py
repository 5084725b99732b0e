"""Shorter plans: what may be left out of a plan or made simpler, and the search for one from which nothing more can go.

The search is delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002): large pieces
first, then smaller ones, until no single move leaves a plan that is still broken. It knows of no stack: whether a plan is
still broken is asked of whoever carries plans out.

A move never breaks a plan's grammar. What is about an operation goes with it; a fault goes with its end and with the waits
for it; steps in the background go with their join, or take its place in the open.
"""

from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Scalar, Step, Wait

ROUND_MINOR = 100
"""The amount that is simplest: one unit in most currencies, and no less than any provider takes."""
ROUND_S = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0)
"""What a wait for time to pass is shortened to."""


class Part(NamedTuple):
    """Something that can be left out: an `operation`, a `fault`, a `background` by its id, a `wait` by its place."""

    kind: str
    name: str


class Weight(NamedTuple):
    """How much there is to read and to do; every move makes it less. `numbers` adds up amounts, arguments and seconds."""

    operations: int
    steps: int
    args: int
    numbers: float


class Spent(Exception):
    """Raised by whoever is asked whether a plan is still broken: there is no more time to find out."""


class Search:
    """The search for a shorter plan that is still *broken*; at any moment `best` is the shortest so far.

    `minimal` is true once no move on `best` leaves a plan that is *allowed* and broken, as far as each was answered.
    """

    def __init__(
        self,
        plan: Plan,
        broken: Callable[[Plan], Awaitable[bool]],
        allowed: Callable[[Plan], bool] = lambda _: True,
    ) -> None:
        self.best, self.minimal = plan, False
        self._broken, self._allowed = broken, allowed
        self._seen = {plan.to_json()}

    async def run(self) -> None:
        """Until nothing more can go, or `Spent`."""
        try:
            await self._in_chunks()
            await self._one_by_one()
        except Spent:
            return
        self.minimal = True

    async def _in_chunks(self) -> None:
        size = len(parts(self.best)) // 2
        while size > 1:
            start = 0
            while chunk := parts(self.best)[start : start + size]:
                if not await self._takes(without(self.best, chunk)):
                    start += size
            size //= 2

    async def _one_by_one(self) -> None:
        """Round and round, until every move was refused since the last one that was taken."""
        at = refused = 0
        while refused < len(moves := list(candidates(self.best))):
            if await self._takes(moves[at % len(moves)]):
                refused = 0
            else:
                at, refused = at + 1, refused + 1

    async def _takes(self, plan: Plan) -> bool:
        """Make *plan* the best if it is still broken. One that was asked about before is not asked about again."""
        text = plan.to_json()
        if text in self._seen or not self._allowed(plan):
            return False
        self._seen.add(text)
        if not await self._broken(plan):
            return False
        self.best = plan
        return True


def candidates(plan: Plan) -> Iterator[Plan]:
    """Every plan that one move makes out of *plan*, those that leave most out first. Each weighs less."""
    left = [without(plan, [part]) for part in parts(plan)]
    yield from sorted(left, key=weight)
    yield from (replace(plan, steps=steps) for steps in _simpler(plan.steps))


def weight(plan: Plan) -> Weight:
    steps = list(_every(plan.steps))
    operations = plan.operations()
    all_args = [*(fault.args for fault in plan.faults()), *(operation.args for operation in operations)]
    numbers = [float(value) for args in all_args for value in args.values() if _is_number(value)]
    numbers += [step.at_most_s for step in steps if isinstance(step, Wait)]
    amounts = sum(operation.amount_minor for operation in operations)
    return Weight(len(operations), len(steps), sum(map(len, all_args)), amounts + sum(numbers))


def parts(plan: Plan) -> Sequence[Part]:
    """Everything that can be left out, in order."""
    return list(_parts(plan.steps))


def without(plan: Plan, left_out: Iterable[Part]) -> Plan:
    """*plan* without these parts, and without what makes no sense when they are gone."""
    gone = _closed(plan, set(left_out))
    return replace(plan, steps=_tidied(tuple(_kept(plan.steps, gone))))


def flaw(plan: Plan) -> str | None:
    """What is wrong with the grammar of *plan*: an id that is there twice, or something used before it is there."""
    operations: set[str] = set()
    faults, running, begun = set[str](), set[str](), set[str]()
    for step in _every(plan.steps):
        match step:
            case Do(together):
                known = operations | {each.id for each in together}
                if not together or len(known) != len(operations) + len(together):
                    return "operations that are none, or that have the id of another"
                operations = known
                strays = [each.id for each in together if each.about and each.about not in known]
                if strays:
                    return f"{strays[0]} is about an operation that comes later or never"
            case Begin(id, _, _) if id in faults:
                return f"fault {id} begins twice"
            case Begin(id, _, _):
                faults.add(id)
                running.add(id)
            case End(id) if id not in running:
                return f"fault {id} ends, and it is not there"
            case End(id):
                running.remove(id)
            case Wait("fault-touched", _, args) if args.get("fault") not in running:
                return f"a wait for fault {args.get('fault')}, which is not there"
            case Meanwhile(id, steps) if id in begun or not steps:
                return f"background {id} is empty, or there twice"
            case Meanwhile(id, _):
                begun.add(id)
            case Join(id) if id not in begun:
                return f"a join of {id}, which is not there"
    return None


# Leaving out


def _parts(steps: Sequence[Step], place: tuple[int, ...] = ()) -> Iterator[Part]:
    for number, step in enumerate(steps):
        match step:
            case Do(operations):
                yield from (Part("operation", operation.id) for operation in operations)
            case Begin(id, _, _):
                yield Part("fault", id)
            case Meanwhile(id, inner):
                yield Part("background", id)
                yield from _parts(inner, (*place, number))
            case Wait():
                yield Part("wait", str((*place, number)))


def _closed(plan: Plan, gone: set[Part]) -> Collection[Part]:
    """With all that is inside what is gone, and all that is about it."""
    for step in _every(plan.steps):
        if isinstance(step, Meanwhile) and Part("background", step.id) in gone:
            gone.update(part for part in _parts(step.steps) if part.kind != "wait")
    more = True
    while more:
        about = {
            Part("operation", each.id) for each in plan.operations() if each.about and ("operation", each.about) in gone
        }
        more = not about <= gone
        gone |= about
    return gone


def _kept(steps: Sequence[Step], gone: Collection[Part], place: tuple[int, ...] = ()) -> Iterator[Step]:
    for number, step in enumerate(steps):
        match step:
            case Do(operations):
                kept = tuple(each for each in operations if ("operation", each.id) not in gone)
                if kept:
                    yield Do(kept)
            case Meanwhile(id, inner):
                if ("background", id) not in gone:
                    yield Meanwhile(id, tuple(_kept(inner, gone, (*place, number))))
            case Begin(id, _, _) | End(id) if ("fault", id) in gone:
                pass
            case Wait("fault-touched", _, args) if ("fault", args.get("fault")) in gone:
                pass
            case Wait() if ("wait", str((*place, number))) in gone:
                pass
            case _:
                yield step


def _tidied(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Without backgrounds in which nothing is left, and without joins of what is not there."""
    there = {step.id for step in _every(steps) if isinstance(step, Meanwhile)}
    tidied = tuple(_tidy(steps, there))
    return tidied if tidied == steps else _tidied(tidied)


def _tidy(steps: Sequence[Step], there: Collection[str]) -> Iterator[Step]:
    for step in steps:
        match step:
            case Meanwhile(id, inner):
                if left := tuple(_tidy(inner, there)):
                    yield Meanwhile(id, left)
            case Join(id) if id not in there:
                pass
            case _:
                yield step


# Making simpler


def _simpler(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    for step in _every(steps):
        match step:
            case Meanwhile(_, inner):
                yield _tidied(tuple(_swapped(steps, step, inner)))
            case Begin(id, fault, args):
                for fewer in (*_fewer(args), *_smaller(args)):
                    yield tuple(_swapped(steps, step, (Begin(id, fault, fewer),)))
            case Do(operations):
                for simpler in _simpler_operations(operations):
                    yield tuple(_swapped(steps, step, (Do(simpler),)))
            case Wait("time-passed", at_most_s, args):
                for seconds in ROUND_S:
                    if seconds < at_most_s:
                        yield tuple(_swapped(steps, step, (Wait("time-passed", seconds, args),)))
    yield from _rounder(steps)


def _simpler_operations(operations: tuple[Operation, ...]) -> Iterator[tuple[Operation, ...]]:
    """Smaller arguments. None is left out: what an operation is told, it needs."""
    for place, operation in enumerate(operations):
        for args in _smaller(operation.args):
            yield (*operations[:place], replace(operation, args=args), *operations[place + 1 :])


def _rounder(steps: Sequence[Step]) -> Iterator[tuple[Step, ...]]:
    """A round amount in an account in which there is only one: of several, each must go on naming its payment."""
    top_ups = [
        each for step in _every(steps) if isinstance(step, Do) for each in step.operations if each.kind == "top_up"
    ]
    for account in dict.fromkeys(each.about for each in top_ups):
        amounts = {each.amount_minor for each in top_ups if each.about == account}
        if len(amounts) == 1 and max(amounts) > ROUND_MINOR:
            yield tuple(_rounded(steps, account))


def _rounded(steps: Sequence[Step], account: str) -> Iterator[Step]:
    for step in steps:
        match step:
            case Do(operations):
                yield Do(
                    tuple(
                        replace(each, amount_minor=ROUND_MINOR)
                        if each.kind == "top_up" and each.about == account
                        else each
                        for each in operations
                    )
                )
            case Meanwhile(id, inner):
                yield Meanwhile(id, tuple(_rounded(inner, account)))
            case _:
                yield step


def _fewer(args: Mapping[str, Scalar]) -> Iterator[Mapping[str, Scalar]]:
    for left_out in args:
        yield {name: value for name, value in args.items() if name != left_out}


def _smaller(args: Mapping[str, Scalar]) -> Iterator[Mapping[str, Scalar]]:
    for name, value in args.items():
        if type(value) is int and value > 1:
            yield from ({**args, name: less} for less in dict.fromkeys((1, value // 2)))


def _every(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step, Meanwhile):
            yield from _every(step.steps)


def _swapped(steps: Sequence[Step], old: Step, new: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        if step is old:
            yield from new
        elif isinstance(step, Meanwhile):
            yield Meanwhile(step.id, tuple(_swapped(step.steps, old, new)))
        else:
            yield step


def _is_number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
