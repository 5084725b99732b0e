"""How many generated callbacks a second `topup-chaos fuzz` sends and judges, beside what bounds it.

`python tests/benchmarks/fuzz.py --dialect stripe` prints for each family: how many are drawn and signed in a second of processor
time when nobody answers; how many the reference service answers when all that it is sent are ready bytes; and how many are really
drawn, sent and judged, in a second and in a second of the harness's own processor time, its taps and proxies included. The first
two bound the third: engine and service have a processor each at best. What is measured by the clock differs with what else the
machine does; what is measured in processor time hardly does.
"""

import argparse
import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded

from fake_provider.clock import real_time
from fake_provider.pen import pen
from harness.cli import REFERENCE
from harness.engines.fuzz.attack import DoesNotFit, Scene
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.chance import Chance
from harness.engines.fuzz.door import Door, Place, Shot
from harness.engines.fuzz.drawing import AT_ONCE, Batch, Generated
from harness.engines.fuzz.engine import Examiner
from harness.engines.fuzz.generated import GENERATED
from harness.engines.fuzz.volley import Row, side_by_side
from harness.engines.fuzz.world import Whole
from harness.stacks.processes import processes


def drawn(family: Generated, scene: Scene, volleys: int) -> tuple[Sequence[Shot], float]:
    """So many volleys, and the seconds of processor time that it took."""
    shots: list[Shot] = []
    began = time.thread_time()
    for number in range(volleys):

        @seeded(number)
        @settings(
            max_examples=2,
            database=None,
            deadline=None,
            phases=(Phase.generate,),
            suppress_health_check=list(HealthCheck),
            verbosity=Verbosity.quiet,
        )
        @given(family.drawn(AT_ONCE))
        def draw(batch: Batch) -> None:
            for make in family.makes(batch).values():
                try:
                    shots.append(make(scene))
                except DoesNotFit:
                    continue

        draw()
    return shots, time.thread_time() - began


def answered(family: Generated, door: Door, shots: Sequence[Shot]) -> float:
    """The seconds in which ready bytes are answered."""
    began = time.monotonic()
    for at in range(0, len(shots), AT_ONCE):
        some = shots[at : at + AT_ONCE]
        if family.plain:
            Row(door).send(some)
        else:
            side_by_side(door, some)
    return time.monotonic() - began


async def measure(dialect: str, volleys: int, logs: Path) -> None:
    rng = Random(1)
    async with processes(REFERENCE, logs, rng, named=False, dialect=dialect) as stack:
        place = Place.of(stack.service_url + stack.callback_path)
        writing = pen(dialect, key=stack.secrets["callback secret"], url="", now=real_time, rng=rng)
        world = Whole(stack, asyncio.get_running_loop(), rng)
        with closing(Door(place)) as door:
            wanted = Wanted(where="reference", seed=1, again="", generated=0)
            examiner = Examiner(pen=writing, door=door, world=world, wanted=wanted, tell=lambda _: None)
            await asyncio.to_thread(examiner.examine)
            print(f"{dialect:<28} {'drawn alone':>12} {'answered alone':>15} {'fuzzed':>8} {'per core':>9}   a second")
            for name, family in GENERATED.items():
                shots, drawing_s = await asyncio.to_thread(drawn, family, examiner.scene(), volleys)
                answering_s = await asyncio.to_thread(answered, family, door, shots)
                began, used = time.monotonic(), time.process_time()
                await asyncio.to_thread(Chance(examiner, family).spend, len(shots))
                took_s, used_s, sent = time.monotonic() - began, time.process_time() - used, examiner.counts[name]
                rates = [len(shots) / drawing_s, len(shots) / answering_s, sent / took_s, sent / used_s]
                print(f"{name:<28} {rates[0]:12.0f} {rates[1]:15.0f} {rates[2]:8.0f} {rates[3]:9.0f}")
            assert not examiner.findings, examiner.findings
        await world.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dialect", default="standard-webhooks")
    parser.add_argument("--volleys", type=int, default=20, help="of 128 callbacks, for each family")
    asked = parser.parse_args()
    with TemporaryDirectory() as logs:
        asyncio.run(measure(asked.dialect, asked.volleys, Path(logs)))
