"""Who acts, in what happens now. Said once, where a request is authenticated, and read where something is written down."""

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NOBODY = "service"
"""What happens by the clock, on nobody's behalf."""

TERMINAL = "terminal"
"""Somebody at a terminal whom the system has no name for."""

_actor: ContextVar[str] = ContextVar("actor", default=NOBODY)


@contextmanager
def acting(actor: str) -> Iterator[None]:
    """What happens in the block is *actor*'s doing."""
    token = _actor.set(actor)
    try:
        yield
    finally:
        _actor.reset(token)


def at_the_terminal() -> str:
    """Who is at the terminal, as the operating system names them: whoever has the database's URL could say anything else."""
    try:
        return f"{TERMINAL}:{getpass.getuser()}"
    except (KeyError, OSError):
        return TERMINAL


def current_actor() -> str:
    """Who acts now; `NOBODY` outside of any request."""
    return _actor.get()
