"""Payers at once, under changing weather: the plan of a load run, drawn from its seed."""

from collections.abc import Mapping
from random import Random

from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Scalar, Step, Wait
from harness.scenario import MONEY, Draft

# Needs the names of what crosses, which taps do not read under load.
UNNAMED = frozenset({"provider-is-not-hammered"})

WEATHER: tuple[tuple[str, Mapping[str, Scalar]], ...] = (
    ("latency", {"link": "db", "ms": 5, "jitter_ms": 4}),
    ("latency", {"link": "api", "ms": 100, "jitter_ms": 80}),
    ("latency", {"link": "edge", "ms": 40, "jitter_ms": 30}),
    ("lose-answers", {"link": "api"}),
    ("lose-requests", {"link": "api"}),
    ("refuse", {"link": "hook"}),
    ("refuse", {"link": "db"}),
    ("mood", {"mood": "duplicate", "copies": 2}),
    ("mood", {"mood": "duplicate-at-once", "copies": 3}),
    ("mood", {"mood": "replay-fresh-id", "times": 1}),
    ("mood", {"mood": "error-after-capture", "n": 1}),
)
CALM_S = 1.0


def load_plan(seed: int, users: int, spawn_rate: float, time_s: int) -> Plan:
    """*users* payers for *time_s* seconds; one kind of weather after another, each for a second, in an order of the seed."""
    rng = Random(seed)
    draft = Draft(rng)
    draft.top_ups(1)
    draft.quiet()
    args: dict[str, Scalar] = {"users": users, "spawn_rate": spawn_rate, "time_s": time_s}
    payers = Meanwhile("payers", (Do((Operation(id="load", kind="load", args=args),)),))
    steps: list[Step] = [*draft.steps(), payers, Wait("time-passed", 2 * CALM_S)]
    fronts = rng.sample(WEATHER, len(WEATHER))
    for number in range(max(1, int((time_s - 3 * CALM_S) / (1 + CALM_S / 2)))):
        fault, weather = fronts[number % len(fronts)]
        begin = Begin(f"w{number + 1}", fault, weather)
        steps += [begin, Wait("time-passed", 1.0), End(begin.id), Wait("time-passed", CALM_S / 2)]
    story = f"{users} payers at once for {time_s} s, while the links have weather."
    about = tuple(name for name in MONEY if name not in UNNAMED)
    return Plan("load", story, seed, (*steps, Join("payers")), about)
