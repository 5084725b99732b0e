"""Many shots at once: plain ones one behind the other on one connection, the others each through a door of its own.

A receiver answers the requests of one connection in their order (RFC 9112, section 9.3.2), so each answer is its own shot's. What
was not answered because the connection ended is sent again, alone. Who ends connections often gets one request at a time.
"""

import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socket import socket

from harness.engines.fuzz.door import Door, Heard, Reading, Shot, write

WINDOW = 16
"""So many requests are on their way before an answer is read. A receiver reads on while there is room for its answers."""
ENDINGS_MAX = 8
DOORS = 64


class Row:
    """One connection after the other, each used for as many shots as it takes."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self.endings = 0
        self.heard: list[Heard] = []
        self._answered = 0.0
        self._waiting: deque[tuple[Shot, float]] = deque()
        self._connection: socket | None = None
        self._reading: Reading | None = None

    @property
    def in_step(self) -> bool:
        """Whether it is sure that each answer was to its own shot."""
        return self.endings <= ENDINGS_MAX

    def send(self, shots: Iterable[Shot]) -> Sequence[Heard]:
        """What came back for each, in their order."""
        try:
            for shot in shots:
                self._write(shot)
                if len(self._waiting) >= WINDOW:
                    self._read()
            while self._waiting:
                self._read()
        finally:
            self._end()
        return self.heard

    def _write(self, shot: Shot) -> None:
        if self._connection is None:
            try:
                self._connection = self.door.connect()
            except OSError:
                self.heard.append(self.door.send(shot))  # says itself why not
                return
            self._reading = Reading(self._connection, 0.0)
        self._waiting.append((shot, time.monotonic()))
        write(self._connection, shot)  # where that breaks off, there will be no answer

    def _read(self) -> None:
        assert self._reading is not None, "what is waited for was written"
        shot, written = self._waiting.popleft()
        self._reading.wait_until(time.monotonic() + self.door.timeout_s)
        heard = self._reading.heard(max(written, self._answered), "")
        self._answered = time.monotonic()
        if heard.status is None:
            self._end()
            heard = self.door.send(shot)
        elif self._reading.ends:
            self._end()
        self.heard.append(heard)
        if self._connection is None:
            self.endings += 1
            unanswered, self._waiting = self._waiting, deque()
            for shot, _ in unanswered:
                self._write(shot)

    def _end(self) -> None:
        if self._connection is not None:
            with suppress(OSError):
                self._connection.close()
        self._connection = self._reading = None


def each_alone(door: Door, shots: Iterable[Shot]) -> Sequence[Heard]:
    """One after the other, each answered before the next is sent."""
    return [door.send(shot) for shot in shots]


def side_by_side(door: Door, shots: Iterable[Shot]) -> Sequence[Heard]:
    """Each through a door of its own: for what is no plain request, and may take its time."""
    with ThreadPoolExecutor(DOORS) as threads:
        return list(threads.map(lambda shot: Door(door.place, door.timeout_s).send(shot), shots))
