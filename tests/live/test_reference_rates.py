"""How often somebody may ask, and what is odd: on a real PostgreSQL, with one process of the service and with two."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs
from test_reference_service import EVE, Bench, bench, run

from reference_impl.rates import Rate

pytestmark = pytest.mark.stack


async def ask(b: Bench, *keys: str, **more: Any) -> Counter[int]:
    """So many top-ups, one after another: how often each status was answered."""
    with capture_logs():
        return Counter([(await b.top_up(key=key, **more)).status_code for key in keys])


@pytest.mark.parametrize(
    "text", ["5", "/60", "5/", "0/60", "5/0", "-1/60", "5/-1", "five/60", "5/inf", "5/nan", "1.5/60"]
)
def test_what_is_no_rate_does_not_start(text: str, database_url: str) -> None:
    """And the message says what one looks like."""

    async def story() -> None:
        with pytest.raises(ValidationError):
            async with bench(database_url, rate_by_customer=text):
                pass

    run(story())


def test_a_rate_is_a_burst_and_then_turns() -> None:
    rate = Rate.read("5/60")
    assert (rate.every.total_seconds(), rate.tolerance.total_seconds()) == (12, 48)


def test_whoever_asks_too_often_is_told_when_to_come_again(database_url: str) -> None:
    """In the standard's header and in the draft's; nothing is stored of the request, and its key is free."""

    async def story() -> None:
        async with bench(database_url, rate_by_customer="3/60") as b:
            assert await ask(b, "1", "2", "3") == {201: 3}
            with capture_logs():
                denied = await b.top_up(key="4")
            assert denied.status_code == 429
            assert denied.json()["error"]["code"] == "too_often"
            assert 18 <= int(denied.headers["Retry-After"]) <= 20
            assert denied.headers["RateLimit-Policy"] == '"customer";q=3;w=60'
            assert denied.headers["RateLimit"] == f'"customer";r=0;t={denied.headers["Retry-After"]}'
            assert await b.database.fetchval("SELECT count(*) FROM idempotency_keys") == 3
            assert 'topup_rate_limited_total{by="customer"} 1.0' in (await b.client.get("/metrics")).text

    run(story())


def test_what_is_turned_away_costs_no_turn(database_url: str) -> None:
    """However often he asks, the next turn comes when it would have come; and no other limit has counted it."""

    async def story() -> None:
        async with bench(database_url, rate_by_customer="2/60", rate_by_address="100/60") as b:
            await ask(b, "1", "2")
            before = await b.database.fetch("SELECT * FROM rate_limits ORDER BY bucket")
            assert await ask(b, *(f"again-{n}" for n in range(10))) == {429: 10}
            assert await b.database.fetch("SELECT * FROM rate_limits ORDER BY bucket") == before
            await b.database.execute("UPDATE rate_limits SET free_at = free_at - interval '30 seconds'")
            assert await ask(b, "3", "4") == {201: 1, 429: 1}

    run(story())


def test_two_processes_let_in_as_many_as_one(database_url: str) -> None:
    """All at the same instant, at both of them: to the last one."""

    async def story() -> None:
        async with bench(database_url, rate_by_customer="5/3600") as one:
            answers: list[Any] = []
            async with bench(database_url, rate_by_customer="5/3600", opened=False) as other:
                with capture_logs():
                    answers = await asyncio.gather(
                        *(
                            each.top_up(key=f"{name}-{n}")
                            for n in range(10)
                            for name, each in (("a", one), ("b", other))
                        )
                    )
            assert Counter(answer.status_code for answer in answers) == {201: 5, 429: 15}

    run(story())


@pytest.mark.parametrize(
    ("kind", "another"),
    [("method", {"method": "card"}), ("intent", {"key": "other"})],
)
def test_each_limit_counts_its_own(database_url: str, kind: str, another: dict[str, str]) -> None:
    """The method, or the wish, that was not asked for so often is let in."""

    async def story() -> None:
        async with bench(database_url, **{f"rate_by_{kind}": "2/3600"}) as b:
            assert await ask(b, "k", "k", "k") == {201: 2, 429: 1}
            assert (await b.top_up(**{"key": "k", **another})).status_code in (201, 422)
            assert f'topup_rate_limited_total{{by="{kind}"}} 1.0' in (await b.client.get("/metrics")).text

    run(story())


def test_callbacks_are_never_told_to_come_more_seldom(database_url: str) -> None:
    """Whatever customers may."""

    async def story() -> None:
        async with bench(database_url, rate_by_customer="1/3600", rate_by_address="1/3600") as b:
            top_up = (await b.top_up()).json()
            assert Counter([(await b.tell(top_up)).status_code for _ in range(5)]) == {204: 5}
            assert await b.balance() == 1000

    run(story())


def test_buckets_that_are_full_again_are_forgotten(database_url: str) -> None:
    """And the others are not."""

    async def story() -> None:
        async with bench(database_url, rate_by_customer="2/3600", rate_by_address="2/3600") as b:
            await ask(b, "1", "2")
            await b.database.execute(
                "UPDATE rate_limits SET free_at = now() - interval '1 second' WHERE bucket ~ 'address'"
            )
            await b.service.rates.forget()
            assert await b.database.fetchval("SELECT count(*) FROM rate_limits") == 1
            assert await ask(b, "3") == {429: 1}

    run(story())


def test_what_is_odd_goes_on_and_waits_to_be_looked_at(database_url: str) -> None:
    """A very high amount, failures, and requests that come too soon; each once, and gone when somebody has closed it."""

    async def story() -> None:
        async with bench(database_url, review_amount_minor=5000, review_failures=3, rate_by_intent="10/3600") as b:
            high = await b.top_up(amount_minor=5000, key="high")
            assert high.status_code == 201
            assert await ask(b, "1", "2", "3", method="bad-card") == {402: 3}
            assert await ask(b, *["high"] * 12, amount_minor=5000) == {201: 9, 429: 3}

            queue = (await b.client.get("/admin/reviews", headers=EVE)).json()["reviews"]
            assert [each["kind"] for each in queue] == ["very high amount", "repeated failures", "retry spike"]
            assert (queue[0]["about"], queue[0]["detail"]) == (high.json()["top_up"], "5000 EUR")
            assert (await b.client.get("/admin/reviews", headers=EVE)).json()["reviews"] == queue

            path = f"/admin/reviews/{queue[0]['review']}/closing"
            for nothing_to_keep in (r"", r"\u0000", r"his \u0000 house\n", r"\ud800"):
                note = b'{"note": "%b"}' % nothing_to_keep.encode()
                refused = await b.client.post(path, content=note, headers=EVE | {"Content-Type": "application/json"})
                assert (refused.status_code, refused.json()["error"]["field"]) == (400, "note"), nothing_to_keep
            assert (await b.client.post(path, json={"note": "his\nhouse"}, headers=EVE)).status_code == 204
            assert (await b.client.post(path, json={"note": "again"}, headers=EVE)).status_code == 404
            assert (await b.client.get("/admin/reviews", headers=EVE)).json()["reviews"] == queue[1:]
            closed = await b.database.fetchrow("SELECT closed_by, note FROM reviews WHERE closed_at IS NOT NULL")
            assert tuple(closed or ()) == ("eve", "his\nhouse")
            written = "SELECT actor, subject, detail FROM audit_records WHERE action = 'review closed'"
            [told] = await b.database.fetch(written)
            assert tuple(told) == ("eve", f"rv_{queue[0]['review']}", '{"note": "his\\nhouse"}')

    run(story())


def test_less_is_not_odd(database_url: str) -> None:
    """One minor unit below, one failure fewer."""

    async def story() -> None:
        async with bench(database_url, review_amount_minor=5000, review_failures=3) as b:
            assert await ask(b, "1", "2", method="bad-card") == {402: 2}
            assert (await b.top_up(amount_minor=4999, key="3")).status_code == 201
            assert (await b.client.get("/admin/reviews", headers=EVE)).json()["reviews"] == []

    run(story())
