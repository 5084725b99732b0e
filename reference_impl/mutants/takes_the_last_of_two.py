import json
from typing import Any

from typing_extensions import override

from reference_impl.limits import Bodies
from reference_impl.mutants import mutant


@mutant(caught_by="crafted-requests-are-refused", under="crafted-requests")
class TakesTheLastOfTwo(Bodies):
    """Parses JSON as its library does, which takes the last of a key that is there twice: whoever checked it in front of the
    service read the first.
    """

    @override
    def read(self, body: bytes) -> Any:
        """The JSON object in *body*; `Refused` for what two parsers could read in two ways."""
        return json.loads(body)
