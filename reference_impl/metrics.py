"""What this process has seen, counted, by the risks it tells of; `GET /metrics` shows it in Prometheus' words.

Counting is an addition to a dictionary. Prometheus' own package, which takes longer to load than much of this service, is
loaded when somebody first asks.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

COUNTERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "topup_events": ("What the provider said, by how it was heard and what it did", ("cause", "outcome")),
    "topup_callbacks_refused": ("Callbacks that were not believed or not understood", ("reason",)),
    "topup_callbacks_not_stored": ("Callbacks that were not acknowledged for want of the database", ()),
    "topup_keys": ("Requests under an idempotency key, by what was decided about them", ("decision",)),
    "topup_provider_answers": ("Initiations, by what came of asking the provider", ("fate",)),
    "topup_discrepancies": ("Disagreements between what was stored and what the provider says", ("kind",)),
    "topup_notifications": ("Customers told, or not", ("outcome",)),
    "topup_rate_limited": ("Requests that came too soon, by the limit that said so", ("by",)),
    "topup_turned_away": ("Requests that were turned away at the door, by who shares the bound", ("compartment",)),
    "topup_reconciliations": ("Runs of reconciliation", ("outcome",)),
}
"""Each counter's meaning and its labels. Every label has few values, all of them from this code and none from a stranger."""

GAUGES: Mapping[str, str] = {
    "topup_reconciled_at_seconds": "When reconciliation last ran to its end, in seconds since the epoch",
    "topup_open": "Top-ups that were still open when it did",
    "topup_circuit_open": "1 while the provider is left alone after failures, 0 while it is asked",
    "topup_audit_sealed_at_seconds": "When all of the audit log was last chained by the clock, in seconds since the epoch",
    "topup_audit_sound": "1 if its chain was whole when it was last verified by the clock, 0 if it was not",
}

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_BEGUN: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "topup_events": tuple(
        ("callback", outcome) for outcome in ("credited", "duplicate", "failed", "reversed", "restored", "set aside")
    ),
    "topup_callbacks_not_stored": ((),),
    "topup_keys": (("go",), ("replay",), ("conflict",), ("in progress",)),
    "topup_provider_answers": (("accepted",), ("failed",), ("refused",), ("unknown",)),
    "topup_notifications": (("told",), ("not delivered",)),
    "topup_rate_limited": (("address",), ("principal",), ("customer",), ("method",), ("intent",)),
    "topup_turned_away": (("callbacks",), ("customers",)),
    "topup_reconciliations": (("done",), ("interrupted",)),
}
"""What stands at 0 from the beginning: of a series that is not there, nobody sees the first increase."""


class Metrics:
    """The counts of one process. They begin at 0 with it; Prometheus knows what to make of that."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[tuple[str, ...]]] = defaultdict(Counter)
        for name, series in _BEGUN.items():
            for labels in series:
                self._counts[name][labels] = 0
        self._latencies = [0] * (len(LATENCY_BUCKETS_S) + 1)
        self._latency_sum_s = 0.0
        self._gauges: dict[str, float] = {}

    def count(self, name: str, *labels: str) -> None:
        """One more."""
        self._counts[name][labels] += 1

    def of_event(self, cause: str, outcome: str) -> None:
        """The provider said something, and this is what it did: also when, as for a duplicate, that is nothing."""
        self.count("topup_events", cause, outcome)

    def took(self, seconds: float) -> None:
        """How long one database transaction of the ledger took, its commit included."""
        self._latencies[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self._latency_sum_s += seconds

    def gauge(self, name: str, value: float) -> None:
        """What a gauge shows from now on."""
        self._gauges[name] = value

    def exposition(self) -> bytes:
        """All of it, in Prometheus' text format."""
        from prometheus_client.exposition import generate_latest

        return generate_latest(self)  # it asks only for collect()

    def collect(self) -> "Iterable[Metric]":
        """All of it, as families of Prometheus' own package."""
        from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for name, (meaning, labels) in COUNTERS.items():
            counter = CounterMetricFamily(name, meaning, labels=labels)
            for values, count in sorted(self._counts[name].items()):
                counter.add_metric(values, count)
            yield counter
        for name, meaning in GAUGES.items():
            if name in self._gauges:
                yield GaugeMetricFamily(name, meaning, self._gauges[name])
        ledger = HistogramMetricFamily("topup_ledger_seconds", "How long one event's database transaction took")
        ledger.add_metric([], self._buckets(), self._latency_sum_s)
        yield ledger

    def _buckets(self) -> list[tuple[str, float]]:
        """Cumulative, as a histogram's are."""
        so_far, buckets = 0, []
        for bound, count in zip((*map(str, LATENCY_BUCKETS_S), "+Inf"), self._latencies, strict=True):
            so_far += count
            buckets.append((bound, float(so_far)))
        return buckets
