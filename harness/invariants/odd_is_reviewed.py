from collections.abc import Iterator

from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant

REFUSED = frozenset({400, 403, 451})
"""Answers that say no to a request for what it is. Others have a reason of their own: no money, no such account, too often."""


@invariant(needs=("invoked", "answered"))
def odd_is_reviewed(history: History) -> Iterator[Violation]:
    """A very high amount is looked at, and not denied: it goes on like any other, and people find it in what they review."""
    readings = [e for e in history.of("answered") if e["operation"] == "reviews" and e["outcome"] == "done"]
    if not readings:
        raise NothingToJudge("what is to be reviewed was never read")
    last = readings[-1]
    listed = {row["about"] for row in history.of("review") if row["id"] == last["id"]}
    asked = [
        event
        for event in history.of("invoked")
        if event["operation"] == "top_up" and event.at < last.at and event["amount_minor"] >= last["at_least_minor"]
    ]
    if not asked:
        raise NothingToJudge(f"nobody asked for {last['at_least_minor']} minor units or more")
    answers = {(e["id"], e["attempt"]): e for e in history.of("answered") if e["operation"] == "top_up"}
    for event in asked:
        answer = answers.get((event["id"], event["attempt"]))
        if answer is None:
            continue
        if answer["status"] in REFUSED:
            yield Violation(f"{event['id']} was refused for its amount with {answer['status']}", (event, answer))
        elif answer["outcome"] == "done" and answer.get("top_up") not in listed:
            yield Violation(f"{answer['top_up']} is not among what is to be reviewed", (event, answer, last))
