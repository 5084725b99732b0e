from typing_extensions import override

from reference_impl.answers import Answer, problem
from reference_impl.callbacks import CallbackIntake
from reference_impl.mutants import mutant


@mutant(caught_by="settles-in-time", under="never-acknowledged")
class ErrsOnDuplicates(CallbackIntake):
    """Answers a duplicate with an error: the provider, who did not hear the first yes, never gets one.

    Seen in production: github.com/polarsource/polar/issues/7170.
    """

    @override
    def answer_duplicate(self) -> Answer:
        """Success, as the first time: anything else would make the provider go on for days."""
        return Answer(409, problem("duplicate", "This payment was processed before."))
