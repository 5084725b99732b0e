"""Faults, one a file: asynchronous context managers on a stack. What a fault breaks, it mends, in the same function.

A fault yields a function that says how much traffic it has touched so far: a fault that touched nothing proves nothing, and
makes its run unknown. Its docstring says what each end of the wire sees, because that is the question.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from harness.plan import Plan
from harness.registry import Registry, name_of
from harness.stack import Link, Stack

Touched: TypeAlias = Callable[[], Awaitable[int]]
Begin: TypeAlias = Callable[..., AsyncIterator[Touched]]


@dataclass(frozen=True, slots=True)
class Fault:
    """A named fault; `begin(stack, **args)` is its context manager, `effect` what each end sees."""

    name: str
    effect: str
    begin: Callable[..., AbstractAsyncContextManager[Touched]]


FAULTS: Registry[Fault] = Registry("fault")
WEATHER = frozenset({"latency", "lose-answers", "lose-requests", "refuse", "stall"})
"""Those that the proxies make. All others are made by the taps, by the processes themselves, or by the provider."""


def fault(begin: Begin) -> Begin:
    """Register an asynchronous generator that breaks, yields what it touched, and mends, under its file's name."""
    effect = " ".join((begin.__doc__ or "").split())
    if not effect:
        raise TypeError(f"{begin.__name__} needs a docstring: what each end of the wire sees")
    name = name_of(begin.__module__)
    FAULTS.add(name, Fault(name, effect, asynccontextmanager(begin)))
    return begin


def makes_weather(plan: Plan) -> bool:
    """Does any fault of it need a proxy?"""
    return any(begin.fault in WEATHER for begin in plan.faults())


def crossings_of(*links: Link) -> Touched:
    """Touched is what crossed these links since now."""
    before = sum(link.crossings() for link in links)

    async def touched() -> int:
        return sum(link.crossings() for link in links) - before

    return touched


def link_of(stack: Stack, name: Any) -> Link:
    """Raises `LookupError` naming the links that there are."""
    try:
        return stack.links[name]
    except KeyError:
        raise LookupError(f"There is no link named {name!r}. There are: {', '.join(stack.links)}.") from None
