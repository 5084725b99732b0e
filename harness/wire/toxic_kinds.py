"""Which toxics there are, and what may be asked of each: one table for every back end.

Toxiproxy answers 200 to attributes that it does not know and to some that crash it later, so everything is refused
here, before it is sent. Times are in milliseconds unless the attribute says otherwise, as Toxiproxy has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Literal, TypeAlias

Stream: TypeAlias = Literal["upstream", "downstream"]
STREAMS: tuple[Stream, ...] = ("upstream", "downstream")

DAY_MS = 86_400_000
# Toxiproxy cannot be interrupted while it waits to reset, and gives up on a removal after 25 s.
LONGEST_RESET_MS = 15_000


class ToxicError(ValueError):
    """A toxic was asked for that does not exist or would not do what its attributes say."""


@dataclass(frozen=True)
class Attribute:
    """A whole number between *low* and *high*; without a *default* it must be given."""

    says: str
    high: int
    low: int = 0
    default: int | None = None


@dataclass(frozen=True)
class ToxicKind:
    """One kind of bad weather: what each end of the wire sees, and what can be set."""

    says: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)


TOXICS: Mapping[str, ToxicKind] = {
    "latency": ToxicKind(
        "Bytes arrive later, in order; connecting is not delayed.",
        {
            "latency": Attribute("delay of each chunk, ms", DAY_MS),
            "jitter": Attribute("the delay varies by up to this much either way, ms", DAY_MS, default=0),
        },
    ),
    "bandwidth": ToxicKind(
        "Bytes arrive at this rate. 0 is a stall: the connection lives, and what was held arrives when the toxic ends.",
        {"rate": Attribute("thousands of bytes a second", 10_000_000)},
    ),
    "slow_close": ToxicKind(
        "The end of the stream arrives later; nothing else changes.",
        {"delay": Attribute("delay of the end, ms", DAY_MS)},
    ),
    "timeout": ToxicKind(
        "Bytes are lost. The connection is closed after *timeout* without any (0: never), and when the toxic ends.",
        {"timeout": Attribute("ms without a byte until the close; 0 waits for the removal", DAY_MS, default=0)},
    ),
    "reset_peer": ToxicKind(
        "At the first byte the connection is reset; one that is older than the toxic is closed in order.",
        {"timeout": Attribute("wait before the reset, ms", LONGEST_RESET_MS, default=0)},
    ),
    "slicer": ToxicKind(
        "Bytes arrive in small pieces.",
        {
            "average_size": Attribute("bytes of a piece", 1 << 30, low=1),
            "size_variation": Attribute("a piece is up to this much smaller or larger, bytes", 1 << 30, default=0),
            "delay": Attribute("wait after each piece, µs (microseconds)", 60_000_000, default=0),
        },
    ),
    "limit_data": ToxicKind(
        "This many bytes arrive, then the connection is closed; counted per connection from when the toxic began.",
        {"bytes": Attribute("bytes that still pass", 1 << 40)},
    ),
}


@dataclass(frozen=True)
class Toxic:
    """A toxic that may be asked for: of a known kind, complete, every number within its range."""

    kind: str
    stream: Stream
    attributes: Mapping[str, int]
    toxicity: int = 1


def toxic(kind: str, stream: str, attributes: Mapping[str, object]) -> Toxic:
    """What was asked for, completed with defaults; `ToxicError` says what is wrong with it and what would be right.

    *toxicity* may be among the attributes: 1 (acts) or 0 (is there and does nothing). What lies between is a throw of
    Toxiproxy's dice, which nobody can seed; choose in the harness which connections meet the toxic instead.
    """
    if kind == "down":
        raise ToxicError("'down' is not a toxic: use the proxy's down()")
    if kind not in TOXICS:
        raise ToxicError(f"there is no toxic {kind!r}; {_nearest(kind, TOXICS)}")
    if stream not in STREAMS:
        raise ToxicError(f"there is no stream {stream!r}; {_nearest(stream, STREAMS)}")
    given = dict(attributes)
    toxicity = _toxicity(kind, given.pop("toxicity", 1))
    complete = _complete(kind, TOXICS[kind].attributes, given)
    _related(kind, complete)
    return Toxic(kind, "upstream" if stream == "upstream" else "downstream", complete, toxicity)


def _toxicity(kind: str, value: object) -> int:
    if isinstance(value, bool) or value not in (0, 1):
        raise ToxicError(f"toxicity {value!r} is not repeatable: the dice cannot be seeded; give 1 or 0")
    if kind == "reset_peer" and value == 0:
        raise ToxicError("reset_peer at toxicity 0 still turns orderly closes into resets; leave it out instead")
    return 1 if value == 1 else 0


def _complete(kind: str, known: Mapping[str, Attribute], given: Mapping[str, object]) -> dict[str, int]:
    for name in given:
        if name not in known:
            raise ToxicError(f"{kind} has no attribute {name!r}; {_nearest(name, known)}")
    return {name: _number(f"{kind}: {name}", attribute, given.get(name)) for name, attribute in known.items()}


def _number(what: str, attribute: Attribute, value: object) -> int:
    value = attribute.default if value is None else value
    if value is None:
        raise ToxicError(f"{what} is missing ({attribute.says})")
    if isinstance(value, bool) or not isinstance(value, int):
        raise ToxicError(f"{what} must be a whole number ({attribute.says}), not {value!r}")
    if not attribute.low <= value <= attribute.high:
        raise ToxicError(f"{what} must be between {attribute.low} and {attribute.high} ({attribute.says}), not {value}")
    return value


def _related(kind: str, attributes: Mapping[str, int]) -> None:
    if kind == "slicer" and attributes["size_variation"] >= attributes["average_size"]:
        raise ToxicError("slicer: size_variation must be smaller than average_size, or pieces of no bytes come out")
    if kind == "latency" and attributes["jitter"] > attributes["latency"]:
        raise ToxicError("latency: jitter must not be larger than latency; nothing can arrive before it was sent")


def _nearest(name: str, known: "Mapping[str, object] | tuple[str, ...]") -> str:
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
