from collections import defaultdict
from collections.abc import Iterator

from harness.books import story
from harness.history import History
from harness.reversals import Reversal, reversals
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("reversal", "invoked"))
def refunded_at_most_once(history: History) -> Iterator[Violation]:
    """Money is given back once per wish, however often the service or the client tries again."""
    wishes: dict[tuple[str, int], set[str]] = defaultdict(set)
    for event in history.of("invoked"):
        if event["operation"] == "refund":
            wishes[event["top_up"], event["amount_minor"]].add(event["key"])
    if not wishes:
        raise NothingToJudge("nobody asked for a refund")
    made: dict[tuple[str, int], list[Reversal]] = defaultdict(list)
    for each in reversals(history):
        if each.key:  # what the merchant asked for; the provider and the bank have reasons of their own
            made[each.reference, each.amount_minor].append(each)
    for (top_up, amount_minor), several in made.items():
        asked = len(wishes[top_up, amount_minor])
        if len(several) > asked:
            names = " and ".join(each.reversal for each in several)
            payment = several[-1].payment
            says = f"{payment} was given back {len(several)} times for {asked} wishes of {amount_minor}: {names}"
            evidence = story(history, payment, *(e for e in history.of("invoked") if e.get("top_up") == top_up))
            yield Violation(says, evidence, payment, "refunded again")
