from typing_extensions import override

from reference_impl.limits import Limits
from reference_impl.mutants import mutant


@mutant(caught_by="crafted-requests-are-refused", under="crafted-requests")
class SwallowsWhateverComes(Limits):
    """Reads a body to its end before it looks at anything, however long it is: whoever can reach it fills its memory.

    Seen in public: github.com/adnanh/webhook/issues/756.
    """

    @override
    def too_long(self, size: int) -> bool:
        """Whether a body of so many bytes is longer than anything that is meant."""
        return False
