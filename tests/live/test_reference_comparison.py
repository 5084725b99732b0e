"""The books compared, on a real PostgreSQL: what differs is found and kept, what a callback may still mend is not."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from test_reference_secrets import SECRET, bad_provider
from test_reference_service import Bench, bench, run

from harness.stacks.ports import LOOPBACK
from reference_impl.actors import at_the_terminal
from reference_impl.provider_answers import Payment


async def compare(b: Bench) -> dict[str, Any]:
    report: dict[str, Any] = (await b.client.post("/admin/comparisons")).json()
    return report


def classes(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(finding["class"], finding["payment"]) for finding in report["findings"]]


async def paid(b: Bench, key: str) -> dict[str, Any]:
    top_up: dict[str, Any] = (await b.top_up(key=key)).json()
    b.provider.captured(top_up["payment"])
    assert (await b.tell(top_up)).status_code == 204
    return top_up


POSTING = """
WITH posting AS (INSERT INTO postings (posting, top_up, payment, kind, at) VALUES ($1, $2, $3, 'credit', now()))
INSERT INTO entries (posting, account, amount_minor, currency)
VALUES ($1, $4, $5, 'EUR'), ($1, 'provider-clearing:EUR', -$5::bigint, 'EUR')
"""


async def slip_in(b: Bench, top_up: dict[str, Any], account: str, amount_minor: int, payment: str) -> None:
    """What a service that is wrong would have posted; the balance with it."""
    posting = f"post_{account}_{amount_minor}_{payment}"
    await b.database.execute(POSTING, posting, top_up["top_up"], payment, account, amount_minor)
    await b.database.execute(
        "UPDATE accounts SET balance_minor = balance_minor + $2 WHERE account = $1", account, amount_minor
    )


def test_books_that_agree_say_so(database_url: str) -> None:
    """Also when it is run twice, beside callbacks, and with payments that are pending."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            for n in range(3):
                await paid(b, f"k{n}")
            pending = (await b.top_up(key="pending")).json()
            late = (await b.top_up(key="late")).json()
            b.provider.captured(late["payment"])

            reports = await asyncio.gather(compare(b), compare(b), b.tell(late), b.tell(late))

            for report in reports[:2]:
                assert (report["compared"], report["agreed"], report["pending"], report["findings"]) == (5, 5, 1, [])
                assert report["recommended"] == []
            assert await b.balance() == 4000
            assert await b.status(pending) == "Processing"

    run(story())


def test_each_kind_of_difference_is_found_once_and_kept(database_url: str) -> None:
    """And nothing is changed by looking."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            tops = [await paid(b, f"k{n}") for n in range(4)]
            twice, more, other, aside = tops[0], tops[1], tops[2], (await b.top_up(key="aside")).json()
            b.provider.named(aside["payment"]).update(state="captured", captured_minor=1500)
            await b.client.post(
                "/v1/accounts", json={"account": "bob", "currency": "EUR"}, headers={"X-Customer": "bob"}
            )
            await slip_in(b, twice, "acc", 1000, twice["payment"])
            b.provider.named(more["payment"])["captured_minor"] = 999
            b.provider.named(other["payment"])["account"] = "bob"
            await slip_in(b, tops[3], "acc", 5, "pay_nobody_knows")
            await b.database.execute("UPDATE accounts SET balance_minor = balance_minor + 7 WHERE account = 'bob'")
            await b.database.execute("UPDATE top_ups SET state = 'AwaitingPayment' WHERE top_up = $1", other["top_up"])
            before = await b.database.fetch("SELECT * FROM entries")

            report = await compare(b)
            again = await compare(b)

            found = {
                ("duplicate credit", twice["payment"]),
                ("amount mismatch", more["payment"]),
                ("amount mismatch", "pay_nobody_knows"),
                ("wrong account", other["payment"]),
                ("missing credit", aside["payment"]),
                ("status mismatch", other["payment"]),
                ("balance mismatch", ""),
            }
            assert set(classes(report)) == set(classes(again)) == found
            assert [line.partition(":")[0] for line in report["recommended"]] == [
                "missing credit",
                "duplicate credit",
                "amount mismatch",
                "wrong account",
                "status mismatch",
                "balance mismatch",
            ]
            assert "1 missing credit" in report["summary"]
            assert await b.database.fetchval("SELECT count(*) FROM findings") == len(found)
            kept = (await b.client.get("/admin/comparisons")).json()["comparisons"]
            assert [each["summary"] for each in kept] == [again["summary"], report["summary"]]
            assert await b.database.fetch("SELECT * FROM entries") == before
            for table in ("findings", "reconciliations"):
                with pytest.raises(Exception, match="append-only"):
                    await b.database.execute(f"DELETE FROM {table}")

    run(story())


def test_what_a_callback_on_its_way_mends_is_no_finding(database_url: str) -> None:
    """The callback comes when the comparison has seen the difference, and before it looks a second time."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0) as b:
            top_up = (await b.top_up()).json()
            b.provider.captured(top_up["payment"])
            ask, looks = b.service.comparer.known, 0

            async def known(top_ups: Sequence[str]) -> dict[str, list[Payment]]:
                nonlocal looks
                looks += 1
                if looks == 2:
                    assert (await b.tell(top_up)).status_code == 204
                return await ask(top_ups)

            b.service.comparer.known = known  # type: ignore[method-assign]
            report = await b.service.comparer.run("a test")

            assert (looks, report.compared, report.findings) == (2, 1, ())

    run(story())


def test_the_command_settles_compares_and_reports(database_url: str) -> None:
    """As a process of its own: for a person, for a program; with exit code 1 when something was found."""

    async def story() -> None:
        server = await asyncio.start_server(bad_provider, LOOPBACK, 0)
        env = {
            "DATABASE_URL": database_url,
            "PROVIDER_URL": f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}",
            "PROVIDER_API_KEY": "sk_test",
            "CALLBACK_SECRET": SECRET,
            "MERCHANT": "shop",
            "ENVIRONMENT": "test",
        }
        async with server, bench(database_url) as b:
            calm = await asyncio.to_thread(command, env, "--json")
            assert (calm.returncode, json.loads(calm.stdout)["findings"]) == (0, [])
            await b.database.execute("UPDATE accounts SET balance_minor = 7 WHERE account = 'acc'")
            found = await asyncio.to_thread(command, env)
            assert found.returncode == 1
            assert "balance mismatch  acc: expected 0, found 7" in found.stdout
            assert "→ balance mismatch: Stop writing" in found.stdout
            asked = "SELECT actor FROM audit_records WHERE action = 'reconciliation and comparison asked for'"
            assert [row["actor"] for row in await b.database.fetch(asked)] == [at_the_terminal()] * 2

    run(story())


def test_the_service_settles_by_the_clock(database_url: str) -> None:
    """Without a callback, and without anybody asking."""

    async def story() -> None:
        async with bench(database_url, reconcile_every_s=0.05) as b:
            top_up = (await b.top_up()).json()
            b.provider.captured(top_up["payment"])
            async with asyncio.timeout(10):
                while await b.balance() != 1000:  # noqa: ASYNC110 - what is waited for raises no event
                    await asyncio.sleep(0.02)

    run(story())


def command(env: dict[str, str], *words: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "reference_impl", "reconcile", *words]
    return subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)
