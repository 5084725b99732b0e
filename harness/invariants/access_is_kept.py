from collections.abc import Iterator, Set

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

OF_OPERATORS = ("reconcile", "compare")
"""What somebody who may ask for top-ups may not ask for."""


@invariant(needs=("answered",))
def access_is_kept(history: History) -> Iterator[Violation]:
    """Nobody is served what is not theirs: not another tenant, not a key without the scope, not one that was revoked, and not
    who sends again what they overheard of somebody who signs.

    Who asked stands beside each answer. A refusal may be put in any words. What had no answer, or one that says nothing certain,
    says nothing of who would have been let in.
    """
    asked = [event for event in history.of("answered") if event.get("asked_by")]
    served = {event["id"] for event in asked if event["asked_by"] == "signer" and event["outcome"] == "done"}
    foreign = [event for event in asked if _is_foreign(event, served)]
    if not any(event["outcome"] in ("done", "not-done") for event in foreign):
        raise NothingToJudge("nobody asked for what was not theirs, and was answered")
    for event in foreign:
        if event["outcome"] == "done":
            yield Violation(
                f"{_WHO[event['asked_by']]} {_asked_for(event)} and was served ({event['status']})", (event,)
            )


_WHO = {
    "initiator": "a key that may not",
    "stranger": "another tenant",
    "former": "a key that was revoked",
    "eavesdropper": "somebody who had overheard it",
}


def _is_foreign(event: Event, served: Set[str]) -> bool:
    """A stranger opens no account in our stories: all that there is is another tenant's.

    What was overheard is good once: who sends it again may be served, if whoever signed it was not.
    """
    if event["asked_by"] == "eavesdropper":
        return event["overheard"] in served
    return event["asked_by"] in ("stranger", "former") or event["operation"] in OF_OPERATORS


def _asked_for(event: Event) -> str:
    about = event.get("top_up") or event.get("account")
    return f"asked for {event['operation'].replace('_', ' ')}" + (f" about {about}" if about else "")
