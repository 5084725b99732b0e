"""Named extensions: one file each, found by folder, addressed by name."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Generic, TypeVar

T = TypeVar("T")


class UnknownName(LookupError):
    """There is nothing of that name; the message says what comes nearest."""


class Registry(Mapping[str, T], Generic[T]):
    """Everything of one kind. Registering a name twice, or asking for one that is not there, is an error."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._items: dict[str, T] = {}

    def add(self, name: str, item: T) -> None:
        """Register *item*; raises `ValueError` naming the holder when the name is taken."""
        if name in self._items:
            raise ValueError(f"{self.kind} {name!r} is already registered: {self._items[name]!r}")
        self._items[name] = item

    def __getitem__(self, name: str) -> T:
        try:
            return self._items[name]
        except KeyError:
            raise UnknownName(f"There is no {self.kind} named {name!r}.{self._hint(name)}") from None

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)

    def _hint(self, name: str) -> str:
        near = get_close_matches(name, self._items, n=1)
        if near:
            return f" Did you mean {near[0]!r}?"
        return f" There are: {', '.join(self)}." if self._items else ""


def load(package: ModuleType, but: tuple[str, ...] = ()) -> None:
    """Import every public module of *package* but the ones named, so that each registers what it defines."""
    for module in iter_modules(package.__path__):
        if not module.name.startswith("_") and module.name not in but:
            import_module(f"{package.__name__}.{module.name}")


def name_of(module_name: str) -> str:
    """The registered name of what a file defines: `harness.faults.lose_answers` is `lose-answers`."""
    return module_name.rpartition(".")[2].replace("_", "-")
