"""The reference service, wrong in one way at a time.

A mutant is a subclass of one part of the service that overrides exactly one decision, as people really do get it wrong.
Its docstring is the bug in one sentence. Its decorator is the claim that the harness must prove: which invariant catches
it, under which scenario. It is healthy in calm weather, or it would be a broken program and not a subtle bug.
"""

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from difflib import unified_diff
from typing import TypeVar

from harness.registry import Registry, load, name_of
from reference_impl.parts import Parts

Service = TypeVar("Service")

THEMES: Mapping[str, tuple[str, ...]] = {
    "credited twice": ("credited-at-most-once",),
    "lost": ("every-payment-is-credited", "acknowledged-is-durable", "settles-in-time", "rotation-refuses-nobody"),
    "forged": (
        "only-real-payments-credit",
        "hostile-input-is-refused",
        "crafted-requests-are-refused",
        "no-secret-in-logs",
    ),
    "the wrong amount": (
        "credit-matches-payment",
        "charged-as-ordered",
        "balance-is-sum-of-entries",
        "entries-never-change",
    ),
    "charged again": ("captured-at-most-once", "same-key-same-answer", "provider-is-not-hammered"),
    "money that goes back": ("reversed-once", "refunded-at-most-once"),
    "who may do what": ("access-is-kept", "corrections-are-approved"),
    "what people are told": ("told-the-truth", "status-never-goes-back", "transitions-are-legal"),
}
"""What planted bugs do to people, and the promises that are about it."""
RUNNING_IT = "running it"
"""Where a promise is about none of these: what operators need, and do not get."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted bug. `also` names further scenarios that expose it, whatever they break there."""

    name: str
    lie: str
    part: type
    caught_by: str
    under: str
    also: tuple[str, ...]

    @property
    def parts(self) -> Parts:
        """The service's parts, with this one in the place of its parent."""
        return replace(Parts(), **{_field_of(self.part): self.part})

    @property
    def theme(self) -> str:
        """What it does to people, by the promise that it breaks."""
        return next((theme for theme, promises in THEMES.items() if self.caught_by in promises), RUNNING_IT)

    @property
    def diff(self) -> str:
        """How the mutant departs from the reference, read off the two classes."""
        [attribute] = changed(self.part)
        parent = self.part.__mro__[1]
        names = f"{parent.__name__}.{attribute}", f"{self.part.__name__}.{attribute}"
        return "".join(unified_diff(source(parent, attribute), source(self.part, attribute), *names, n=1))


MUTANTS: Registry[Mutant] = Registry("mutant")


def mutant(*, caught_by: str, under: str, also: tuple[str, ...] = ()) -> Callable[[type[Service]], type[Service]]:
    """Register a mutant under its file's name. Raises `TypeError` when it changes nothing, or more than one thing."""

    def register(part: type[Service]) -> type[Service]:
        parent, names = part.__mro__[1], changed(part)
        if len(names) != 1 or not hasattr(parent, names[0]):
            raise TypeError(f"{part.__name__} must override exactly one thing {parent.__name__} has, not {names}")
        if source(part, names[0]) == source(parent, names[0]):
            raise TypeError(f"{part.__name__}.{names[0]} is the reference's own: the mutant changes nothing")
        _field_of(part)
        lie = " ".join((part.__doc__ or "").split())
        if not lie:
            raise TypeError(f"{part.__name__} needs a docstring: the bug in one sentence")
        name = name_of(part.__module__)
        MUTANTS.add(name, Mutant(name, lie, part, caught_by, under, also))
        return part

    return register


def catalogue() -> Mapping[str, Mutant]:
    """Every mutant in this folder, by name."""
    load(sys.modules[__name__])
    return MUTANTS


def by_theme() -> Mapping[str, Sequence[Mutant]]:
    """Every mutant, under what it does to people; themes that have none are left out."""
    found = {theme: [each for each in catalogue().values() if each.theme == theme] for theme in (*THEMES, RUNNING_IT)}
    return {theme: mutants for theme, mutants in found.items() if mutants}


def changed(part: type) -> list[str]:
    """What a class defines itself."""
    noise = {
        "__module__",
        "__doc__",
        "__annotations__",
        "__qualname__",
        "__firstlineno__",
        "__static_attributes__",
        "__parameters__",
    }
    return [name for name in vars(part) if name not in noise]


def source(part: type, attribute: str) -> list[str]:
    """The lines that define an attribute, without its `@override`."""
    value = inspect.getattr_static(part, attribute)
    if isinstance(value, staticmethod | classmethod) or callable(value):
        lines = inspect.getsource(getattr(value, "__func__", value)).splitlines(keepends=True)
        return [line for line in lines if line.strip() != "@override"]
    return [f"{attribute} = {value!r}\n"]


def _field_of(part: type) -> str:
    """Which part of the service a class stands in for. Raises `TypeError` for none."""
    for field in fields(Parts):
        if part.__mro__[1] is field.default:
            return field.name
    raise TypeError(f"{part.__name__} is no direct subclass of a part of the service")
