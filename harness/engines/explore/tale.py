"""The draft of a story whose faults overlap as they like."""

from collections.abc import Mapping
from dataclasses import replace
from random import Random

from harness.plan import Begin, End, Operation, Scalar
from harness.scenario import Draft

PATIENCE_S = 1.0
"""How long a client waits for an answer while something is broken."""


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
        """A fault that nothing met yet is given something to meet; a mood, callbacks to spoil."""
        if id not in self._met:
            account = self.account()
            self.top_up(account)
            if "mood" in self.open[id].args:
                self.top_up(account)
                self.quiet(3.0)
        del self.open[id]
        self._met.discard(id)
        self._add(End(id))

    def end_all(self) -> None:
        """The youngest first; but moods when the weather is fair, so that there are callbacks to spoil."""
        youngest_first = list(reversed(self.open.values()))
        for begin in sorted(youngest_first, key=lambda begin: "mood" in begin.args):
            self.end(begin.id)

    def advance(self, seconds: float) -> None:
        """The provider's test clock jumps."""
        self._do(Operation(id=self._next("c"), kind="advance", args={"seconds": seconds}))

    def breaks(self, fault: str, args: Mapping[str, Scalar]) -> bool:
        """Whether another fault that is open has its hand on the same link, node or mood already, or is a mood of a provider
        that would be dead when it begins or ends.
        """
        mine = _places(args)
        one_at_a_time = fault in ("kill", "pause")
        return any(
            mine & _places(other.args)
            or (one_at_a_time and other.fault in ("kill", "pause"))
            or ("mood" in args and other.args.get("node") == "provider")
            or ("mood" in other.args and args.get("node") == "provider")
            for other in self.open.values()
        )

    def _do(self, operation: Operation) -> None:
        if self.open:
            if operation.kind in ("open_account", "top_up", "refund", "status", "reconcile"):
                operation = replace(operation, args={**operation.args, "patience_s": PATIENCE_S})
            self._met |= {begin.id for begin in self.open.values() if self._meets(operation.kind, begin)}
        super()._do(operation)

    def _meets(self, kind: str, begin: Begin) -> bool:
        """Whether this much can be counted on: a mood wants a callback, and nothing else that keeps it from coming."""
        if "mood" in begin.args:
            return kind in ("top_up", "pay") and all("mood" in other.args for other in self.open.values())
        return kind == "top_up"


def _places(args: Mapping[str, Scalar]) -> set[Scalar]:
    return {args[name] for name in ("link", "node", "mood") if name in args}
