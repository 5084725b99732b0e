from typing_extensions import override

from reference_impl.answers import Answer
from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="acknowledged-is-durable", under="ledger-write-failure", also=("database-down",))
class SwallowsDatabaseErrors(CallbackIntake):
    """Catches every error and says thank you: what the database did not take is never sent again.

    Seen in production: github.com/buggyblues/shadow/pull/148.
    """

    @override
    def on_database_error(self, error: Exception) -> Answer:
        """Not acknowledged. Also when only the answer to COMMIT was lost: the claim will tell when it comes again."""
        return self.acknowledge()
