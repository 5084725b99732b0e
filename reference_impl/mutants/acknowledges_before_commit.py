import asyncio

from typing_extensions import override

from reference_impl.answers import Answer, Refused, problem
from reference_impl.callbacks import CallbackIntake
from reference_impl.dialects import Headers
from reference_impl.mutants import mutant

_queue: set[asyncio.Task[object]] = set()


@mutant(caught_by="acknowledged-is-durable", under="killed-before-transaction")
class AcknowledgesBeforeCommit(CallbackIntake):
    """Answers at once and does the work from a queue in memory: dying in between, it forgets what it said yes to."""

    @override
    async def on_callback(self, headers: Headers, body: bytes) -> Answer:
        """Answer one delivery. Success only after the commit: the provider may forget what we acknowledge."""
        try:
            self.verifier.verify(headers, body, self.now())
            event = self.verifier.read(headers, body)
        except Refused as refusal:
            self.verifier.on_refusal(headers, body, refusal.reason)
            return Answer(refusal.status, problem("refused", refusal.reason))
        if event:
            work = asyncio.create_task(self.receive(event))
            _queue.add(work)
            work.add_done_callback(_queue.discard)
        return self.acknowledge()
