"""As much of Prometheus as the alert rules need: which alerts fire, given recorded series. `promtool` knows the whole of it.

Series are sampled once a minute. `increase` extrapolates to the ends of its range, as Prometheus does.
"""

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

Labels = frozenset[tuple[str, str]]
Vector = dict[Labels, float]
Value = float | Vector
Samples = Sequence[float | None]

_UNITS = {"s": 1 / 60, "m": 1, "h": 60}
_TOKEN = re.compile(r'\s*(\{[^}]*\}|\[\w+\]|"[^"]*"|==|[A-Za-z_]\w*|\d+(?:\.\d+)?|[-+*/<>(),])')
_MATCHER = re.compile(r'(\w+)(=~|=)"([^"]*)"')


def minutes(text: str) -> float:
    """`90s`, `5m`, `2h`."""
    return float(text[:-1]) * _UNITS[text[-1]]


def samples(notation: str) -> Samples:
    """Prometheus' notation for series in tests: `0+10x3` is 0 10 20 30, `1x2` is 1 1 1, `_` is a sample that is missing."""
    found: list[float | None] = []
    for word in notation.split():
        first, step, times = re.fullmatch(r"(_|-?\d+)([+-]\d+)?(?:x(\d+))?", word).groups()  # type: ignore[union-attr]
        found += [None if first == "_" else int(first) + n * int(step or 0) for n in range(int(times or 0) + 1)]
    return found


def labels_of(text: str) -> Labels:
    return frozenset((name, value) for name, _, value in _MATCHER.findall(text))


@dataclass
class Recorded:
    """Series by name and labels, and an evaluation at one minute of them."""

    series: Mapping[tuple[str, Labels], Samples]

    @classmethod
    def of(cls, inputs: Sequence[Mapping[str, str]]) -> "Recorded":
        named = ((each["series"].partition("{"), samples(each["values"])) for each in inputs)
        return cls({(name, labels_of(rest)): values for (name, _, rest), values in named})

    def evaluate(self, expression: str, at: int) -> Value:
        return _Evaluation(self, _TOKEN.findall(expression), at).comparison()

    def fires(self, rule: Mapping[str, Any], at: int) -> bool:
        """Whether a rule's alert fires at minute *at*: its expression held for as long as it says."""
        since = at - int(minutes(rule.get("for", "0m")))
        return since >= 0 and all(self.evaluate(rule["expr"], minute) for minute in range(since, at + 1))


@dataclass
class _Evaluation:
    recorded: Recorded
    tokens: list[str]
    at: int

    def peek(self) -> str:
        return self.tokens[0] if self.tokens else ""

    def take(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        assert not expected or token == expected, f"{token!r} where {expected!r} is expected"
        return token

    def comparison(self) -> Value:
        left = self.sum()
        if self.peek() not in (">", "<", "=="):
            return left
        tests = {">": operator.gt, "<": operator.lt, "==": operator.eq}
        test, right = tests[self.take()], self.sum()
        assert isinstance(left, dict) and isinstance(right, float), "a vector is compared with a number"
        return {labels: value for labels, value in left.items() if test(value, right)}

    def sum(self) -> Value:
        left = self.product()
        while self.peek() in ("+", "-"):
            sign = 1 if self.take() == "+" else -1
            left = _paired(left, self.product(), lambda a, b, sign=sign: a + sign * b)  # type: ignore[misc]
        return left

    def product(self) -> Value:
        left = self.operand()
        while self.peek() == "/":
            self.take()
            left = _paired(left, self.operand(), lambda a, b: a / b if b else float("nan"))
        return left

    def operand(self) -> Value:
        token = self.take()
        if token[0].isdigit():
            return float(token)
        if token == "time":
            self.take("(")
            self.take(")")
            return self.at * 60.0
        if token in ("sum", "max"):
            return self.aggregated(sum if token == "sum" else max)
        if token == "increase":
            self.take("(")
            found = self.increase(*self.selected(self.take()))
            self.take(")")
            return found
        series, _ = self.selected(token)
        now = {labels: values[self.at] for labels, values in series.items() if self.at < len(values)}
        return {labels: float(value) for labels, value in now.items() if value is not None}

    def aggregated(self, of: Callable[[list[float]], float]) -> Vector:
        by: tuple[str, ...] = ()
        if self.peek() == "by":
            self.take()
            self.take("(")
            by = (self.take(),)
            self.take(")")
        self.take("(")
        inner = self.sum()
        self.take(")")
        assert isinstance(inner, dict)
        groups: dict[Labels, list[float]] = {}
        for labels, value in inner.items():
            groups.setdefault(frozenset(label for label in labels if label[0] in by), []).append(value)
        return {labels: float(of(values)) for labels, values in groups.items()}

    def selected(self, name: str) -> tuple[dict[Labels, Samples], float]:
        wanted = _MATCHER.findall(self.take()) if self.peek().startswith("{") else []
        span = minutes(self.take()[1:-1]) if self.peek().startswith("[") else 0.0
        found = {
            labels: values
            for (own, labels), values in self.recorded.series.items()
            if own == name
            and all(
                re.fullmatch(re.escape(v) if op == "=" else v, dict(labels).get(label, "")) for label, op, v in wanted
            )
        }
        return found, span

    def increase(self, series: dict[Labels, Samples], span: float) -> Vector:
        found: Vector = {}
        for labels, values in series.items():
            begin = self.at - span
            window = [(m, values[m]) for m in range(max(0, int(begin) + 1), self.at + 1) if m < len(values)]
            known = [(m, value) for m, value in window if value is not None]
            if len(known) < 2:
                continue
            grown = sum(b - a if b >= a else b for (_, a), (_, b) in pairwise(known))
            sampled = known[-1][0] - known[0][0]
            step = sampled / (len(known) - 1)
            before, after = known[0][0] - begin, self.at - known[-1][0]
            if grown > 0 and known[0][1] >= 0:  # a counter is not extrapolated below zero
                before = min(before, sampled * known[0][1] / grown)
            before = before if before < step * 1.1 else step / 2
            after = after if after < step * 1.1 else step / 2
            found[labels] = grown * (sampled + before + after) / sampled
        return found


def _paired(left: Value, right: Value, with_: Callable[[float, float], float]) -> Value:
    """Arithmetic, between numbers, or where the labels are the same."""
    if isinstance(left, float) and isinstance(right, float):
        return with_(left, right)
    if isinstance(left, float):
        assert isinstance(right, dict)
        return {labels: with_(left, value) for labels, value in right.items()}
    if isinstance(right, float):
        return {labels: with_(value, right) for labels, value in left.items()}
    return {labels: with_(value, right[labels]) for labels, value in left.items() if labels in right}
