from collections.abc import Iterator

from harness.history import History
from harness.judge_facts import legal_states
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("transition",))
def transitions_are_legal(history: History) -> Iterator[Violation]:
    """A top-up moves only along its state machine, one recorded step at a time, and each step says what caused it.

    An illegal way out of a final state is status-never-goes-back's to report.
    """
    states = legal_states(history)
    if states is None:
        raise NothingToJudge("the target describes no states")
    for top_up, steps in history.of("transition").by("top_up"):
        state = None
        for step in steps:
            before, after = step.get("from"), step["to"]
            if before is None and state is None:  # its creation
                state = after
                continue
            if before in states.final and (before, after) not in states.moves:
                break
            if state is not None and before != state:
                yield Violation(f"{top_up} was at {state}, and its next step leaves {before}", steps.events)
                break
            if (before, after) not in states.moves:
                yield Violation(
                    f"{top_up} went from {before} to {after}, which its state machine forbids", steps.events
                )
                break
            if not step.get("cause"):
                yield Violation(f"{top_up} went from {before} to {after} and does not say why", steps.events)
                break
            state = after
