from typing_extensions import override

from reference_impl.database import Database
from reference_impl.mutants import mutant


@mutant(caught_by="access-is-kept", under="another-tenant-asks")
class ConnectsAsTheOwner(Database):
    """Serves as whoever migrates, who may do anything: no policy holds, and another tenant's customers are read by name.

    PostgreSQL documentation, "Row Security Policies": "Superusers and roles with the BYPASSRLS attribute always bypass the row
    security system".
    """

    @override
    def role(self) -> str:
        """As whom its connections act: never as whoever logged in, who owns the tables."""
        return "none"
