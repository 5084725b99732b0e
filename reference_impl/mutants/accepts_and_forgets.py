from typing_extensions import override

from reference_impl.admission import Admission, Compartment
from reference_impl.answers import Answer
from reference_impl.mutants import mutant


@mutant(caught_by="acknowledged-is-durable", under="flood-of-callbacks")
class AcceptsAndForgets(Admission):
    """Thanks for what it has no room for, so that the sender is content: it is never sent again, and was never stored."""

    @override
    def turn_away(self, compartment: Compartment) -> Answer:
        """Nothing was done, and nothing is kept: whoever is told so comes again, the provider by its schedule."""
        return Answer(202)
