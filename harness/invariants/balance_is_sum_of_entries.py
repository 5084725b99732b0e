from collections.abc import Iterator

from harness.books import FINAL, unread
from harness.history import History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("ledger-read", "balance"))
def balance_is_sum_of_entries(history: History) -> Iterator[Violation]:
    """The balance that a customer reads is the sum of the entries of the account."""
    at_the_end = history.where(lambda event: event.get("snapshot") == FINAL)
    read = {event["account"] for event in at_the_end.of("ledger-read")} - unread(history)
    if not read:
        raise NothingToJudge("no account's entries were read at the end")
    for balance in at_the_end.of("balance"):
        account = balance["account"]
        own = [event for event in at_the_end.of("entry") if event["account"] == account and event["own"]]
        total = sum(event["amount_minor"] for event in own)
        if account in read and balance["balance_minor"] != total:
            says = f"{account} reads {balance['balance_minor']}, and its entries sum to {total} (minor units)"
            payment = next((event.get("payment") for event in reversed(own)), None)
            yield Violation(says, (*own, balance), payment)
