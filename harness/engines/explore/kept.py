"""What is kept of a finding from one exploration to the next: its plan, which is tried first the next time.

It lies in an example database of Hypothesis, a file for each plan, in the cache or in a folder that CI carries over. A plan
and not Hypothesis's own bytes is kept, since those mean something else as soon as a rule is added.
"""

from collections.abc import Sequence
from pathlib import Path

from hypothesis.database import DirectoryBasedExampleDatabase

from harness.cache import cache_dir
from harness.plan import Plan, PlanError
from harness.runner import validate

TRIES = 5
"""So often a kept plan must hold before it is forgotten: a race does not show every time."""


class Kept:
    """The findings on one service (or one mutant of it) in one dialect."""

    def __init__(self, folder: Path | None, target: str, mutant: str | None, dialect: str | None) -> None:
        self.folder = folder or cache_dir() / "examples"
        self._database = DirectoryBasedExampleDatabase(self.folder)
        self._key = "\n".join(("topup-chaos", target, mutant or "", dialect or "")).encode()

    def plans(self) -> Sequence[Plan]:
        """Each that can still be carried out, in an order of their own; the others are forgotten."""
        found: list[Plan] = []
        for written in sorted(self._database.fetch(self._key)):
            try:
                plan = Plan.from_json(written.decode())
                validate(plan)
            except (PlanError, UnicodeDecodeError):
                self._database.delete(self._key, written)
            else:
                found.append(plan)
        return found

    def keep(self, plan: Plan) -> None:
        self._database.save(self._key, plan.to_json().encode())

    def forget(self, plan: Plan) -> None:
        self._database.delete(self._key, plan.to_json().encode())
