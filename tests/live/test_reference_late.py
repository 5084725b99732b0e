"""Who waits for long is told so, once, and only as long as it is so."""

from typing import Any

import pytest
from structlog.testing import capture_logs
from test_reference_service import Bench, bench, run

pytestmark = pytest.mark.stack


async def told(b: Bench) -> list[tuple[str, str]]:
    """What customers are told when what waits in the outbox is sent."""
    with capture_logs() as logs:
        await b.service.outbox.flush()
    said: list[dict[str, Any]] = [dict(entry) for entry in logs if entry["event"] == "notification"]
    return [(entry["top_up"], entry["status"]) for entry in said]


async def age(b: Bench, seconds: float) -> None:
    await b.database.execute("UPDATE top_ups SET created_at = created_at - make_interval(secs => $1)", seconds)


def test_whoever_waits_for_long_is_told_once(database_url: str) -> None:
    """However often it is looked; and then what came of it."""

    async def story() -> None:
        async with bench(database_url, late_after_s=60) as b:
            top_up = (await b.top_up()).json()
            await age(b, 59)
            await b.reconcile()
            assert await told(b) == []
            await age(b, 1)
            for expected in ([(top_up["top_up"], "Processing")], [], []):
                await b.reconcile()
                assert await told(b) == expected
            await b.tell(top_up)
            await b.reconcile()
            assert await told(b) == [(top_up["top_up"], "Credit applied")]

    run(story())


def test_a_failure_is_told_once_and_is_not_late(database_url: str) -> None:
    """Told by the provider's answer, by callbacks and by reconciliation alike."""

    async def story() -> None:
        async with bench(database_url, late_after_s=60) as b:
            top_up = (await b.top_up(method="bad-card")).json()
            await age(b, 3600)
            await b.tell(top_up, kind="payment.failed")
            await b.reconcile()
            await b.reconcile()
            assert await told(b) == [(top_up["top_up"], "Payment failed")]
            await b.reconcile()
            assert await told(b) == []

    run(story())


def test_that_it_is_late_is_not_told_once_it_has_come(database_url: str) -> None:
    """Written down before, and sent after."""

    async def story() -> None:
        async with bench(database_url, late_after_s=60) as b:
            top_up = (await b.top_up()).json()
            await age(b, 3600)
            await b.reconcile()
            await b.tell(top_up)
            assert await told(b) == [(top_up["top_up"], "Credit applied")]

    run(story())
