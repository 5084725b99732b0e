"""A flow: a stretch of ordinary business that a sweep takes apart, message by message.

It is told like a scenario, and says itself which part is swept. Carried out calm, that part is watched; in every other plan
of the sweep one fault stands in the same place, on one message.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random

from harness.plan import Begin, End, Plan, Scalar
from harness.registry import Registry, name_of
from harness.scenario import MONEY, Draft

SWEPT = "swept"
"""The id of the one fault of a sweep, in every plan of it."""


@dataclass(frozen=True, slots=True)
class Blow:
    """The fault that is dealt while a flow goes on. None at all is `watch`, which the calm recording is made with."""

    fault: str = "watch"
    args: Mapping[str, Scalar] = field(default_factory=dict)


class FlowDraft(Draft):
    """A draft with one stretch in it that is swept."""

    def __init__(self, rng: Random, blow: Blow) -> None:
        super().__init__(rng)
        self._blow = blow

    @contextmanager
    def swept(self) -> Iterator[None]:
        """The stretch whose messages are broken, each in a plan of its own."""
        self._add(Begin(SWEPT, self._blow.fault, self._blow.args))
        yield
        self._add(End(SWEPT))


Tell = Callable[[FlowDraft], None]


@dataclass(frozen=True, slots=True)
class Flow:
    """A named stretch of business; `plan(seed)` is its calm recording, and with a blow one plan of its sweep."""

    name: str
    story: str
    tell: Tell

    def plan(self, seed: int, blow: Blow | None = None, name: str = "") -> Plan:
        """A calm top-up before and another after, outside the part that is swept, as in every scenario."""
        draft = FlowDraft(Random(seed), blow or Blow())
        draft.paid()
        self.tell(draft)
        draft.paid()
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
