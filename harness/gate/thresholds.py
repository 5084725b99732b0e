"""What a profile asks to have been shown, beside that nothing was found. What was not shown is unknown."""

from collections.abc import Iterator, Sequence

from harness.gate.profile import Profile
from harness.gate.result import Turn


def not_shown(profile: Profile, turns: Sequence[Turn]) -> Iterator[str]:
    """A sentence for each threshold that was not reached."""
    for name in profile.never_unknown:
        doubtful = [turn.name for turn in turns if name in turn.unjudged]
        if doubtful:
            yield f"never_unknown: {name} was unknown in {', '.join(doubtful)}"
        elif not any(name in turn.judged for turn in turns):
            yield f"never_unknown: {name} was put to the test nowhere"
    payments = sum(number for turn in turns for word, number in turn.payments.items() if word != "unknown")
    if any(engine.name != "fuzz" for engine in profile.engines()) and payments < profile.payments_min:
        yield f"payments_min: {payments} payments were judged, and {profile.payments_min} are asked for"
    callbacks = sum(turn.callbacks for turn in turns)
    if profile.fuzz is not None and callbacks < profile.callbacks_min:
        yield f"callbacks_min: {callbacks} hostile callbacks were sent, and {profile.callbacks_min} are asked for"
