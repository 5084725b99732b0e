from collections.abc import Iterator, Sequence

from harness.books import FINAL, story
from harness.history import Event, History
from harness.judge import plan_event
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered", "audited"))
def corrections_are_approved(history: History) -> Iterator[Violation]:
    """A correction that is too large for one person stands in the ledger only when another approved it than who asked for it.

    What is too large is the target's to say. Corrections that credit twice are credited-at-most-once's to report.
    """
    limit_minor = plan_event(history).get("correction_limit_minor")
    if limit_minor is None:
        raise NothingToJudge("the target says of no correction that it is too large for one person")
    asked = _taken(history, "correct")
    if not any(abs(each["amount_minor"]) > limit_minor for each in asked):
        raise NothingToJudge("no correction was asked for that is too large for one person")
    approved = _taken(history, "approve")
    for entry in history.of("entry"):
        if entry["snapshot"] != FINAL or not entry.get("correction") or not entry["own"]:
            continue
        by = {each["by"] for each in asked if each["payment"] == entry["payment"]}
        seconds = {each["by"] for each in approved if each["payment"] == entry["payment"]} - by
        if abs(entry["amount_minor"]) > limit_minor and not seconds:
            who = " and ".join(sorted(by)) or "nobody"
            says = f"{entry['payment']} was corrected by {entry['amount_minor']} (minor units), and {who} alone had a hand in it"
            yield Violation(says, story(history, entry["payment"], *approved, entry), entry["payment"])


def _taken(history: History, operation: str) -> Sequence[Event]:
    """What was not refused: one that waits is answered with a maybe, and one that was not answered may have been done."""
    return [
        event
        for event in history.of("answered")
        if event["operation"] == operation and event["outcome"] != "not-done" and event.get("by")
    ]
