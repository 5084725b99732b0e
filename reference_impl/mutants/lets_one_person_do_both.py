from typing_extensions import override

from reference_impl.adjustments import Adjustment, Adjustments
from reference_impl.mutants import mutant


@mutant(caught_by="corrections-are-approved", under="corrected-by-hand")
class LetsOnePersonDoBoth(Adjustments):
    """Compares the role that approves with the person who proposed, and writes the role down: nobody is their own second
    person, and everybody is.

    Seen in public: github.com/nathanwoulfe/Plumber/issues/120.
    """

    @override
    async def approve(self, finding: int, account: str, approver: str) -> Adjustment:
        """Post what somebody else proposed. Raises `Problem` for who proposed it, and for what nobody did."""
        return await super().approve(finding, account, f"approver:{approver}")
