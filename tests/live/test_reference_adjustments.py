"""Corrections, on a real PostgreSQL: entries of their own, once, by two people when they are large; history stays."""

import asyncio
from typing import Any

import asyncpg
import httpx
import pytest
from test_reference_comparison import classes, compare, paid, slip_in
from test_reference_service import CREDITED, EVE, MAX, TILL, Bench, bench, run


async def finding(b: Bench) -> int:
    """The one thing that was found."""
    report = await compare(b)
    [found] = (await b.client.get("/admin/findings")).json()["findings"]
    assert classes(report) == [(found["class"], found["payment"])]
    return int(found["finding"])


async def propose(
    b: Bench, n: int, amount_minor: int, who: dict[str, str] = EVE, account: str = "acc"
) -> httpx.Response:
    body = {"account": account, "amount_minor": amount_minor, "reason": "found by reconciliation"}
    return await b.client.post(f"/admin/findings/{n}/adjustments", json=body, headers=who)


async def approve(b: Bench, n: int, who: dict[str, str]) -> httpx.Response:
    return await b.client.post(f"/admin/findings/{n}/adjustments/acc/approval", headers=who)


async def put_aside(b: Bench, captured_minor: int = 1500) -> dict[str, Any]:
    """A top-up of 1000 that was paid with another amount: captured, and not credited."""
    top_up: dict[str, Any] = (await b.top_up()).json()
    b.provider.named(top_up["payment"]).update(state="captured", captured_minor=captured_minor)
    await b.tell(top_up, amount_minor=captured_minor)
    assert await b.balance() == 0
    return top_up


def test_a_missing_credit_is_corrected_once_whoever_asks_how_often(database_url: str) -> None:
    """Proposed at once by many, beside the payment's callback and reconciliation; then the books agree."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            top_up = await put_aside(b)
            n = await finding(b)

            answers = await asyncio.gather(*(propose(b, n, 1500) for _ in range(5)), b.reconcile())

            assert {answer.status_code for answer in answers[:5]} == {201}
            assert len({answer.json()["posting"] for answer in answers[:5]}) == 1
            assert await b.balance() == 1500
            assert await b.steps(top_up) == CREDITED
            assert await b.status(top_up) == "Credit applied"
            await b.tell(top_up)
            await b.tell(top_up, amount_minor=1500, webhook_id="msg_again")
            assert await b.balance() == 1500
            assert (await compare(b))["findings"] == []
            [entry] = [e for e in (await b.get("/v1/accounts/acc/entries"))["entries"] if e["account"] == "acc"]
            assert (entry["kind"], entry["reversal"]) == ("adjustment", f"fi_{n}")
            assert (await propose(b, n, 1400)).status_code == 409

    run(story())


def test_what_was_credited_meanwhile_is_not_credited_by_a_correction(database_url: str) -> None:
    """The claim decides, as between two callbacks."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            top_up = await put_aside(b)
            n = await finding(b)
            await b.tell(top_up)
            assert await b.balance() == 1000

            refused = await propose(b, n, 1500)

            assert (refused.status_code, refused.json()["error"]["code"]) == (409, "credited_meanwhile")
            assert await b.balance() == 1000
            assert await b.database.fetchval("SELECT count(*) FROM adjustments") == 0

    run(story())


def test_a_duplicate_credit_is_taken_back_beside_it(database_url: str) -> None:
    """Both wrong and right entries stay; the sum is what was paid."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            top_up = await paid(b, "k1")
            await slip_in(b, top_up, "acc", 1000, top_up["payment"])
            n = await finding(b)
            before = await b.database.fetch("SELECT * FROM entries ORDER BY entry")

            assert (await propose(b, n, -1000)).status_code == 201

            assert await b.balance() == 1000
            assert (await b.database.fetch("SELECT * FROM entries ORDER BY entry"))[: len(before)] == before
            assert (await compare(b))["findings"] == []

    run(story())


def test_a_large_correction_waits_for_a_second_person(database_url: str) -> None:
    """Who proposed it is not one, in the program or past it; approved twice, it is posted once."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0, adjustment_limit_minor=1499) as b:
            await put_aside(b)
            n = await finding(b)
            assert (await approve(b, n, MAX)).status_code == 404

            waiting = await propose(b, n, 1500)
            assert (waiting.status_code, waiting.json()["state"]) == (202, "Waiting for approval")
            assert await b.balance() == 0
            own = await approve(b, n, EVE)
            assert (own.status_code, own.json()["error"]["code"]) == (403, "same_person")
            with pytest.raises(asyncpg.CheckViolationError, match="a_second_person"):
                await b.database.execute("UPDATE adjustments SET approved_by = proposed_by")
            assert await b.balance() == 0

            answers = await asyncio.gather(*(approve(b, n, MAX) for _ in range(5)))
            assert {answer.status_code for answer in answers} == {201}
            assert {answer.json()["approved_by"] for answer in answers} == {"max"}
            assert await b.balance() == 1500
            for statement in ("UPDATE adjustments SET amount_minor = 1", "DELETE FROM adjustments"):
                with pytest.raises(asyncpg.RestrictViolationError):
                    await b.database.execute(statement)

    run(story())


@pytest.mark.parametrize(
    ("who", "n", "change", "status", "at"),
    [
        (TILL, 1, {}, 403, "Authorization"),
        (EVE, 2, {}, 404, "finding"),
        (EVE, 1, {"account": "nobody"}, 404, "account"),
        (EVE, 1, {"account": "yen"}, 422, "account"),
        (EVE, 1, {"account": "provider-clearing:EUR"}, 400, "account"),
        (EVE, 1, {"amount_minor": 0}, 400, "amount_minor"),
        (EVE, 1, {"reason": ""}, 400, "reason"),
        (EVE, 2**70, {}, 400, "finding"),
    ],
)
def test_a_correction_that_cannot_be_names_the_field(
    database_url: str, who: dict[str, str], n: int, change: dict[str, Any], status: int, at: str
) -> None:
    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            await b.open("yen", "JPY")
            await put_aside(b)
            await finding(b)
            body = {"account": "acc", "amount_minor": 5, "reason": "x"} | change
            refused = await b.client.post(f"/admin/findings/{n}/adjustments", json=body, headers=who)
            assert (refused.status_code, refused.json()["error"]["field"]) == (status, at)

    run(story())
