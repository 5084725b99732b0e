"""A flow: a stretch of ordinary business that a sweep takes apart, message by message.

It is told like a scenario, and says itself which part is swept. Carried out calm, that part is watched; in every other plan
of the sweep one fault stands in the same place, on one message.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from random import Random

from harness.plan import Begin, End, Operation, Plan, Scalar, Wait
from harness.registry import Registry, name_of
from harness.scenario import CALM_S, MONEY, Draft

TOLD = ("top_up", "reconcile")
PATIENCE_S = 1.0
"""How long the client of one of these waits for its answer in the swept part: hundreds of plans wait for one that does not come."""
LINGER_S = 1.0
"""How long the swept part lasts, at most, when all in it was asked and answered: for services that never rest."""
SWEPT, SECOND = "swept", "second"
"""The ids of the fault of a sweep, in every plan of it, and of the other one where there are two."""
RETRY_S = 60.0
"""Enough for a provider's first redelivery to be due, in seconds of its test clock."""


@dataclass(frozen=True, slots=True)
class Blow:
    """The fault that is dealt while a flow goes on. None at all is `watch`, which the calm recording is made with."""

    fault: str = "watch"
    args: Mapping[str, Scalar] = field(default_factory=dict)


class FlowDraft(Draft):
    """A draft with one stretch in it that is swept. With a second blow it goes on for a while after the first is mended."""

    def __init__(self, rng: Random, blow: Blow, second: Blow | None = None) -> None:
        super().__init__(rng)
        self._blow, self._second = blow, second
        self._asked: list[Operation] = []
        self._sweeping = False

    def _do(self, operation: Operation) -> None:
        if operation.kind in TOLD and self._sweeping:
            operation = replace(operation, args={**operation.args, "patience_s": PATIENCE_S})
        if operation.kind == "top_up":
            self._asked.append(operation)
        super()._do(operation)

    @contextmanager
    def swept(self) -> Iterator[None]:
        """The stretch whose messages are broken, each in a plan of its own."""
        self._asked.clear()
        self._sweeping = True
        self._add(Begin(SWEPT, self._blow.fault, self._blow.args))
        if self._second is not None:
            self._add(Begin(SECOND, self._second.fault, self._second.args))
        yield
        self._add(Wait("links-quiet", LINGER_S))  # also what a service does only after it has acknowledged is swept
        self._add(End(SWEPT))
        if self._second is not None:
            self._aftermath()
            self._add(End(SECOND))
        self._sweeping = False

    def _aftermath(self) -> None:
        """What comes after a failure, so that another can hit it: clients ask again, with the same key; the provider tries
        again; and the service asks the provider.
        """
        for operation in list(self._asked):
            self._do(replace(operation, id=self._next("t")))
        self._do(Operation(id=self._next("c"), kind="advance", args={"seconds": RETRY_S}))
        self.quiet()
        self.reconcile()
        self.quiet()


Tell = Callable[[FlowDraft], None]


@dataclass(frozen=True, slots=True)
class Flow:
    """A named stretch of business; `plan(seed)` is its calm recording, with a blow one plan of its sweep, with two a pair."""

    name: str
    story: str
    tell: Tell

    def plan(self, seed: int, blow: Blow | None = None, name: str = "", second: Blow | None = None) -> Plan:
        """After the part that is swept comes a calm top-up of another account, as in every scenario: a service that no longer
        takes any is not one that holds. None comes before, for there are hundreds of such plans, one after another.
        """
        draft = FlowDraft(Random(seed), blow or Blow(), second)
        bystander = draft.account()
        self.tell(draft)
        draft.paid(account=bystander, patience_s=CALM_S)
        plan = Plan(name or self.name, self.story, seed, draft.steps(), MONEY)
        if [begin.id for begin in plan.faults()].count(SWEPT) != 1:
            raise ValueError(f"flow {self.name!r} says `with draft.swept():` not exactly once")
        return plan


FLOWS: Registry[Flow] = Registry("flow")


def flow(tell: Tell) -> Tell:
    """Register a flow under its file's name; its docstring is the story."""
    story = " ".join((tell.__doc__ or "").split())
    if not story:
        raise TypeError(f"{tell.__name__} needs a docstring: the business that is swept")
    name = name_of(tell.__module__)
    FLOWS.add(name, Flow(name, story, tell))
    return tell
