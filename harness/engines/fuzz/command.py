"""From what was typed to an examination: against a URL, or against a service that is started for it."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from fake_provider.clock import real_time
from fake_provider.pen import Pen, pen
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.cassette import read as read_cassette
from harness.engines.fuzz.door import Door, Place
from harness.engines.fuzz.engine import Examiner
from harness.engines.fuzz.tape import Tape
from harness.engines.fuzz.tape import tape as tape_of
from harness.engines.fuzz.world import Standing, Stranger, Whole, World, in_a_thread, made_up
from harness.finding import Examination
from harness.stacks.processes import processes
from harness.target import TargetError, keys_in, read

ENDS_WITHIN_S = 60.0
NOT_SEEN = (
    "nobody saw what became of the money, only what was answered: --target says how balances are read; --status-only, that "
    "answers are all that is wanted"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Receiver:
    """Who is examined: somebody at a *place*, or the service of *target*, as *mutant* where one is named.

    Of somebody who is up, *target* says how balances are read where it is `watched`. Where it is not, his answers are all that
    there is to judge by: somebody has to say that they are enough (`by_status`), or what was not found is unknown. What is on a
    `cassette` is sent too.
    """

    place: Place | None
    dialect: str | None
    key: str | None = None
    claims: Mapping[str, str]
    target: Path
    mutant: str | None = None
    watched: bool = False
    by_status: bool = False
    cassette: Path | None = None


async def examine(receiver: Receiver, wanted: Wanted, logs: Path, tell: Callable[[str], None]) -> Examination:
    """Everything that was wanted. Raises `BadCassette`. When it is cancelled, what was done so far is what comes back."""
    if receiver.place is not None:
        return await _examine_what_is_up(receiver, receiver.place, wanted, tell)
    rng = Random(wanted.seed)
    started = processes(
        receiver.target, logs, Random(wanted.seed), mutant=receiver.mutant, named=False, dialect=receiver.dialect
    )
    async with started as stack:
        place = Place.of(stack.service_url + stack.callback_path)
        dialect = stack.target.callbacks.dialect
        key, retired = stack.secrets["callback secret"], stack.secrets["retired callback secret"].split()
        world = Whole(stack, asyncio.get_running_loop(), rng)
        try:
            where = replace(wanted, where=f"{wanted.where} ({dialect})")
            tape = _tape(receiver, dialect, signs=True)
            return await _carry_out(_pen(dialect, key, place, rng, retired), Door(place), world, where, tell, tape)
        finally:
            await world.close()


async def _examine_what_is_up(
    receiver: Receiver, place: Place, wanted: Wanted, tell: Callable[[str], None]
) -> Examination:
    assert receiver.dialect is not None, "the command asks for it"
    rng = Random(wanted.seed)
    writing, door, claims = _pen(receiver.dialect, receiver.key, place, rng), Door(place), made_up(rng, receiver.claims)
    tape = _tape(receiver, receiver.dialect, signs=receiver.key is not None)
    if receiver.watched:
        watched = Standing(
            read(receiver.target).knowing(keys_in(os.environ)), door, writing, claims, asyncio.get_running_loop(), rng
        )
        try:
            return await _carry_out(writing, door, watched, wanted, tell, tape)
        finally:
            await watched.close()
    found = await _carry_out(writing, door, Stranger(claims, receiver.key), wanted, tell, tape)
    if receiver.key is None and found.unknown:
        hint = "without --secret-env nothing that is sent is genuine, so a refusal shows nothing"
        found = replace(found, unknown=[*found.unknown, hint])
    if receiver.by_status:
        return replace(found, judged_by="by status alone")
    return replace(found, unknown=[NOT_SEEN]) if found.word == "holds" else found


def _pen(dialect: str, key: str | None, place: Place, rng: Random, retired: Sequence[str] = ()) -> Pen:
    url = f"{place.scheme}://{place.authority}{place.target}"
    try:
        return pen(dialect, key=key, retired=retired, url=url, now=real_time, rng=rng)
    except ValueError as wrong:
        raise TargetError(f"--secret-env: {wrong}") from None


def _tape(receiver: Receiver, dialect: str, *, signs: bool) -> Tape:
    return Tape() if receiver.cassette is None else tape_of(read_cassette(receiver.cassette, dialect), signs=signs)


async def _carry_out(
    pen: Pen, door: Door, world: World, wanted: Wanted, tell: Callable[[str], None], tape: Tape
) -> Examination:
    examiner = Examiner(pen=pen, door=door, world=world, wanted=wanted, tell=tell, tape=tape)
    work = in_a_thread(examiner.examine)
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        examiner.stop.set()  # the thread sends one shot to its end, and no other
        async with asyncio.timeout(ENDS_WITHIN_S):
            return await work
