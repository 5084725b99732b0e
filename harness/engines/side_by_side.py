"""Several stacks at once, each in a process of its own: one hands out the jobs, the others carry them out.

A run waits most of its life (for a timeout, for a service that loads), so more stacks than cores keep the cores busy. The
workers are forked before anything is started, so that what is loaded is loaded once; each has its own stack, its own
secrets and its own history, and gives back finished runs. They end with the one that forked them, however that ends.
"""

import asyncio
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from pathlib import Path
from random import Random
from types import FrameType

from harness.engines.suite import Job, Order, Progress, Watcher, carry_out_one, rounds
from harness.provider import Speech
from harness.run import Run
from harness.stack import StackError
from harness.stacks.children import tie_to
from harness.stacks.nurseries import Nurseries, Preloads, nurseries
from harness.stacks.processes import processes

END_S = 20.0
FRESH_AFTER = 60
"""After so many runs the service is given a fresh database: what earlier ones have left open, each reconciliation asks about."""


@dataclass(frozen=True, slots=True)
class Service:
    """What every stack serves to begin with: a mutant (None is the service itself), callbacks in a dialect (None: the target's)."""

    mutant: str | None
    dialect: str | None


@dataclass(frozen=True, slots=True)
class Up:
    """A worker's stack is up, and its provider can tell so much."""

    remarks: tuple[str, ...]
    took_s: float
    speech: Speech


@dataclass(frozen=True, slots=True)
class Done:
    """A job is done; its history is these bytes of the worker's own file."""

    number: int
    run: Run
    begins: int
    ends: int


@dataclass(slots=True)
class Worker:
    """A process that carries out one job at a time, as the one that forked it sees it."""

    number: int
    process: ForkProcess
    line: Connection
    history: Path
    job: str | None = None
    up: bool = False

    def is_free(self) -> bool:
        return self.up and self.job is None

    def send(self, what: tuple[int, Job] | None) -> None:
        """A numbered job, or None: no more of them. A worker that is gone is told of when its answer is waited for."""
        with suppress(BrokenPipeError):
            self.line.send(what)

    def hear(self) -> Up | Done:
        """What it says next. Raises what went wrong there, `StackError` when it is gone."""
        try:
            said = self.line.recv()
        except (EOFError, ConnectionError):
            self.process.join(END_S)
            what = f"at {self.job!r} " if self.job else ""
            raise StackError(f"worker {self.number} ended {what}with {self.process.exitcode}") from None
        if isinstance(said, BaseException):
            raise said
        assert isinstance(said, Up | Done)
        return said


def carry_out_side_by_side(order: Order, progress: Progress, watcher: Watcher) -> bool:
    """Carry out every job of *order* on `order.workers` stacks, adding to *progress*; true when it was interrupted."""
    first = order.jobs[0]
    return with_a_crew(order, Service(first.mutant, first.dialect), progress, watcher, lambda foreman: foreman.work())


def with_a_crew(
    order: Order, serving: Service, progress: Progress, watcher: Watcher, work: Callable[["Foreman"], None]
) -> bool:
    """Have *work* done by `order.workers` stacks, adding to *progress*; true when it was interrupted."""
    with nurseries(order.target, progress.folder / "logs") as shared:
        crew = [_hire(number, order, serving, progress, shared) for number in range(1, order.workers + 1)]
        return _directed(Foreman(order, progress, watcher, crew), work)


def _directed(foreman: "Foreman", work: Callable[["Foreman"], None]) -> bool:
    progress, crew, finished = foreman.progress, foreman.crew, foreman.finished
    interrupted = False
    try:
        with _interruptible():
            work(foreman)
    except KeyboardInterrupt:
        interrupted = True
    finally:
        began = time.monotonic()
        _dismiss(crew, at_once=interrupted or sys.exc_info()[0] is not None)
        progress.spent["stack down"] = time.monotonic() - began
        in_order = [finished[number] for number in sorted(finished)]
        progress.runs[:] = [done.run for _, done in in_order]
        _join_histories(progress.folder / "history.jsonl", crew, in_order)
    return interrupted


@dataclass(slots=True)
class Foreman:
    """Hands out jobs to whoever is free, and collects what comes of them."""

    order: Order
    progress: Progress
    watcher: Watcher
    crew: Sequence[Worker]
    finished: dict[int, tuple[Worker, Done]] = field(default_factory=dict)
    given: int = 0
    _speech: Speech | None = None

    def work(self) -> None:
        """Round after round, each to its last job, because the next is made of what came of it."""
        for number, jobs in enumerate(rounds(self.order, self.progress, self._runs)):
            # What others are made of is compared, so one stack does all of it: each has opened other connections by then.
            crew = self.crew[:1] if number == 0 and self.order.then is not None else self.crew
            if not self.all(jobs, crew):
                return

    def speech(self) -> Speech:
        """What the provider can tell, as soon as one stack is up."""
        while self._speech is None:
            self._hear_one()
        return self._speech

    def _runs(self) -> Sequence[Run]:
        return [self.finished[number][1].run for number in sorted(self.finished)]

    def all(self, jobs: Iterable[Job], crew: Sequence[Worker]) -> bool:
        """Each to its end, the next asked for only when somebody is free for it. False when the time for it was over before
        they were all begun.
        """
        waiting, exhausted = iter(jobs), False
        with self.progress.timed("runs"):
            while True:
                over = self.progress.is_over(self.order)
                while not over and not exhausted and (free := next(filter(Worker.is_free, crew), None)):
                    if (job := next(waiting, None)) is None:
                        exhausted = True
                    else:
                        self._give(free, job)
                if (over or exhausted) and not any(worker.job for worker in self.crew):
                    return exhausted or next(waiting, None) is None
                self._hear_one()

    def _give(self, worker: Worker, job: Job) -> None:
        self.given += 1
        worker.job = job.plan.name
        self.watcher.begins(worker.job)
        worker.send((self.given, job))

    def _hear_one(self) -> None:
        for line in wait([worker.line for worker in self.crew]):
            worker = next(worker for worker in self.crew if worker.line is line)
            match worker.hear():
                case Up(remarks, took_s, speech):
                    worker.up, self._speech = True, speech
                    self.progress.remarks = remarks
                    self.progress.spent.setdefault("stack up", took_s)
                case Done() as done:
                    worker.job = None
                    self.finished[done.number] = worker, done
                    self.progress.runs.append(done.run)
                    self.watcher.finished(done.run)


def _hire(number: int, order: Order, serving: Service, progress: Progress, shared: Nurseries) -> Worker:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    mine, theirs = multiprocessing.Pipe()
    history = progress.folder / f"history-{number}.jsonl"
    preloads = shared.lines()
    process = multiprocessing.get_context("fork").Process(
        target=_serve,
        args=(_Post(number, order, serving, progress.folder, history, theirs, preloads), os.getpid()),
        name=f"worker {number}",
    )
    process.start()
    theirs.close()
    preloads.let_go()
    return Worker(number, process, mine, history)


def _dismiss(crew: Sequence[Worker], *, at_once: bool) -> None:
    """They end their stacks; one that does not is killed, and its stack with it."""
    for worker in crew:
        if at_once and worker.process.is_alive():
            worker.process.terminate()
        worker.send(None)
    for worker in crew:
        worker.process.join(END_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join(END_S)
        worker.line.close()


def _join_histories(whole: Path, crew: Sequence[Worker], finished: Sequence[tuple[Worker, Done]]) -> None:
    """One history, its runs in the order of their jobs. Then the workers' own are only in the way."""
    parts = {worker.number: worker.history.read_bytes() for worker in crew if worker.history.exists()}
    with whole.open("wb") as sink:
        for worker, done in finished:
            sink.write(parts[worker.number][done.begins : done.ends])
    for worker in crew:
        worker.history.unlink(missing_ok=True)


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is heard like Ctrl-C."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# In the worker


@dataclass(frozen=True, slots=True)
class _Post:
    """What a worker is told when it is forked."""

    number: int
    order: Order
    serving: Service
    folder: Path
    history: Path
    line: Connection
    preloads: Preloads


def _serve(post: _Post, parent: int) -> None:
    """The whole life of a worker."""
    # Whatever draws on the terminal is the parent's, and may have been in the middle of it when we were forked.
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
    tie_to(parent, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of us; the parent says what it means
    with suppress(asyncio.CancelledError):
        asyncio.run(_until_told_to_end(post))


async def _until_told_to_end(post: _Post) -> None:
    work = asyncio.ensure_future(_carry_out(post))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    try:
        await work
    except Exception as error:
        post.line.send(error)


async def _carry_out(post: _Post) -> None:
    order, line = post.order, post.line
    serving = post.serving.mutant
    opening = time.monotonic()
    rng, logs = Random(f"{order.seed}, worker {post.number}"), post.folder / "logs" / str(post.number)
    async with processes(
        order.target,
        logs,
        rng,
        mutant=serving,
        named=order.named,
        dialect=post.serving.dialect,
        weather=order.weather,
        preloads=post.preloads,
    ) as stack:
        line.send(Up(stack.remarks, time.monotonic() - opening, await stack.provider.speech()))
        with post.history.open("w", encoding="utf-8") as sink:
            served = 0
            while (said := await _next(line)) is not None:
                run_number, job = said
                if job.mutant != serving or served == FRESH_AFTER:
                    await stack.serve(job.mutant)
                    serving, served = job.mutant, 0
                served += 1
                begins = sink.tell()
                run = await carry_out_one(job, stack, run_number, sink)
                line.send(Done(run_number, run, begins, sink.tell()))


async def _next(line: Connection) -> tuple[int, Job] | None:
    """The next job. The stack lives on while there is none."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(line.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line.fileno())
    try:
        said: tuple[int, Job] | None = line.recv()
    except EOFError:
        return None
    return said
