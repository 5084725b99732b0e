from typing_extensions import override

from reference_impl.database import Connection
from reference_impl.flags import Flag, Flags
from reference_impl.mutants import mutant


@mutant(caught_by="audit-is-complete", under="flag-changed-meanwhile")
class ChangesFlagsInSilence(Flags):
    """Puts a flag on and off, and nobody can tell later who did: the change is there, and no line of the audit log about it.

    Seen in public: github.com/Flagsmith/flagsmith/issues/1186.
    """

    @override
    async def write_down(self, connection: Connection, flag: Flag, on: bool) -> None:
        """The change, in the audit log."""
