from typing_extensions import override

from reference_impl.database import Database
from reference_impl.mutants import mutant


@mutant(caught_by="access-is-kept", under="another-tenant-asks")
class LeavesTheTenantOnTheConnection(Database):
    """Says once for which tenant a connection acts: whoever is handed it next, from the pool, sees what the first one may see."""

    @override
    def whose(self, before: str | None) -> str:
        """For which tenant a connection is to act that acted for another *before*: for that of the request at hand."""
        return before if before else super().whose(before)
