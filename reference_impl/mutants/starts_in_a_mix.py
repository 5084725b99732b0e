import structlog
from typing_extensions import override

from reference_impl.environments import Environments
from reference_impl.mutants import mutant

log = structlog.get_logger()


@mutant(caught_by="mixed-starts-are-refused", under="mixed-start")
class StartsInAMix(Environments):
    """Says in its log that keys, endpoints and database are of different environments, and starts: nobody reads that line.

    Seen in public: github.com/elizaOS/eliza/issues/13752.
    """

    @override
    def refuse(self, why: str) -> None:
        """What comes of a mix: nothing is started."""
        log.warning("settings look mixed", why=why)
