from collections.abc import Iterator, Sequence

from harness.books import credits_of, given_back, lines_of, lost, story, unread
from harness.history import History
from harness.reversals import AGAIN, BACK, Line, Reversal, reversals
from harness.verdict import Violation, invariant


@invariant(needs=("reversal", "audited"))
def reversed_once(history: History) -> Iterator[Violation]:
    """What went back stands in the ledger once: each refund and each dispute as an entry of its own, for its own amount,
    with one more that gives it back when the dispute is won, and nothing else.

    What was never credited is not to be taken back. A payment of which all went back, and that the ledger left out
    altogether, comes to the same. A payment that is lost is every-payment-is-credited's to report.
    """
    found = lines_of(history)
    known = reversals(history)
    credited = {credit.payment for credit in credits_of(history)}
    gone = {payment.payment for payment in lost(history)}
    left_out = given_back(history) - credited - {line.payment for line in found}
    silent = unread(history)
    for each in known:
        own = [line for line in found if line.reversal == each.reversal]
        if each.payment in gone | left_out or (each.account in silent and (not own or each.payment not in credited)):
            continue
        wrong = _never_credited(each, own) if each.payment not in credited else _wrong(each, own)
        if wrong:
            says, word = wrong
            evidence = story(history, each.payment, *(line.entry for line in own))
            yield Violation(f"{each.what} {each.reversal} of {each.payment} {says}", evidence, each.payment, word)
    names = {each.reversal for each in known}
    for line in found:
        if line.reversal not in names:
            moved = "was charged" if line.way == BACK else "was given"
            says = f"{line.account} {moved} {abs(line.amount_minor)} {line.currency} (minor units) for no refund or dispute"
            yield Violation(says, story(history, line.payment, line.entry), line.payment, "wrongly reversed")


def _never_credited(each: Reversal, own: Sequence[Line]) -> tuple[str, str] | None:
    return ("was taken back, and the payment was never credited", "wrongly reversed") if own else None


def _wrong(each: Reversal, own: Sequence[Line]) -> tuple[str, str] | None:
    """What is wrong with the entries about one reversal, and the word for its payment."""
    back = [line for line in own if line.way == BACK]
    again = [line for line in own if line.way == AGAIN]
    if not back:
        return "was never taken back", "not reversed"
    if len(back) > 1:
        return f"was taken back {len(back)} times", "reversed twice"
    if len(again) > 1:
        return f"was given back {len(again)} times after it was won", "reversed twice"
    if again and not each.won:
        return "was given back, and was not won", "wrongly reversed"
    if each.won and not again:
        return "was won, and never given back", "not reversed"
    return next((wrong for line in own if (wrong := _misfit(each, line))), None)


def _misfit(each: Reversal, line: Line) -> tuple[str, str] | None:
    moved = "taken back" if line.way == BACK else "given back"
    if line.account != each.account:
        return f"is of {each.account}, and was {moved} on {line.account}", "wrongly reversed"
    if (abs(line.amount_minor), line.currency) != (each.amount_minor, each.currency):
        money = f"{each.amount_minor} {each.currency} (minor units)"
        return f"is about {money}, and {abs(line.amount_minor)} {line.currency} was {moved}", "wrongly reversed"
    return None
