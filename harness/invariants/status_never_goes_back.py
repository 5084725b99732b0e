from collections.abc import Iterator
from itertools import combinations

from harness.history import Event, History
from harness.judge_facts import regressions
from harness.reversals import went_back
from harness.verdict import NothingToJudge, Violation, invariant

# What each word may be followed by. A failure may still turn into success: the provider tried again, or was late.
AFTER = {
    "processing": {"processing", "confirmed", "credited", "failed", "reversed"},
    "confirmed": {"confirmed", "credited", "reversed"},
    "credited": {"credited", "reversed"},
    "failed": {"failed", "processing", "confirmed", "credited", "reversed"},
    "reversed": {"reversed"},
}
# And what else, where the provider's book has such news: a service may have no other word for money that went back.
ONLY_AFTER = {("reversed", "credited"): {"won"}, ("credited", "failed"): {"refunded", "opened"}}


@invariant(needs=("answered",))
def status_never_goes_back(history: History) -> Iterator[Violation]:
    """What a customer was once told of a success stays true: late or repeated news does not undo it.

    Money that goes back does, and a dispute that is won undoes that.
    """
    told = [event for event in history.of("answered") if event.get("word") and event.get("top_up")]
    if not told and not history.of("transition"):
        raise NothingToJudge("no status of a top-up was read")
    reported = regressions(history)
    for step in reported.values():
        yield _regressed(history, step, f"went back from {step['from']} to {step['to']}")
    back = went_back(history)
    for top_up, words in History(tuple(told)).by("top_up"):
        happened = {event["news"] for event in back.get(top_up, ())}
        # An answer that is repeated for its key is the first answer again, and no news.
        news = [event for number, event in enumerate(words) if number == 0 or event["operation"] == "status"]
        for before, after in combinations(news, 2):
            undone = top_up not in reported and not _may_follow(before["word"], after["word"], happened)
            if undone and not _overlap(history, before, after):
                yield _regressed(history, after, f"read {before['word']!r} and later {after['word']!r}")
                break


def _may_follow(before: str, after: str, happened: set[str]) -> bool:
    return after in AFTER[before] or bool(ONLY_AFTER.get((before, after), set()) & happened)


def _overlap(history: History, before: Event, after: Event) -> bool:
    """Whether the later answer was asked for before the earlier one arrived: then their order says nothing."""
    asked = [
        event.at
        for event in history.of("invoked")
        if event["id"] == after["id"] and event["attempt"] == after["attempt"]
    ]
    return bool(asked) and asked[-1] < before.at


def _regressed(history: History, at: Event, says: str) -> Violation:
    top_up = at["top_up"]
    about = tuple(event for event in history if event.get("top_up") == top_up or event.get("reference") == top_up)
    payment = next((event["payment"] for event in about if event.kind == "payment"), None)
    return Violation(f"{top_up} {says}", about, payment, "regressed")
