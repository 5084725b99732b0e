"""A finding, written as a file that goes on without the exploration: a pytest test, or a scenario."""

from pathlib import Path

from harness.plan import Plan
from harness.run import Run


class Nobody:
    """A watcher that says nothing."""

    def begins(self, name: str) -> None: ...

    def finished(self, run: Run) -> None: ...


def as_test(plan: Plan, target: Path, mutant: str | None, name: str) -> str:
    """A plan as a pytest test of its own: it must not be broken in any of several runs, and must be judged in each.

    What was made as short as it gets may leave an operation undone, or break what the service mended does not meet any more.
    """
    return f'''"""Found by exploring: {plan.story}"""

from pathlib import Path

from harness.cli import load_everything, work
from harness.engines.explore.writing import Nobody
from harness.engines.suite import Job, Order
from harness.plan import Plan
from harness.verdict import Status

TIMES = 5
TARGET = Path({str(target)!r})
MUTANT = {mutant!r}
PLAN = Plan.from_json(
    {plan.to_json()!r}
)


def test_{name.removeprefix("test_")}(tmp_path: Path) -> None:
    """It repeats as often as the network lets it, so it is carried out several times."""
    load_everything()
    jobs = [Job(PLAN, "", MUTANT)] * TIMES
    order = Order(name="explored", jobs=jobs, target=TARGET, seed=PLAN.seed, again="", out=tmp_path)
    _, progress = work(order, Nobody())

    assert [sorted(run.broken) for run in progress.runs] == [[]] * TIMES
    assert all(run.status is Status.HOLDS or run.unproved for run in progress.runs)
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
