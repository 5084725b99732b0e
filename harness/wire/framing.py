"""What a tap needs to know of a protocol: where its messages begin and end, and what a person would call them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

Direction: TypeAlias = Literal[">", "<"]
"""`>` from the client of the link to its server, `<` back."""

ARROWS: Mapping[Direction, str] = {">": "▸", "<": "◂"}


@dataclass(frozen=True, slots=True)
class Crossing:
    """Some bytes that cross a link together. `label` is what a person calls them; None for bytes without a name.

    `facts` go into the history with the label. `aside` is for whoever decides about the crossing, and goes nowhere.
    """

    direction: Direction
    data: bytes
    label: str | None = None
    facts: Mapping[str, str | bool] = field(default_factory=dict)
    aside: Mapping[str, Any] = field(default_factory=dict)


class Gate(Protocol):
    """Decides when each crossing may pass."""

    async def admit(self, link: str, connection: int, crossing: Crossing) -> None:
        """Returns once the crossing may be delivered; what follows on its connection, in its direction, waits behind it."""

    def passed(self, link: str, connection: int, crossing: Crossing) -> None:
        """The crossing was handed on."""

    def closed(self, link: str, connection: int) -> None:
        """Nothing will cross on this connection any more."""


class Framing(Protocol):
    """One connection's framing, both directions. It holds back the beginning of a message until the rest is there.

    What it returns, joined, is what it was fed: not a byte is changed, dropped or moved. `flush` gives back what it
    still holds when a direction ends.
    """

    def feed(self, direction: Direction, data: bytes) -> Sequence[Crossing]: ...

    def flush(self, direction: Direction) -> bytes: ...


class Opaque:
    """No framing: bytes are bytes."""

    def feed(self, direction: Direction, data: bytes) -> Sequence[Crossing]:
        return (Crossing(direction, data),)

    def flush(self, direction: Direction) -> bytes:
        return b""
