"""The toxics themselves, in asyncio: what Toxiproxy does to bytes, for machines that have no Toxiproxy.

    reader ──▶ stage ──▶ stage ──▶ outlet          one `Pipe` for each direction of each connection

A stage is one toxic at work. It has a queue in front of it and a task of its own, so that a stage that holds what it
has holds up everything behind it, as a real wire would. When its toxic ends, what it holds passes at once and in order,
and then it is taken out; bytes are lost only where losing them is the toxic's purpose.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, TypeAlias

from typing_extensions import override

from harness.wire.toxic_kinds import Toxic


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some bytes, and when they came or should have come (the loop's time)."""

    data: bytes
    at: float


class End:
    """The end of the stream."""


class Wake:
    """Nothing: a stage that waits for something to come should look up, for its toxic has ended."""


END, WAKE = End(), Wake()
Outlet: TypeAlias = Callable[[Chunk | End], Coroutine[Any, Any, None]]


class Pipe:
    """One direction of one connection: the stages that bytes pass, and the outlet that writes them."""

    def __init__(self, outlet: Outlet, rng: Random) -> None:
        self._outlet = outlet
        self._rng = rng
        self._stages: list[Stage] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def feed(self, item: Chunk | End) -> None:
        """Put *item* in at the beginning; waits while the first stage has no room."""
        await self._pass(0, item)

    async def feed_after(self, stage: "Stage", item: Chunk | End) -> None:
        """Hand on what *stage* lets go."""
        await self._pass(self._stages.index(stage) + 1, item)

    def add(self, key: object, toxic: Toxic) -> None:
        """*toxic* begins, behind those that are there; *key* names it for `end`."""
        stage = STAGES[toxic.kind](self, key, toxic, self._rng)
        self._stages.append(stage)
        self.spawn(stage.run())

    def end(self, key: object) -> None:
        """The toxic that was added under *key* ends; nothing happens when there is none."""
        for stage in self._stages:
            if stage.key == key:
                stage.end()

    def unlink(self, stage: "Stage") -> None:
        """*stage* has ended and holds nothing: those before it feed those after it from now on."""
        self._stages.remove(stage)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run *work* as long as the pipe lives."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop every stage; what they hold is lost."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass(self, position: int, item: Chunk | End) -> None:
        if position < len(self._stages):
            await self._stages[position].feed(item)
        else:
            await self._outlet(item)


class Stage:
    """A toxic that lets everything pass; the others override `treat`."""

    room = 1  # items that wait in front of it before it holds up what is behind

    def __init__(self, pipe: Pipe, key: object, toxic: Toxic, rng: Random) -> None:
        self.key = key
        self.settings: Mapping[str, int] = toxic.attributes
        self.rng = rng
        self.closed = False
        self.pipe = pipe
        self._acts = toxic.toxicity == 1
        self._ended = asyncio.Event()
        self._queue: asyncio.Queue[Chunk | End | Wake] = asyncio.Queue(self.room)
        self._feeders = 0

    async def treat(self, item: Chunk | End) -> None:
        """What this toxic does with each item while it lasts."""
        await self.emit(item)

    def patience(self) -> float | None:
        """Seconds without an item after which the stream is closed; None waits for ever."""
        return None

    async def run(self) -> None:
        """Treat what comes until the toxic has ended and everything that it held has passed."""
        while not self._is_done():
            item = await self._next()
            if isinstance(item, Wake) or self.closed:
                continue
            if self._acts and not self._ended.is_set():
                await self.treat(item)
            else:
                await self.emit(item)
        self.pipe.unlink(self)

    async def feed(self, item: Chunk | End) -> None:
        """Take *item* over; waits while there is no room."""
        self._feeders += 1
        try:
            await self._queue.put(item)
        finally:
            self._feeders -= 1

    async def emit(self, item: Chunk | End) -> None:
        """Hand *item* on to whatever is next by now."""
        await self.pipe.feed_after(self, item)

    async def close(self) -> None:
        """End the stream here and lose what comes after."""
        if not self.closed:
            self.closed = True
            await self.emit(END)

    def end(self) -> None:
        """The toxic is over: stop waiting, let everything pass."""
        self._ended.set()
        if self._queue.empty():
            self._queue.put_nowait(WAKE)

    async def pause(self, seconds: float | None) -> None:
        """Wait that long (None: for ever), but not beyond the toxic's end."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return

    async def _next(self) -> Chunk | End | Wake:
        limit = self.patience() if self._acts and not self._ended.is_set() and not self.closed else None
        try:
            async with asyncio.timeout(limit):
                return await self._queue.get()
        except TimeoutError:
            await self.close()
            return WAKE

    def _is_done(self) -> bool:
        """Never once it has closed: then it goes on losing what comes until the connection is gone."""
        return self._ended.is_set() and not self.closed and not self._feeders and self._queue.empty()


class Latency(Stage):
    """Each chunk leaves *latency* ± *jitter* after it came; order is kept."""

    room = 1024  # a long wire holds a lot; the others hold one item

    @override
    async def treat(self, item: Chunk | End) -> None:
        if isinstance(item, Chunk):
            leaves = item.at + self._delay()
            await self.pause(max(0.0, leaves - asyncio.get_running_loop().time()))
            item = Chunk(item.data, leaves)
        await self.emit(item)

    def _delay(self) -> float:
        jitter = self.settings["jitter"]
        return (self.settings["latency"] + self.rng.uniform(-jitter, jitter)) / 1000


class Bandwidth(Stage):
    """*rate* thousand bytes a second, let go every tenth of a second at most; nothing at all when it is 0."""

    @override
    async def treat(self, item: Chunk | End) -> None:
        if isinstance(item, Chunk):
            item = await self._trickle(item)
        await self.emit(item)

    async def _trickle(self, chunk: Chunk) -> Chunk:
        """Lets pieces go at the rate; what is left when the toxic ends (or is small enough) is handed back."""
        rate, data = self.settings["rate"], chunk.data
        if rate == 0:
            await self.pause(None)
            return chunk
        while len(data) > rate * 100 and not self._ended.is_set():
            await self.pause(0.1)
            await self.emit(Chunk(data[: rate * 100], chunk.at))
            data = data[rate * 100 :]
        await self.pause(len(data) / (rate * 1000))
        return Chunk(data, chunk.at)


class SlowClose(Stage):
    """Only the end is late."""

    @override
    async def treat(self, item: Chunk | End) -> None:
        if isinstance(item, End):
            await self.pause(self.settings["delay"] / 1000)
        await self.emit(item)


class Timeout(Stage):
    """Loses everything; closes when nothing has come for *timeout*, and when it is removed, whatever its toxicity."""

    @override
    async def treat(self, item: Chunk | End) -> None:
        if isinstance(item, End):
            await self.close()

    @override
    def patience(self) -> float | None:
        return self.settings["timeout"] / 1000 or None

    @override
    def end(self) -> None:
        if not self.closed:
            self.closed = True
            self.pipe.spawn(self.emit(END))
        super().end()


class ResetPeer(Stage):
    """Closes at the first item; that this is a reset is the sockets' doing (see `lingers`)."""

    @override
    async def treat(self, item: Chunk | End) -> None:
        await asyncio.sleep(self.settings["timeout"] / 1000)
        await self.close()


class Slicer(Stage):
    """Chunks in pieces of *average_size* ± *size_variation* bytes, *delay* µs after each."""

    @override
    async def treat(self, item: Chunk | End) -> None:
        while isinstance(item, Chunk) and item.data and not self._ended.is_set():
            size = self._size()
            await self.emit(Chunk(item.data[:size], item.at))
            item = Chunk(item.data[size:], item.at)
            await self.pause(self.settings["delay"] / 1_000_000)
        if isinstance(item, End) or item.data:
            await self.emit(item)

    def _size(self) -> int:
        variation = self.settings["size_variation"]
        return self.settings["average_size"] + self.rng.randint(-variation, variation)


class LimitData(Stage):
    """*bytes* pass, then the end."""

    passed = 0

    @override
    async def treat(self, item: Chunk | End) -> None:
        if isinstance(item, End):
            await self.close()
            return
        data = item.data[: self.settings["bytes"] - self.passed]
        self.passed += len(data)
        if data:
            await self.emit(Chunk(data, item.at))
        if self.passed >= self.settings["bytes"]:
            await self.close()


STAGES: Mapping[str, type[Stage]] = {
    "latency": Latency,
    "bandwidth": Bandwidth,
    "slow_close": SlowClose,
    "timeout": Timeout,
    "reset_peer": ResetPeer,
    "slicer": Slicer,
    "limit_data": LimitData,
}


def lingers(toxics: Iterable[Toxic]) -> bool:
    """Do connections that begin under *toxics* end with a reset? Decided once, when they begin, as Toxiproxy does."""
    return any(toxic.kind == "reset_peer" for toxic in toxics)
