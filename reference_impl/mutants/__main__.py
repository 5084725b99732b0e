"""`python -m reference_impl.mutants NAME`: the reference service, with one planted bug. With a command behind it: that instead."""

import sys

from reference_impl.__main__ import serve
from reference_impl.mutants import catalogue

if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(f"usage: python -m reference_impl.mutants NAME [COMMAND …]; there are: {', '.join(catalogue())}")
    try:
        chosen = catalogue()[sys.argv[1]]
    except LookupError as error:
        sys.exit(str(error.args[0]))
    if len(sys.argv) > 2:
        from reference_impl.commands import PARTS, app

        PARTS.set(chosen.parts)
        app(sys.argv[2:], prog_name=f"python -m reference_impl.mutants {chosen.name}")
    serve(chosen.parts)
