"""Customers who ask their bank for the money."""

from collections.abc import Callable
from dataclasses import dataclass

from fake_provider.moods import Follows, Hands, arg, choice, mood
from fake_provider.payments import Payment, State


@mood
@dataclass(kw_only=True, eq=False)
class Dispute(Follows):
    """The receiver is told that `percent` of a captured payment is disputed, and later that the dispute was won or lost.

    `outcome` says which, or that it stays open. Each step comes `after_s` of the provider's time after the one before.
    The money is gone from the opening on, and comes back only when the dispute is won. A payment is disputed once.
    """

    outcome: str = choice("lost", "won", "open")
    percent: int = arg(100, at_least=1, at_most=100)
    after_s: float = arg(60.0, at_least=0, at_most=1e7)

    def moved(self, payment: Payment, hands: Hands) -> None:
        if payment.state is State.CAPTURED and not payment.disputes and not payment.refunds:
            self.touched += 1
            amount_minor = max(1, payment.captured_minor * self.percent // 100)
            self._later("opened", payment, hands, lambda: hands.dispute(payment.id, amount_minor))
        if payment.state is State.DISPUTED and self.outcome != "open":
            decide = hands.win if self.outcome == "won" else hands.lose
            self._later(self.outcome, payment, hands, lambda: decide(payment.id))

    def _later(self, word: str, payment: Payment, hands: Hands, do: Callable[[], object]) -> None:
        hands.later(self.after_s, f"a dispute is {word} ({self.name})", self.name, payment.id, do)
