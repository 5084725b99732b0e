import asyncio

from typing_extensions import override

from reference_impl.answers import Answer
from reference_impl.initiation import Initiation, Reply
from reference_impl.mutants import mutant
from reference_impl.topups import TopUp

_storing: set[asyncio.Task[None]] = set()


@mutant(caught_by="same-key-same-answer", under="killed-before-the-answer-is-kept")
class KeepsTheAnswerApart(Initiation):
    """Keeps its answer under the key in a transaction of its own, when it has been given: dying in between, it answers the
    same request anew, and not as before.
    """

    @override
    async def conclude(self, top_up: TopUp, key: str, reply: Reply) -> Answer:
        """Store the payment, the state and the answer with its key: in one transaction, or the key could lie."""
        async with self.database.transaction() as connection:
            answer = self.answer(await self.accept(connection, top_up, reply), reply)

        async def keep() -> None:
            async with self.database.transaction() as connection:
                await self.keys.remember(connection, top_up.customer, key, answer)

        task = asyncio.create_task(keep())
        _storing.add(task)
        task.add_done_callback(_storing.discard)
        return answer
