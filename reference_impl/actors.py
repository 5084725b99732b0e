"""Who acts, in what happens now. Said once where a request is authenticated, and read where something is written down."""

from contextvars import ContextVar

NOBODY = "service"
"""What happens by the clock, on nobody's behalf."""

_actor: ContextVar[str] = ContextVar("actor", default=NOBODY)


def acting(actor: str) -> None:
    """From here on, what happens in this request is *actor*'s doing: `customer:ann`, `operator:eve`."""
    _actor.set(actor)


def current_actor() -> str:
    """Who acts now; `NOBODY` outside of any request."""
    return _actor.get()
