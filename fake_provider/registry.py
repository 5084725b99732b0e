"""Things found by name, one file each. A taken name is refused; an unknown one is answered with the nearest."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from typing import Generic, TypeVar

T = TypeVar("T")


class UnknownName(LookupError):
    """Nothing goes by that name; the message holds the nearest name that something does go by."""


class Registry(Mapping[str, T], Generic[T]):
    """Everything of one kind, in alphabetical order."""

    def __init__(self, kind: str, items: Mapping[str, T] | None = None) -> None:
        self.kind = kind
        self._items: dict[str, T] = dict(items or {})

    def add(self, name: str, item: T) -> T:
        """Take *name* for *item*; raises `ValueError` when something else has it."""
        if name in self._items:
            raise ValueError(f"the {self.kind} {name!r} exists already: {self._items[name]!r}")
        self._items[name] = item
        return item

    def __getitem__(self, name: str) -> T:
        if name not in self._items:
            raise UnknownName(f"there is no {self.kind} {name!r}; {nearest(name, self)}")
        return self._items[name]

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._items))

    def __len__(self) -> int:
        return len(self._items)


def nearest(name: str, names: Mapping[str, object]) -> str:
    """What to tell someone who asked for *name*: the nearest of *names*, or all of them when none is near."""
    from difflib import get_close_matches  # only mistakes need it, and start-up time is dear

    near = get_close_matches(name, names, n=1)
    if near:
        return f"did you mean {near[0]!r}?"
    return f"there are: {', '.join(names)}" if names else "there are none"


def load(package: str) -> None:
    """Import each public module of *package*, so that it registers what it defines. Doing it again changes nothing."""
    for module in iter_modules(import_module(package).__path__):
        if not module.name.startswith("_"):
            import_module(f"{package}.{module.name}")


def name_of(module_name: str) -> str:
    """The name under which a file's content is known: `fake_provider.moods.answer_late` is `answer-late`."""
    return module_name.rpartition(".")[2].replace("_", "-")
