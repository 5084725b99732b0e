"""One top-up's whole story, out of the database and, where they are at hand, the logs: `python -m reference_impl timeline ID`."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reference_impl.logs import clean, redact
from reference_impl.money import Money

if TYPE_CHECKING:
    import asyncpg

    from reference_impl.database import Connection

    Reader = Connection | asyncpg.Connection[asyncpg.Record]


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """One thing that happened to a top-up: when, where it is written down, and what."""

    at: datetime
    book: str
    what: str

    def __str__(self) -> str:
        return f"{self.at.isoformat(timespec='milliseconds')}  {self.book:<12}  {self.what}"


class NoSuchTopUp(LookupError):
    """There is no top-up of that id in this database."""


async def timeline(connection: "Reader", top_up: str, log: Iterable[str] = ()) -> Sequence[Moment]:
    """Everything that is written down about *top_up*, oldest first. Raises `NoSuchTopUp`.

    *log* is lines of the service's log, from as many processes as there were; those that bear the top-up's correlation id
    are told too, as they were written: redacted.
    """
    found = await connection.fetchrow("SELECT correlation FROM top_ups WHERE top_up = $1", top_up)
    if found is None:
        raise NoSuchTopUp(f"there is no top-up {top_up!r} in this database")
    # What a stranger said is in there too, in discrepancies above all.
    moments = [Moment(row["at"], row["book"], clean(row["what"])) for row in await connection.fetch(_BOOKS, top_up)]
    moments += [_posting(row) for row in await connection.fetch(_POSTINGS, top_up)]
    # Within one instant the order of the books is the order of the work; `sorted` keeps it.
    return sorted([*moments, *_logged(log, found["correlation"])], key=lambda moment: moment.at)


_BOOKS = """
SELECT at, book, what FROM (
    SELECT at, 1 AS rank, transition AS number, 'state' AS book,
           coalesce(from_state || ' → ', '') || to_state || ', by ' || cause
           || coalesce(', says ' || payload, '') || coalesce(', under ' || nullif(correlation, ''), '') AS what
    FROM transitions WHERE top_up = $1
    UNION ALL
    SELECT received_at, 0, 0, 'callback', webhook_id || ' about ' || payment || ': ' || outcome
    FROM callbacks WHERE payment IN (SELECT payment FROM top_ups WHERE top_up = $1 AND payment IS NOT NULL
                                     UNION SELECT payment FROM postings WHERE top_up = $1
                                     UNION SELECT payment FROM discrepancies WHERE top_up = $1)
    UNION ALL
    SELECT claimed_at, 0, 1, 'claim', effect || ' of ' || payment
    FROM claims WHERE payment IN (SELECT payment FROM postings WHERE top_up = $1)
    UNION ALL
    SELECT created_at, 2, 0, 'refund', refund || ' asked for: ' || amount_minor || ' minor units, now ' || state
    FROM refunds WHERE top_up = $1
    UNION ALL
    SELECT at, 3, discrepancy, 'discrepancy', kind || ': expected ' || expected || ', found ' || found
    FROM discrepancies WHERE top_up = $1
    UNION ALL
    SELECT written_at, 4, notification, 'notification', 'to be told: ' || status FROM outbox WHERE top_up = $1
    UNION ALL
    SELECT sent_at, 5, notification, 'notification', 'told: ' || status
    FROM outbox WHERE top_up = $1 AND sent_at IS NOT NULL
) AS books ORDER BY at, rank, number
"""

_POSTINGS = """
SELECT p.at, p.kind, p.payment, e.account, e.amount_minor, e.currency
FROM postings p JOIN entries e USING (posting) JOIN top_ups t USING (top_up)
WHERE p.top_up = $1 AND e.account = t.account ORDER BY e.entry
"""


def _posting(row: "asyncpg.Record") -> Moment:
    amount = Money(abs(row["amount_minor"]), row["currency"])
    sign = "-" if row["amount_minor"] < 0 else "+"
    return Moment(row["at"], "ledger", f"{row['kind']} {sign}{amount} on {row['account']}, for {row['payment']}")


def _logged(lines: Iterable[str], correlation: str) -> Iterator[Moment]:
    """What the log says under *correlation*. Lines that are no log lines of ours are passed over: files are mixed."""
    for line in lines:
        if correlation not in line:
            continue
        try:
            said = json.loads(line)
            if said.pop("correlation") != correlation:
                continue
            at = datetime.fromisoformat(said.pop("timestamp"))
            level, event = said.pop("level"), said.pop("event")
        except (ValueError, TypeError, AttributeError, KeyError):
            continue
        said.pop("exception", None)
        facts = ", ".join(f"{name} {value}" for name, value in redact(None, "", said).items())
        yield Moment(at, f"log {level}", f"{event}: {facts}" if facts else event)
