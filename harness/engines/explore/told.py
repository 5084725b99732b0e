"""What an exploration comes to, in numbers."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from harness.plan import Begin
from harness.run import Run


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
