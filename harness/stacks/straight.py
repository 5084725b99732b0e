"""No proxy at all, for stacks on which nobody makes weather: each link goes from its tap straight to its server.

A sweep and an interleaving operate on single messages, which is the taps' work; a proxy that passes everything on would cost a
sixth of their time and break nothing.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from harness.wire.toxic_kinds import Stream, ToxicError


class StraightProxy:
    """The way to one server, and nothing on it."""

    def __init__(self, name: str, upstream: tuple[str, int]) -> None:
        self.name, self.address = name, upstream

    def toxic(self, kind: str, stream: Stream, **attributes: int) -> AbstractAsyncContextManager[None]:
        """Raises `ToxicError`: there is none here."""
        raise ToxicError(
            f"{kind} on {self.name}: this stack was made without weather; carry the plan out with `replay`"
        )

    def down(self) -> AbstractAsyncContextManager[None]:
        """Raises `ToxicError`: nothing here can be down."""
        raise ToxicError(f"{self.name} down: this stack was made without weather; carry the plan out with `replay`")


class StraightServer:
    """Makes them."""

    backend = "none: what is broken here is broken by the taps"
    remarks: Sequence[str] = ()

    async def create(self, name: str, upstream: tuple[str, int]) -> StraightProxy:
        return StraightProxy(name, upstream)

    async def reset(self) -> None:
        """Nothing was done."""

    async def close(self) -> None:
        """Nothing was opened."""
