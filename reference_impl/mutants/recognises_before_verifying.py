from typing_extensions import override

from reference_impl.answers import Answer, Refused
from reference_impl.callbacks import CallbackIntake
from reference_impl.dialects import Headers
from reference_impl.mutants import mutant


@mutant(caught_by="hostile-input-is-refused", under="forged-tampered-body")
class RecognisesBeforeVerifying(CallbackIntake):
    """Answers a delivery id that it knows with success before it looks at the signature: whatever is under it."""

    @override
    async def on_callback(self, headers: Headers, body: bytes) -> Answer:
        """Answer one delivery. Success only after the commit: the provider may forget what we acknowledge."""
        try:
            event = self.verifier.read(headers, body)
            async with self.database.connection() as connection:
                known = await connection.fetchval(
                    "SELECT true FROM callbacks WHERE webhook_id = $1", event.delivery if event else None
                )
        except Refused:
            known = None
        return self.answer_duplicate() if known else await super().on_callback(headers, body)
