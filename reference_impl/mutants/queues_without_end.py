from typing_extensions import override

from reference_impl.admission import Admission, Compartment
from reference_impl.mutants import mutant


@mutant(caught_by="answered-in-time", under="flood-of-top-ups")
class QueuesWithoutEnd(Admission):
    """Lets everybody in who comes: all wait for the same few connections, and by their turn those who asked have long gone."""

    @override
    def room(self, compartment: Compartment) -> bool:
        """Whether one more may come in."""
        return True
