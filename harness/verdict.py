"""Judging a history against one invariant: holds, unknown, broken."""

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import IntEnum

from harness.history import Event, History
from harness.registry import Registry, name_of


class Status(IntEnum):
    """Ordered so that `max()` of many statuses is the status of the whole: unknown outranks holds."""

    HOLDS = 0
    UNKNOWN = 1
    BROKEN = 2

    @property
    def word(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Violation:
    """One way in which a promise was broken, and the events that show it, in order.

    `payment` names the payment it is about where there is one; `verdict` is that payment's verdict in one word
    (doubled, lost, late, phantom, wrong amount, wrong account, charged again, regressed, reversed twice, not reversed,
    wrongly reversed).
    """

    says: str
    evidence: tuple[Event, ...]
    payment: str | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one invariant says of one history. `weighs` is false where it had nothing to judge and was not asked to."""

    invariant: str
    promise: str
    status: Status
    violations: tuple[Violation, ...] = ()
    because: str = ""
    weighs: bool = True


@dataclass(frozen=True, slots=True)
class Invariant:
    """A promise, and the generator of its violations. `needs` names the kinds of event without which it judges nothing."""

    name: str
    promise: str
    needs: tuple[str, ...]
    find: Callable[[History], Iterable[Violation]]

    def judge(self, history: History, *, claimed: bool = True) -> Verdict:
        """Holds, broken, or unknown with the reason.

        *claimed* is true where the plan is about this invariant: then nothing to judge makes the run unknown. An
        invariant that raises always does: its answer is not to be had.
        """
        missing = [kind for kind in self.needs if not history.of(kind)]
        if missing:
            because = f"nothing to judge: no {missing[0]} in the history"
            return Verdict(self.name, self.promise, Status.UNKNOWN, because=because, weighs=claimed)
        try:
            violations = tuple(self.find(history))
        except NothingToJudge as nothing:
            return Verdict(
                self.name, self.promise, Status.UNKNOWN, because=f"nothing to judge: {nothing}", weighs=claimed
            )
        except Exception:
            return Verdict(
                self.name, self.promise, Status.UNKNOWN, because=f"the invariant raised:\n{traceback.format_exc()}"
            )
        return Verdict(self.name, self.promise, Status.BROKEN if violations else Status.HOLDS, violations)


class NothingToJudge(Exception):
    """Raised by an invariant that finds, on a closer look, that the history says nothing about its promise."""


INVARIANTS: Registry[Invariant] = Registry("invariant")

Find = Callable[[History], Iterable[Violation]]


def invariant(*, needs: tuple[str, ...]) -> Callable[[Find], Find]:
    """Register a generator of violations under its file's name; its docstring is the promise that the report prints."""

    def register(find: Find) -> Find:
        promise = " ".join((find.__doc__ or "").split())
        if not promise:
            raise TypeError(f"{find.__name__} needs a docstring: the promise that it keeps")
        name = name_of(find.__module__)
        INVARIANTS.add(name, Invariant(name, promise, needs, find))
        return find

    return register
