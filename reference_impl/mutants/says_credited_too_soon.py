from dataclasses import replace

from typing_extensions import override

from reference_impl.answers import Answer
from reference_impl.initiation import Initiation, Reply, view
from reference_impl.mutants import mutant
from reference_impl.states import State
from reference_impl.topups import TopUp


@mutant(caught_by="told-the-truth", under="dropped-callbacks", also=("delayed-callbacks",))
class SaysCreditedTooSoon(Initiation):
    """Tells whoever paid by card that the credit is applied, because it will be in a moment.

    Seen in production: github.com/coopcycle/coopcycle-web/issues/5197.
    """

    @override
    def answer(self, top_up: TopUp, reply: Reply) -> Answer:
        """What the client is told: where the top-up is, as committed with this answer."""
        if reply.event == "accepted" and top_up.method == "card":
            return Answer(201, view(replace(top_up, state=State.CREDITED)))
        return super().answer(top_up, reply)
