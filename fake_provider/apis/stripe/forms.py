"""Stripe's way of writing nested parameters into a form: `metadata[reference]=tu_1`, `line_items[0][quantity]=1`.

Reading is strict: a parameter that nobody asked about is refused by name, as Stripe does, and nothing is passed over.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

from fake_provider import fields
from fake_provider.apis.stripe.errors import StripeError, invalid, missing

DEEPEST = 8
Tree: TypeAlias = dict[str, Any]


def parse(raw: str) -> Tree:
    """The tree behind a form. `a[]=1&a[]=2` is `{"a": {"0": "1", "1": "2"}}`; what contradicts itself is refused."""
    tree: Tree = {}
    for name, value in parse_qsl(raw, keep_blank_values=True):
        _put(tree, name, _steps(name), value)
    return tree


def _steps(name: str) -> list[str]:
    """`a[b][0]` is a, b, 0."""
    head, bracket, rest = name.partition("[")
    if not bracket:
        if not head or "]" in head:
            raise invalid(name, f"{name!r} is no parameter's name")
        return [head]
    steps = rest[:-1].split("][")
    well_formed = head and "]" not in head and rest.endswith("]") and not any(set("[]") & set(step) for step in steps)
    if not well_formed or len(steps) >= DEEPEST:
        raise invalid(name, f"{name!r} is no parameter's name: write a[b][c], at most {DEEPEST} deep")
    return [head, *steps]


def _put(tree: Tree, name: str, steps: list[str], value: str) -> None:
    for step in steps[:-1]:
        tree = tree.setdefault(step, {})
        if not isinstance(tree, dict):
            raise invalid(name, f"{name!r} is a value and an object at once")
    last = steps[-1] or str(len(tree))
    if last in tree:
        raise invalid(name, f"{name!r} is there twice")
    tree[last] = value


@dataclass(slots=True)
class Asked:
    """The parameters of one request, each to be taken by name; `done` refuses those that nobody took."""

    tree: Tree
    prefix: str = ""
    _taken: set[str] = field(default_factory=set, init=False)

    def named(self, name: str) -> str:
        return f"{self.prefix}[{name}]" if self.prefix else name

    def text(self, name: str, default: str | None = None) -> str:
        """A string; without a *default* it must be there."""
        self._taken.add(name)
        value = self.tree.get(name, "")
        if not isinstance(value, str) or len(value) > 10 * fields.LONGEST:
            raise invalid(self.named(name), f"Invalid string: {self.named(name)}")
        if value:
            return value
        if default is None:
            raise missing(self.named(name))
        return default

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise invalid(self.named(name), f"Invalid {self.named(name)}: must be one of {', '.join(choices)}")
        return value

    def flag(self, name: str) -> bool:
        return self.one_of(name, ("true", "false"), "false") == "true"

    def whole(self, name: str, default: int | None = None, at_most: int = fields.LARGEST) -> int:
        """A whole number from 1 on; without a *default* it must be there."""
        raw = self.text(name, None if default is None else str(default))
        if not (raw.isascii() and raw.isdigit() and len(raw) <= 16) or not 1 <= int(raw) <= at_most:
            message = f"Invalid integer: {self.named(name)} must be from 1 to {at_most}"
            raise invalid(self.named(name), message, "parameter_invalid_integer")
        return int(raw)

    def inside(self, name: str) -> "Asked":
        """The parameters within one; none where it is not there."""
        self._taken.add(name)
        value = self.tree.get(name, {})
        if not isinstance(value, dict):
            raise invalid(self.named(name), f"Invalid object: {self.named(name)}")
        return Asked(value, self.named(name))

    def each(self) -> Iterator["Asked"]:
        """The elements of a list."""
        for name in self.tree:
            yield self.inside(name)

    def words(self) -> Mapping[str, str]:
        """All of it, as names and strings."""
        return {name: self.text(name, "") for name in self.tree}

    def done(self) -> None:
        for name in self.tree:
            if name not in self._taken:
                param = self.named(name)
                message = (
                    f"Received unknown parameter: {param}. This provider does not know it, and passes nothing over."
                )
                raise StripeError(400, message, code="parameter_unknown", param=param)
