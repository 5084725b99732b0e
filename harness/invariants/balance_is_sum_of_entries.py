from collections import defaultdict
from collections.abc import Iterator

from harness.books import FINAL
from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("ledger-read", "balance"))
def balance_is_sum_of_entries(history: History) -> Iterator[Violation]:
    """The balance that a customer reads is the sum of the entries of the account."""
    entries: dict[str, list[Event]] = defaultdict(list)
    for event in history.of("entry"):
        if event["snapshot"] == FINAL and event["own"] and not event.get("inferred"):
            entries[event["account"]].append(event)
    if not entries:
        raise NothingToJudge("the service lists no entries")
    for balance in history.of("balance"):
        own = entries.get(balance["account"], [])
        total = sum(event["amount_minor"] for event in own)
        if balance["snapshot"] == FINAL and balance["balance_minor"] != total:
            says = (
                f"{balance['account']} reads {balance['balance_minor']}, and its entries sum to {total} (minor units)"
            )
            payment = next((event.get("payment") for event in reversed(own)), None)
            yield Violation(says, (*own, balance), payment)
