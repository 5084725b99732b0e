"""Answers that point elsewhere."""

from dataclasses import dataclass, field

from fake_provider.idempotency import ApiAnswer
from fake_provider.moods import Answers, Hands, arg, mood


@mood
@dataclass(kw_only=True, eq=False)
class Redirect(Answers):
    """The receiver's request is answered 302 and with another address, though the payment or the refund was made.

    The address is right: a payment is to be found there. The first `n` requests under each idempotency key fare so; the
    next one gets the answer that was kept.
    """

    n: int = arg(1, at_least=1, at_most=100)
    _told: dict[str, int] = field(default_factory=dict, init=False)

    async def answer(self, key: str, answer: ApiAnswer, hands: Hands) -> ApiAnswer:
        told = self._told.get(key, 0)
        if not answer.is_done or told >= self.n:
            return answer
        self._told[key] = told + 1
        self.touched += 1
        return ApiAnswer(302, {}, replayed=answer.replayed, location=answer.found_at)
