"""Callbacks that overtake the API's answer."""

from dataclasses import dataclass

from fake_provider.idempotency import ApiAnswer
from fake_provider.moods import Answers, Hands, arg, mood


@mood
@dataclass(kw_only=True, eq=False)
class AnswerLate(Answers):
    """The receiver gets the callback while its own request to make the payment, or a refund, still waits for an answer.

    The answer is held until each of the payment's callbacks has been tried once, `most_s` real seconds at the longest.
    A request without callbacks is answered at once.
    """

    most_s: float = arg(5.0, at_least=0.01, at_most=60)

    async def answer(self, key: str, answer: ApiAnswer, hands: Hands) -> ApiAnswer:
        if answer.is_done and not answer.replayed and hands.untried(answer.payment):
            self.touched += 1  # as it begins: a provider that dies meanwhile has kept somebody waiting
            await hands.attempted(answer.payment, self.most_s)
        return answer
