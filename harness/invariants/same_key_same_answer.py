from collections.abc import Iterator

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("invoked", "answered"))
def same_key_same_answer(history: History) -> Iterator[Violation]:
    """One idempotency key is one top-up: asked again it is the same one, asked for something else it is a conflict."""
    asked = [event for event in history.of("invoked") if event["operation"] == "top_up"]
    repeated = [events for _, events in History(tuple(asked)).by("key") if len(events) > 1]
    if not repeated:
        raise NothingToJudge("no idempotency key was used twice")
    for uses in repeated:
        yield from _of_one_key(history, uses)


def _of_one_key(history: History, uses: History) -> Iterator[Violation]:
    key = uses.events[0]["key"]
    answers = [event for event in history.of("answered") if event["operation"] == "top_up" and event["key"] == key]
    named = [event for event in answers if event.get("top_up")]
    top_ups = list(dict.fromkeys(event["top_up"] for event in named))
    wanted = {_wanted(use) for use in uses}
    evidence = tuple(sorted([*uses, *answers], key=lambda event: event.at))
    if len(top_ups) > 1:
        yield Violation(f"one key made {len(top_ups)} top-ups: {', '.join(top_ups)}", evidence)
    elif len(wanted) > 1:
        served = {_wanted(use) for use in uses for event in named if _same_request(use, event)}
        if len(served) > 1:
            yield Violation("one key was accepted for two different requests", evidence)


def _wanted(use: Event) -> tuple[str, int, str]:
    return use["account"], use["amount_minor"], use["currency"]


def _same_request(use: Event, answer: Event) -> bool:
    return bool((use["id"], use["attempt"]) == (answer["id"], answer["attempt"]))
