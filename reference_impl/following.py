"""`python -m reference_impl.following`: the version after this one, to rehearse a rolling restart with.

It migrates the database further than this version knows, and writes what this one does not; for the rest it is the same. So
both can be run side by side, and the later one rolled back, before there is a later one. A name behind it is that of a
planted bug which it has.
"""

import sys
from dataclasses import replace
from typing import ClassVar, cast

from reference_impl.__main__ import serve
from reference_impl.callbacks import CallbackIntake
from reference_impl.migrate import Schema
from reference_impl.parts import Parts


class FollowingIntake(CallbackIntake):
    """Says of each callback which version read it."""

    REMEMBER: ClassVar[str] = CallbackIntake.REMEMBER.replace("outcome)", "outcome, read_by)").replace(
        "$5)", "$5, 'following')"
    )


def following(parts: Parts) -> Parts:
    """The same parts, a version later."""
    later = type("FollowingSchema", (parts.schema,), {"FURTHER": (("callbacks", "read_by"),)})
    return replace(parts, schema=cast("type[Schema]", later), callbacks=FollowingIntake)


def parts_of(name: str) -> Parts:
    """Those of the planted bug of that name; the service's own, where there is none."""
    if not name:
        return Parts()
    from reference_impl.mutants import catalogue

    return catalogue()[name].parts


if __name__ == "__main__":
    serve(following(parts_of("".join(sys.argv[1:2]))))
