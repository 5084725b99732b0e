"""A running system that faults may reach into: nodes that can be killed, links that can be troubled."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from harness.history import Recorder
from harness.provider import ProviderControl
from harness.target import Target
from harness.wire.framing import ARROWS, Crossing
from harness.wire.surgery import Surgery
from harness.wire.tap import Tap, titled
from harness.wire.toxic_kinds import Stream
from harness.witness import Watch

if TYPE_CHECKING:
    import asyncpg


class StackError(Exception):
    """The stack did not come up; the message says which part, why, and where its log is."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a start of the service ended: `code` is its exit code, None where it was up and served. `says` are its last lines."""

    code: int | None
    says: str


class Node(Protocol):
    """A process that can be killed, paused and started again, on the same port."""

    name: str

    @property
    def alive(self) -> bool: ...

    async def kill(self) -> None: ...

    async def start(self) -> None: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Proxy(Protocol):
    """One listener in front of one upstream, and the weather between them."""

    @property
    def name(self) -> str: ...

    @property
    def address(self) -> tuple[str, int]:
        """Where clients connect; the same from creation to close."""

    def toxic(self, kind: str, stream: Stream, **attributes: int) -> AbstractAsyncContextManager[None]:
        """The toxic acts while the block runs, on new and existing connections; what it adds it removes.

        With Toxiproxy, a chunk that a toxic holds is let go whenever another toxic of the same stream comes or goes
        right behind it; so let a stall that must hold be the last one added, and the first one removed.
        """

    def down(self) -> AbstractAsyncContextManager[None]:
        """While the block runs: connecting is refused; connections that were open are closed. Nests."""


class Link:
    """One named edge: `edge`, `api`, `hook` or `db`. Upstream is towards the link's server."""

    def __init__(self, name: str, tap: Tap, weather: Proxy) -> None:
        self.name, self.tap, self._weather = name, tap, weather

    @property
    def url(self) -> str:
        """Where the link's client connects to, as host and port."""
        host, port = self.tap.address
        return f"{host}:{port}"

    def toxic(self, kind: str, stream: Stream, **attributes: Any) -> AbstractAsyncContextManager[None]:
        return self._weather.toxic(kind, stream, **attributes)

    def down(self) -> AbstractAsyncContextManager[None]:
        return self._weather.down()

    def crossings(self) -> int:
        """How much traffic has passed; proves that a fault touched some."""
        return self.tap.crossings


class Wire:
    """All taps together: writes what crosses into the history of the run at hand, and arms surgeries."""

    def __init__(self) -> None:
        self.recorder: Recorder | None = None
        self._surgeries: list[tuple[Tap, Surgery]] = []

    def crossed(self, link: str, connection: int, crossing: Crossing, held_s: float) -> None:
        """Write it down as it is passed on; where the tap held it, also since when."""
        assert crossing.label is not None
        for _, surgery in self._surgeries:
            surgery.notice(link, crossing.label)
        if self.recorder is not None:
            arrow = ARROWS[crossing.direction]
            held = {"arrived": self.recorder.ago(held_s)} if held_s else {}
            self.recorder.record(
                "harness",
                "crossing",
                link=link,
                direction=crossing.direction,
                label=f"{link} {arrow} {titled(crossing)}",
                connection=connection,
                **crossing.facts,
                **held,
            )

    def operated(self, surgery: Surgery) -> None:
        if self.recorder is not None:
            action = f"{surgery.did} {surgery.point}"
            self.recorder.record("harness", "surgery", link=surgery.link, label=surgery.hit, action=action)

    def tell(self, kind: str, facts: Mapping[str, Any]) -> None:
        """Write down what somebody who stands at the taps decided."""
        if self.recorder is not None:
            self.recorder.record("harness", kind, **facts)

    def schedule(self, tap: Tap, surgery: Surgery) -> None:
        tap.surgeries.append(surgery)
        self._surgeries.append((tap, surgery))

    def cancel(self, surgery: Surgery) -> None:
        for tap, each in self._surgeries:
            if each is surgery:
                tap.surgeries.remove(surgery)
        self._surgeries = [(tap, each) for tap, each in self._surgeries if each is not surgery]


class Stack(Protocol):
    """Everything that a run needs of a running system."""

    target: Target
    target_file: Path
    directory: Path
    provider: ProviderControl
    wire: Wire
    named: set[str]
    """Top-ups that the clients of plans that are over were told of."""

    @property
    def nodes(self) -> Mapping[str, Node]: ...

    @property
    def links(self) -> Mapping[str, Link]: ...

    @property
    def proxies(self) -> str:
        """Which back end the links' weather is made by."""
        ...

    @property
    def service_url(self) -> str:
        """Where the service listens, past every link: where its books are read."""
        ...

    @property
    def secrets(self) -> Mapping[str, str]:
        """What must never be found in a log, by name."""
        ...

    def settings(self, named: str) -> AbstractAsyncContextManager[None]:
        """While the block runs, the service is up with these settings of its target file too, and afterwards without them.

        A target that has none of that name stays as it is.
        """
        ...

    async def start_mixed(self, mix: str) -> Start:
        """Start another process of the service with settings that do not belong together, and end it if it serves.

        Raises `StackError` when it does neither in time.
        """
        ...

    async def adopt_secret(self, now: datetime) -> None:
        """Make the next callback secret known to the service. Raises `StackError` when it does not come up with it."""
        ...

    async def rotate_secret(self, now: datetime, overlap_s: float, old_for_s: float) -> None:
        """Have the provider sign with it, and the service told when the old one ends. Raises `StackError` likewise."""
        ...

    @property
    def principal_keys(self) -> Mapping[str, str]:
        """The secret of each principal of the target, by name."""
        ...

    async def watch(self) -> Watch:
        """Somebody who sees the database of the service that is up, past every link. Raises `StackError` where nobody can."""
        ...

    def owner(self) -> AbstractAsyncContextManager["asyncpg.Connection[asyncpg.Record]"]:
        """A connection of whoever owns the service's database, past every link. Raises `StackError` where nobody can say."""
        ...

    async def save(self) -> Path:
        """Have the service back itself up, while it serves; where to. Raises `StackError` when it does not, or cannot."""
        ...

    async def restore(self, folder: Path) -> None:
        """The database is gone, and the service comes up on an empty one that was restored from *folder*."""
        ...

    def beside(self, link: str) -> AbstractAsyncContextManager[Callable[[], int]]:
        """A later version of the service runs beside this one, on its database, and new connections of the link go to it.

        Yields how many did. Raises `StackError` when it does not start.
        """
        ...

    def log_lines(self) -> Mapping[str, list[str]]:
        """What each node wrote since it was last asked."""
        ...
