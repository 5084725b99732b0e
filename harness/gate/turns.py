"""Each engine's turn: the very command that a person would type, in a process of its own, within its part of the time.

A process of its own, so that an engine that crashes or hangs takes nothing with it, and so that its part of the time can be
kept: told to begin nothing more, then to end, then ended.
"""

import asyncio
import os
import shlex
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from harness.engines.suite import program
from harness.gate.budget import ENDING_MIN_S, TURN_MIN_S, Share, ending_s, turn_s
from harness.gate.profile import Engine, Explore, Fuzz, Interleave, Load, Profile, Suite, Sweep
from harness.gate.reading import Unreadable, read_left
from harness.gate.result import Turn, both
from harness.stacks.children import Child, start_child

LOAD_SHORTEST_S = 5
LOAD_AROUND_S = 10.0
"""What a stack and the judging take beside the payers' time."""
KILLING_S = 2.0
"""Kept back of what an engine has to end in, for when it does not."""
TELLING_S = 20.0
SAYS = {0: "holds", 1: "broken", 2: "could not begin", 3: "unknown", 70: "crashed", 130: "was stopped"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What every engine is told beside its own options."""

    profile: Profile
    seed: int
    options: Sequence[str]
    """`--seed`, and `--target` and `--mutant` where they are not the reference's."""
    folder: Path
    program: Sequence[str] = (sys.executable, "-m", "harness.cli")


@dataclass(frozen=True, slots=True)
class Ordered:
    """An engine that is to have a turn. `words` makes its command of the seconds that it has to begin things."""

    engine: Engine
    name: str
    words: Callable[[float], list[str]]

    @property
    def share(self) -> Share:
        return Share(self.engine.share, self.engine.time_budget_s)


def ordered(wanted: Wanted) -> list[Ordered]:
    """The turns that the profile gives; hostile callbacks have one in each dialect, and share what is theirs."""
    return [each for engine in wanted.profile.engines() for each in _of_engine(engine, wanted)]


def _of_engine(engine: Engine, wanted: Wanted) -> list[Ordered]:
    dialects = wanted.profile.dialects
    match engine:
        case Suite():
            words = ["run", *engine.scenarios, *_each("--dialect", dialects)]
            return [Ordered(engine, "suite", _budgeted(words))]
        case Fuzz():
            told = ["--generated", str(engine.generated), *_each("--attack", engine.attacks)]
            part = engine.model_copy(update={"share": engine.share / max(1, len(dialects))})
            return [
                Ordered(
                    part,
                    f"fuzz {dialect}".rstrip(),
                    _budgeted(["fuzz", *_each("--dialect", filter(None, [dialect])), *told]),
                )
                for dialect in dialects or [""]
            ]
        case Interleave():
            bound = [] if engine.preemptions is None else ["--preemptions", str(engine.preemptions)]
            return [Ordered(engine, "interleave", _budgeted(["interleave", *engine.meetings, *bound]))]
        case Sweep():
            allowed = ["--allow-unreached"] if engine.allow_unreached else []
            narrowed = [*_each("--link", engine.links), *_each("--fault", engine.faults)]
            return [
                Ordered(
                    engine, "sweep", _budgeted(["sweep", *engine.flows, *narrowed, *_side_by_side(engine), *allowed])
                )
            ]
        case Load():
            return [Ordered(engine, "load", lambda seconds: _load(engine, seconds))]
        case Explore():
            return [Ordered(engine, "explore", lambda seconds: _explore(engine, seconds))]
        case _:
            raise AssertionError(f"{engine.name} has no command")


def _each(option: str, values: "Sequence[str] | filter[str]") -> list[str]:
    return [word for value in values for word in (option, value)]


def _budgeted(words: list[str]) -> Callable[[float], list[str]]:
    return lambda seconds: [*words, "--time-budget", f"{seconds:.0f}"]


def _load(engine: Load, seconds: float) -> list[str]:
    time_s = min(engine.time_s, int(seconds - LOAD_AROUND_S))
    return ["load", "--users", str(engine.users), "--spawn-rate", f"{engine.spawn_rate:g}", "--time", str(time_s)]


def _explore(engine: Explore, seconds: float) -> list[str]:
    time_s = min(engine.time_s or seconds, seconds)
    examples = [] if engine.examples is None else ["--examples", str(engine.examples)]
    return ["explore", "--time", f"{time_s:.0f}", *examples, *_side_by_side(engine), "--shorten", "0"]


def _side_by_side(engine: Sweep | Explore) -> list[str]:
    return [] if engine.workers is None else ["--workers", str(engine.workers)]


async def take_turns(
    wanted: Wanted,
    ends: float,
    tell: Callable[[str], None],
    done: list[Turn],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Give every engine its turn, adding to *done*; all of it ends before *ends*, on *clock*.

    One whose plans met nothing to break has a second turn when there is time left, as a slow machine has it. What had no turn
    is there too, and unknown. When it is cancelled, the engine whose turn it is ends, and what it has is kept.
    """
    waiting = ordered(wanted)
    cancelled: asyncio.CancelledError | None = None
    for number, each in enumerate(waiting):
        allowed_s = _part(ends - clock(), each, waiting[number + 1 :])
        why = "it was interrupted" if cancelled else _too_short(each, allowed_s)
        if why:
            done.append(_no_turn(each, wanted, allowed_s, why))
        else:
            turn, cancelled = await _take(each, wanted, allowed_s, tell)
            done.append(turn)
        tell(_told(done[-1]))
    idle = [number for number, turn in enumerate(done) if turn.idle]
    while idle and not cancelled:
        number = idle.pop(0)
        each = waiting[number]
        allowed_s = _part(ends - clock(), each, [waiting[other] for other in idle])
        if not _too_short(each, allowed_s):
            turn, cancelled = await _take(each, wanted, allowed_s, tell, second="-2")
            done[number] = both(done[number], turn)
            tell(_told(done[number]))
    if cancelled:
        raise cancelled


def _part(left_s: float, each: Ordered, later: Sequence[Ordered]) -> float:
    """A part in which nothing can be done helps nobody: then the first come first."""
    fair_s = turn_s(left_s, each.share, [other.share for other in later])
    return fair_s if fair_s >= TURN_MIN_S else min(TURN_MIN_S, left_s)


def _too_short(each: Ordered, allowed_s: float) -> str:
    if isinstance(each.engine, Load) and allowed_s - ending_s(allowed_s) - LOAD_AROUND_S < min(
        LOAD_SHORTEST_S, each.engine.time_s
    ):
        return f"{allowed_s:.0f} s were left for it, which is too short for payers to come"
    return f"{allowed_s:.0f} s were left for it, and a turn takes {TURN_MIN_S:.0f}" if allowed_s < TURN_MIN_S else ""


def _less(engine: Engine, seconds: float) -> Sequence[str]:
    """What an engine that goes on by the clock was not given of what the profile asks for."""
    around = LOAD_AROUND_S if isinstance(engine, Load) else 0.0
    asked = engine.time_s if isinstance(engine, Load | Explore) else None
    if asked is None or seconds - around >= asked:
        return []
    return [f"the time left was enough for {seconds - around:.0f} s of the {asked:g} s that the profile asks for"]


def _no_turn(each: Ordered, wanted: Wanted, allowed_s: float, why: str) -> Turn:
    words = each.words(max(allowed_s, TURN_MIN_S + ENDING_MIN_S))
    return Turn(
        engine=each.engine.name,
        name=each.name,
        again=_again(words, wanted),
        unknown=[f"it did not get its turn: {why}"],
    )


def _again(words: Sequence[str], wanted: Wanted) -> str:
    return f"{program()} {shlex.join([*words, *wanted.options])}"


async def _take(
    each: Ordered, wanted: Wanted, allowed_s: float, tell: Callable[[str], None], second: str = ""
) -> tuple[Turn, asyncio.CancelledError | None]:
    ending = ending_s(allowed_s)
    words = each.words(allowed_s - ending)
    again = _again(words, wanted)
    tell(f"{each.name}: {allowed_s:.0f} s at most · {again}")
    folder = wanted.folder / (each.name.replace(" ", "-") + second)
    folder.mkdir(parents=True)
    began = time.monotonic()
    command = [*wanted.program, *words, *wanted.options, "--out", str(folder)]
    child = start_child(command, {**os.environ, "COLUMNS": "160"}, folder / "output.txt")
    late, cancelled = "", None
    telling = asyncio.create_task(_tell_on(each.name, child, tell))
    try:
        code = await child.wait(allowed_s - ending / 2)
    except TimeoutError:
        late = f"its {allowed_s:.0f} s were over, and it was stopped"
        code = await _stop(child, ending / 2)
    except asyncio.CancelledError as interruption:
        late, cancelled = "it was interrupted", interruption
        code = await _stop(child, ending / 2)
    finally:
        telling.cancel()
    turn = Turn(
        engine=each.engine.name,
        name=each.name,
        again=again,
        allowed_s=allowed_s,
        took_s=time.monotonic() - began,
        unknown=[*_less(each.engine, allowed_s - ending), *filter(None, [late])],
    )
    return _read(turn, folder, each.engine, code, child), cancelled


async def _tell_on(name: str, child: Child, tell: Callable[[str], None]) -> None:
    """Now and then, the last that it said: whoever watches for minutes sees that it goes on."""
    while True:
        await asyncio.sleep(TELLING_S)
        if last := _last_line(child):
            tell(f"  {name}: {last}")


def _last_line(child: Child) -> str:
    return next((line.strip() for line in reversed(child.log_tail().splitlines()) if line.strip()), "")


async def _stop(child: Child, within_s: float) -> int:
    """Have it end and write what it has; kill it when it does not."""
    with suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGTERM)  # to it alone: it ends its own in order
    try:
        return await child.wait(within_s - KILLING_S)
    except TimeoutError:
        child.kill()
        return await child.wait(KILLING_S)


def _read(turn: Turn, folder: Path, engine: Engine, code: int, child: Child) -> Turn:
    """What it left, held against its exit code: one that says more than its report is not believed to hold."""
    said = SAYS.get(code, f"ended with {code}" if code >= 0 else "was killed")
    reports = sorted(path for path in folder.iterdir() if path.is_dir() and not path.is_symlink())
    try:
        if not reports:
            raise Unreadable("it left no report")
        turn = replace(read_left(turn, reports[0], engine), folder=reports[0])
    except Unreadable as wrong:
        last = _last_line(child)
        why = f"it {said}; {wrong}" + (f"; it said: {last}" if last else "")
        return replace(turn, unknown=[*turn.unknown, why])
    if code not in (0, 1, 3, 130) or (code == 1 and not turn.findings):
        return replace(turn, unknown=[*turn.unknown, f"it {said}, and its report does not say why"])
    return turn


def _told(turn: Turn) -> str:
    shown = [
        f"{turn.runs} runs" if turn.runs else "",
        f"{sum(turn.payments.values())} payments" if turn.payments else "",
        f"{turn.callbacks} callbacks" if turn.callbacks else "",
        f"{len(turn.findings)} found" if turn.findings else "",
        f"{turn.took_s:.1f} s",
        turn.unknown[0] if turn.unknown and not turn.findings else "",
    ]
    return f"{turn.status.word:<8} {turn.name:<22} {' · '.join(filter(None, shown))}"
