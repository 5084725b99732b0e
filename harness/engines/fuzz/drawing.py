"""How one draw of Hypothesis's makes many callbacks.

A callback takes a receiver half a millisecond, and a draw as long as several of them. So one draw makes many: some strange
values, and for each callback a few bytes that choose among them (`Dice`). A zero is the plainest choice everywhere, so what
Hypothesis makes small is a simple callback.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase, choices_to_bytes
from hypothesis.strategies import SearchStrategy

from fake_provider.dialects import Wire
from harness.engines.fuzz.attack import Expect, Scene
from harness.engines.fuzz.door import Shot
from harness.finding import Rule

T = TypeVar("T")
Make = Callable[[Scene], Shot]
Batch = tuple[Sequence[Any], Sequence[bytes]]
"""Strange values, and for each callback the bytes that choose among them."""

AT_ONCE = 128
DICE_BYTES = 20
VALUES = 8


class Dice:
    """Choices, made of bytes; when they are used up, only the first choice is left."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn, self._at = drawn, 0

    def below(self, most: int) -> int:
        """A number from 0 up to, and without, *most*, which is at most 256."""
        number = self._drawn[self._at] if self._at < len(self._drawn) else 0
        self._at += 1
        return number % most

    def one_of(self, options: Sequence[T]) -> T:
        return options[self.below(len(options))]

    def once_in(self, times: int) -> bool:
        return self.below(times) == times - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Generated:
    """A family: its rule, what a receiver must do, and how one of it is made.

    `letter` is the callback that is varied: one for all of a batch, or one for each of them where `anew`. `vary` makes
    something of it, as the dice fall, of the `values` that were drawn. What is `plain` are well-formed requests.
    """

    rule: Rule
    expect: Expect
    values: SearchStrategy[Any]
    letter: Callable[[Scene], Wire]
    vary: Callable[[Scene, Wire, Dice, Sequence[Any]], Shot]
    anew: bool = False
    plain: bool = True

    def drawn(self, size: int) -> SearchStrategy[Batch]:
        """So many callbacks in one draw."""
        values = st.lists(self.values, min_size=VALUES, max_size=VALUES)
        return st.tuples(values, st.tuples(*[st.binary(min_size=DICE_BYTES, max_size=DICE_BYTES)] * size))

    def makes(self, batch: Batch) -> Mapping[bytes, Make]:
        """One for each callback of the batch that is not the same as another, by its dice; of the plainest of all, none."""
        values, chosen = batch
        letters: dict[str, Wire] = {}

        def make(scene: Scene, dice: bytes) -> Shot:
            about = str(scene.victim["payment"])
            letter = None if self.anew else letters.get(about)
            if letter is None:
                letter = letters[about] = self.letter(scene)
            return self.vary(scene, letter, Dice(dice), values)

        return {dice: partial(make, dice=dice) for dice in dict.fromkeys(chosen) if any(dice)}


class Simpler(ExampleDatabase):
    """One callback that was drawn, as an example for Hypothesis to make simple: each choice may be a plainer one, and each
    strange value a plainer one of its kind.
    """

    def __init__(self, values: Sequence[Any], dice: bytes) -> None:
        super().__init__()
        self._values = [_plainer(value) for value in values]
        self._drawn = (*(len(each) - 1 for each in self._values), *dice)

    @property
    def drawn(self) -> SearchStrategy[Batch]:
        values = [st.integers(0, len(each) - 1).map(each.__getitem__) for each in self._values]
        dice = [st.integers(0, 255) for _ in range(len(self._drawn) - len(values))]
        return st.tuples(st.tuples(*values), st.tuples(st.tuples(*dice).map(bytes)))

    def fetch(self, key: bytes) -> Iterable[bytes]:
        """As something that was never made simple: what stands under the first key was, and is left as it is."""
        if key.endswith(b".secondary"):
            yield choices_to_bytes(self._drawn)

    def save(self, key: bytes, value: bytes) -> None:
        """There is nothing else to keep."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Nor to forget."""


def _plainer(value: Any) -> Sequence[Any]:
    """From the plainest to the value itself."""
    match value:
        case str() | bytes():
            return (value[:0], value[:1], value[: len(value) // 2], value)
        case None | bool():
            return (None, value)
        case int() | float():
            return (None, 0, value)
        case _:
            return (None, type(value)(), value)
