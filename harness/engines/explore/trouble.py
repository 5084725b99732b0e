"""What can go wrong in a story that nobody wrote, kind by kind."""

from collections.abc import Mapping, Sequence

from harness.plan import Scalar

KINDS = (
    *("weather", "surgery", "kills", "pauses", "database", "provider", "moods", "forgeries", "clock"),
    "reversals",
)
UNBOUND = ("forgeries", "clock", "reversals")
"""Kinds that come and are over: they need no end, and may come however many faults are open."""


HTTP_LINKS = ("edge", "api", "hook")
WEATHER: Sequence[tuple[str, Mapping[str, Scalar]]] = (
    ("latency", {"link": "edge", "ms": 200}),
    ("latency", {"link": "api", "ms": 600}),
    ("latency", {"link": "hook", "ms": 200}),
    ("latency", {"link": "db", "ms": 15}),
    *(("stall", {"link": link, "stream": stream}) for link in HTTP_LINKS for stream in ("upstream", "downstream")),
    *(("lose-answers", {"link": link}) for link in HTTP_LINKS),
    *(("lose-requests", {"link": link}) for link in HTTP_LINKS),
    *(("refuse", {"link": link}) for link in HTTP_LINKS),
)
DATABASE: Sequence[tuple[str, Mapping[str, Scalar]]] = (
    *[("kill", {"node": "postgres"})] * 3,
    *[("refuse", {"link": "db"})] * 3,
    ("lose-answers", {"link": "db"}),
    ("lose-requests", {"link": "db"}),
)
"""PostgreSQL dies and comes back, its connections are cut, or what crosses them is lost."""
MESSAGES = (("db", "COMMIT"), ("db", "INSERT"), ("hook", "POST"), ("api", "POST"), ("edge", "POST"))
SURGERY = ("cut-at", "cut-at", "kill-at", "kill-at", "twice-at", "stall-at", "delay-at")
DELAYS_MS = (50, 300, 1500)
"""Less than a client's patience, and more."""
MOODS: tuple[Mapping[str, Scalar], ...] = (
    {"mood": "drop"},
    {"mood": "delay"},
    {"mood": "duplicate", "copies": 3},
    {"mood": "duplicate-at-once", "copies": 3},
    {"mood": "reorder", "count": 2},
    {"mood": "replay", "times": 2},
    {"mood": "replay-fresh-id", "times": 1},
    {"mood": "contradict"},
    {"mood": "answer-late"},
    {"mood": "acknowledge-late", "first": 2},
    {"mood": "error-after-capture", "n": 1},
    {"mood": "fail-then-succeed"},
    {"mood": "truncate", "percent": 70},
    {"mood": "two-event-types"},
    {"mood": "authorise-then-fail"},
    {"mood": "capture-in-parts", "parts": 2},
    {"mood": "dispute", "outcome": "won"},
    {"mood": "dispute", "outcome": "lost"},
    {"mood": "endpoint-disabled", "refusals": 1},
    {"mood": "never-acknowledged", "n": 2},
    {"mood": "outage"},
    {"mood": "redirect", "n": 1},
    {"mood": "refund-in-parts", "parts": 2},
    {"mood": "retry-after-acknowledged", "attempts": 3},
    {"mood": "settle-less", "percent": 60},
    {"mood": "settle-more", "percent": 150},
    {"mood": "settle-other-currency", "currency": "USD"},
    {"mood": "slow-body", "over_s": 0.3, "pieces": 10},
)
FORGERIES = ("unsigned", "wrong-key", "empty-key", "tampered-body", "malformed-signature", "stale-timestamp")
JUMPS_S = (1.0, 60.0, 3600.0)
