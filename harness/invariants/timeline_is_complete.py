from collections.abc import Iterator

from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("transition",))
def timeline_is_complete(history: History) -> Iterator[Violation]:
    """Every step of a top-up bears the one correlation id that it began with: who looks for it finds the whole story.

    Of a target whose timeline names no `correlation` nobody can tell.
    """
    steps = history.of("transition")
    if not any(step.get("correlation") for step in steps):
        raise NothingToJudge("no step of a top-up bears a correlation id")
    for top_up, taken in steps.by("top_up"):
        first = taken.events[0].get("correlation")
        for step in taken:
            own = step.get("correlation")
            if not own:
                yield Violation(f"{top_up} went to {step['to']} under no correlation id", taken.events)
                break
            if own != first:
                yield Violation(f"{top_up} began as {first}, and went to {step['to']} as {own}", taken.events)
                break
