"""What the target says of itself that invariants need: recorded in the history, so that judging needs nothing else."""

from dataclasses import dataclass

from harness.history import Event, History


@dataclass(frozen=True, slots=True)
class States:
    """The state machine that the target claims to follow."""

    moves: frozenset[tuple[str, str]]
    final: frozenset[str]


def legal_states(history: History) -> States | None:
    """The target's state machine, or None where `target.toml` describes none."""
    for event in history.of("plan"):
        states = event.get("states")
        if states:
            moves = frozenset((before, after) for before, afters in states["moves"].items() for after in afters)
            return States(moves, frozenset(states["final"]))
    return None


def regressions(history: History) -> dict[str, Event]:
    """For each top-up that left a final state by a way that there is not, the step that did it."""
    states = legal_states(history)
    found: dict[str, Event] = {}
    for step in history.of("transition") if states else ():
        before = step.get("from")
        if states and before in states.final and (before, step["to"]) not in states.moves:
            found.setdefault(step["top_up"], step)
    return found
