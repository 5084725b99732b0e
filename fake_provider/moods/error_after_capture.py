"""Errors that hide a success."""

from dataclasses import dataclass, field

from fake_provider.idempotency import ApiAnswer
from fake_provider.moods import Answers, Hands, arg, mood


@mood
@dataclass(kw_only=True, eq=False)
class ErrorAfterCapture(Answers):
    """The receiver is told 500, though the payment or the refund was made, and its callback is sent as ever.

    The first `n` requests under each idempotency key fare so; the next one gets the answer that was kept.
    """

    n: int = arg(1, at_least=1, at_most=100)
    _told: dict[str, int] = field(default_factory=dict, init=False)

    async def answer(self, key: str, answer: ApiAnswer, hands: Hands) -> ApiAnswer:
        told = self._told.get(key, 0)
        if not answer.is_done or told >= self.n:
            return answer
        self._told[key] = told + 1
        self.touched += 1
        error = {"code": "internal", "message": "something went wrong: ask again with the same Idempotency-Key"}
        return ApiAnswer(500, {"error": error}, replayed=answer.replayed)
