from collections.abc import Iterator

from harness.books import FINAL, story, unread
from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

SAID = ("posting", "amount_minor", "currency", "payment", "entry_kind", "reversal", "correction", "written")
"""What an entry says, as far as the service shows it."""


@invariant(needs=("ledger-read", "entry"))
def entries_never_change(history: History) -> Iterator[Violation]:
    """An entry that was read once reads the same for ever: what was wrong is corrected by further entries.

    The books are read before the service is made to ask the provider, and at the end. An entry is known again by its name in its
    account; where the service shows none, nobody can tell.
    """
    named = [event for event in history.of("entry") if event["own"] and event.get("entry") is not None]
    early = [event for event in named if event["snapshot"] != FINAL]
    if not early:
        raise NothingToJudge("no entry was read, with a name of its own, before the service asked the provider")
    last = {_name(event): event for event in named if event["snapshot"] == FINAL}
    read = {event["account"] for event in history.of("ledger-read") if event["snapshot"] == FINAL} - unread(history)
    for name, was in {_name(event): event for event in reversed(early)}.items():
        now = last.get(name)
        if now is None and was["account"] in read:
            yield Violation(f"{name[1]} of {name[0]} is gone", _evidence(history, was), was.get("payment"))
        elif now is not None and (changed := [field for field in SAID if was.get(field) != now.get(field)]):
            says = "; ".join(f"its {field} was {was.get(field)}, and is {now.get(field)}" for field in changed)
            yield Violation(
                f"{name[1]} of {name[0]} was changed: {says}", _evidence(history, was, now), was.get("payment")
            )


def _name(entry: Event) -> tuple[str, str]:
    return entry["account"], str(entry["entry"])


def _evidence(history: History, *entries: Event) -> tuple[Event, ...]:
    return story(history, entries[0].get("payment"), *entries)
