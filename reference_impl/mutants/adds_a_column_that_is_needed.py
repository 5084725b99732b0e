from typing_extensions import override

from reference_impl.migrate import Schema
from reference_impl.mutants import mutant


@mutant(caught_by="settles-in-time", under="rolled-out-and-back")
class AddsAColumnThatIsNeeded(Schema):
    """Adds a column with a default, for the rows that are there, and drops the default: the version before cannot write any more.

    Seen in public: github.com/Flagsmith/flagsmith/issues/5257.
    """

    @override
    def adding(self, table: str, column: str) -> str:
        """A new column: whoever does not know it writes none."""
        added = f"ALTER TABLE {table} ADD COLUMN {column} text NOT NULL DEFAULT 'before';"
        return f"{added} ALTER TABLE {table} ALTER COLUMN {column} DROP DEFAULT"
