from typing_extensions import override

from reference_impl.callbacks import Outcome
from reference_impl.mutants import mutant
from reference_impl.reconciler import Reconciler


@mutant(caught_by="reversed-once", under="killed-while-reading-on")
class ReadsOnBeforeItPosts(Reconciler):
    """Notes how far it has read, and then posts what it read: dying in between, it never reads that again."""

    @override
    async def hear_reversals(self) -> list[Outcome]:
        """Read on in the provider's list of what went back, from where it was last read and applied to the end."""
        outcomes: list[Outcome] = []
        for _ in range(self.PAGES_MAX):
            position = await self.position()
            page = await self.provider.reversals(position)
            if page.following == position:
                break
            await self.read_to(page.following)
            outcomes += await self.receive(page.payments)
        return outcomes
