"""What went back of a payment that is not credited yet, because something about it was set aside."""

import json
from dataclasses import asdict

from reference_impl.database import Connection
from reference_impl.events import Event


async def keep(connection: Connection, event: Event) -> None:
    """Keep a refund or a dispute, once, however often it is told."""
    await connection.execute(
        "INSERT INTO kept_back (payment, effect, event) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        event.payment,
        event.effect,
        json.dumps(asdict(event)),
    )


async def of(connection: Connection, payment: str) -> list[Event]:
    """All that was kept back of a payment, in the order in which it must have happened."""
    rows = await connection.fetch("SELECT event FROM kept_back WHERE payment = $1", payment)
    found = [Event(**json.loads(row["event"])) for row in rows]
    return sorted(found, key=lambda event: ("refunded", "disputed", "won", "lost").index(event.kind))
