"""Whose message was it? Which request to the service each message of a calm recording belongs to, where that can be known.

For people who read a map, not for addressing. While a single request is being answered, whatever crosses is its own. Where
two overlap, a transaction belongs to the kind of request that its namesakes belonged to whenever there was no doubt.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from harness.engines.sweep import Crossing, numbered, stable
from harness.flow import SWEPT
from harness.history import Event, History
from harness.wire.framing import ARROWS

CALLBACK = "callback"


@dataclass(slots=True)
class _Transaction:
    """Messages of one connection that belong together; `name` is the last that it was known by."""

    name: str = ""


def conversations(history: History) -> Mapping[Crossing, str]:
    """For each message of the swept part that some request can be named for: `callback`, or the request of a client."""
    transactions = dict(_transactions(history))
    sure: dict[int, str] = {}
    namesakes: dict[str, set[str]] = defaultdict(set)
    for event, asked in _open_requests(history):
        if len(asked) == 1:
            [sure[id(event)]] = asked
            if transaction := transactions.get(id(event)):
                namesakes[transaction.name].add(sure[id(event)])
    found: dict[Crossing, str] = {}
    for event, crossing in numbered(history, SWEPT):
        transaction = transactions.get(id(event))
        alike = namesakes[transaction.name] if transaction else set[str]()
        if len(alike) == 1:
            [found[crossing]] = alike
        elif id(event) in sure:
            found[crossing] = sure[id(event)]
    return found


def _open_requests(history: History) -> Iterator[tuple[Event, frozenset[str]]]:
    """Each message that the service sent, with what it was being asked at that moment."""
    asked: dict[tuple[str, int], str] = {}
    for event in history.of("crossing"):
        link, connection = event["link"], event.get("connection", 0)
        if link in ("db", "api"):
            yield event, frozenset(asked.values())
        elif event["direction"] == "<":
            asked.pop((link, connection), None)
        else:
            request = stable(event["label"].removeprefix(f"{link} {ARROWS['>']} "))
            asked[link, connection] = CALLBACK if link == "hook" else request


def _transactions(history: History) -> Iterator[tuple[int, _Transaction]]:
    """The transaction of each statement that is in one."""
    running: dict[int, _Transaction] = {}
    for event in history.of("crossing"):
        if event["link"] != "db" or event["direction"] != ">":
            continue
        connection, what = event.get("connection", 0), event["label"].removeprefix(f"db {ARROWS['>']} ")
        if what == "BEGIN":
            running[connection] = _Transaction()
        if connection in running:
            transaction = running[connection]
            transaction.name = str(event.get("of") or transaction.name)
            yield id(event), transaction
            if what.partition(" ")[0] in ("COMMIT", "ROLLBACK"):
                del running[connection]
