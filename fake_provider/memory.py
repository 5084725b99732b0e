"""What outlives the process: a provider's books are in a database, so its death costs it no more than what it was doing.

Here they are written once, at the moment of death, and read once, by the next process. What is lost: requests that were
not answered; callbacks in flight, of which nobody will ever know whether they were heard; those are tried again on
their schedule; and what a mood had the bank still do, which then never happens.
"""

import os
import pickle
import signal
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from fake_provider.dialects import Notice, Wire
from fake_provider.doors import Doors
from fake_provider.idempotency import Keys
from fake_provider.moods import Moods
from fake_provider.records import Book, Journal
from fake_provider.shipments import Callback, Ticket


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What of deliveries is remembered."""

    waiting: dict[Ticket, Callback]
    in_flight: dict[Ticket, Callback]
    acknowledged: set[Ticket]
    copies: Counter[tuple[Ticket, int]]
    numbered: int
    genuine: dict[str, Wire]
    told: dict[str, Notice]
    doors: Doors


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """All that is true, at one moment. `lives` counts the processes that have had it."""

    lives: int
    now: datetime
    journal: Journal
    book: Book
    keys: Keys
    moods: Moods
    posted: Posted


def die(memory: Memory, path: Path) -> None:
    """Write it down, and be gone between two instructions, like anything that is killed."""
    path.write_bytes(pickle.dumps(memory))
    os.kill(os.getpid(), signal.SIGKILL)


def recalled(path: Path) -> Memory | None:
    """What an earlier life left at *path*, once; None for the first."""
    if not path.exists():
        return None
    memory = pickle.loads(path.read_bytes())  # noqa: S301 - our own, from the process before this one
    path.unlink()
    assert isinstance(memory, Memory)
    return memory
