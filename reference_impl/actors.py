"""Who acts, in what happens now. Said once, where a request is authenticated, and read where something is written down."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NOBODY = "service"
"""What happens by the clock, on nobody's behalf."""

_actor: ContextVar[str] = ContextVar("actor", default=NOBODY)


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """What happens in the block is *actor*'s doing."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def current_actor() -> str:
    """Who acts now; `NOBODY` outside of any request."""
    return _actor.get()
