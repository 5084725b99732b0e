"""The audit log and the feature flags, on a real PostgreSQL: who did what is there, once, and no change to it goes unseen."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from test_reference_adjustments import approve, finding, propose, put_aside
from test_reference_service import ANN, API_KEYS, CREDITED, EVE, MAX, SECRET, Bench, bench, run

from reference_impl.audit import AuditLog, Verified
from reference_impl.audit_watch import AuditWatch
from reference_impl.flags import Flag, Flags
from reference_impl.settings import Settings


async def deeds(b: Bench) -> list[tuple[str, str]]:
    """By whom, and what, in the order of the chain, as the main tenant reads it; all of it sealed, and fitting."""
    lines = (await b.client.post("/admin/audits", headers=EVE)).json()["records"]
    assert all(line["fits"] and line["seal"] for line in lines)
    return [(line["actor"], line["action"]) for line in lines]


async def verified(b: Bench, kept: Sequence[str] = ()) -> Verified:
    return await AuditLog.verified(b.database, kept)


def test_who_did_what_stands_in_the_log(database_url: str) -> None:
    """Once, however often a request is repeated; what was refused is not there."""

    async def story() -> None:
        async with bench(database_url, compare_patience_s=0, adjustment_limit_minor=100) as b:
            await put_aside(b)
            await b.top_up()
            n = await finding(b)
            for _ in range(2):
                await propose(b, n, 1500)
            assert (await approve(b, n, EVE)).status_code == 403
            for _ in range(2):
                assert (await approve(b, n, MAX)).status_code == 201
            await b.client.post("/admin/reconcile", headers=EVE)
            await b.client.put("/admin/flags/post-in-one-statement", json={"to": "on"}, headers=EVE)

            assert await deeds(b) == [
                ("deployment", "configuration changed"),
                ("till", "top-up initiated"),
                ("till", "comparison asked for"),
                ("eve", "adjustment proposed"),
                ("max", "adjustment approved"),
                ("eve", "reconciliation asked for"),
                ("eve", "flag put on"),
            ]

    run(story())


def test_a_refund_and_its_top_up_bear_the_same_correlation(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            await b.tell(top_up)
            answer = await b.client.post(
                f"/v1/top-ups/{top_up['top_up']}/refunds",
                json={"amount_minor": 300},
                headers=ANN | {"Idempotency-Key": "back"},
            )
            [initiated, requested] = await b.database.fetch(
                "SELECT action, subject, correlation FROM audit_records WHERE subject = ANY($1) ORDER BY record",
                [top_up["top_up"], answer.json()["refund"]],
            )
            assert (requested["action"], requested["subject"]) == ("refund requested", answer.json()["refund"])
            assert initiated["correlation"] == requested["correlation"] != ""

    run(story())


@pytest.mark.parametrize("table", ["audit_records", "audit_seals"])
@pytest.mark.parametrize("change", ["UPDATE {} SET {} = ''", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_database_refuses_to_change_it(database_url: str, table: str, change: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            await b.service.audit.seal()
            with pytest.raises(asyncpg.RestrictViolationError, match="append-only"):
                await b.database.execute(change.format(table, "actor" if table == "audit_records" else "hash"))

    run(story())


@pytest.mark.parametrize(
    ("tampering", "line", "says"),
    [
        ("UPDATE audit_records SET actor = 'nobody' WHERE record = 2", 2, "nobody, reconciliation asked for"),
        ("UPDATE audit_records SET at = at + interval '1 microsecond' WHERE record = 3", 3, "record 3 of"),
        ("UPDATE audit_records SET detail = '{ }' WHERE record = 4", 4, "record 4 of"),
        ("UPDATE audit_records SET correlation = 'cor_other' WHERE record = 2", 2, "record 2 of"),
        ("DELETE FROM audit_records WHERE record = 3", 3, "seal 3 does not fit: its record is gone"),
        ("DELETE FROM audit_seals WHERE seal = 2", 3, "or one before it is gone"),
        ("UPDATE audit_seals SET seal = CASE seal WHEN 2 THEN 30 ELSE seal END", 3, "or one before it is gone"),
        ("UPDATE audit_seals SET hash = repeat('0', 64) WHERE seal = 4", 4, "record 4 of"),
    ],
)  # fmt: skip
def test_the_first_line_that_does_not_fit_is_named(database_url: str, tampering: str, line: int, says: str) -> None:
    """Whatever somebody does who may do anything in the database."""

    async def story() -> None:
        async with bench(database_url) as b:
            for _ in range(4):
                await b.client.post("/admin/reconcile", headers=EVE)
            await b.service.audit.seal()
            assert (await verified(b)).sound
            await b.database.execute("SET session_replication_role = replica")
            await b.database.execute(tampering)

            found = await verified(b)

            assert not found.sound
            assert found.misfit is not None
            assert found.misfit.seal == line
            assert says in found.as_text()

    run(story())


def test_a_chain_that_was_written_anew_lacks_the_head_that_was_kept(database_url: str) -> None:
    """It is whole, and it is not the one: as is one whose end was cut off."""

    async def story() -> None:
        async with bench(database_url) as b:
            await b.client.post("/admin/reconcile", headers=EVE)
            await b.service.audit.seal()
            kept = (await verified(b)).head
            await b.client.post("/admin/reconcile", headers=EVE)
            await b.service.audit.seal()
            assert (await verified(b, [kept])).sound

            await b.database.execute("SET session_replication_role = replica")
            await b.database.execute("TRUNCATE audit_seals")
            await b.database.execute("UPDATE audit_records SET actor = 'nobody' WHERE record = 2")
            await b.service.audit.seal()

            assert (await verified(b)).sound
            found = await verified(b, [kept])
            assert found.missing == (kept,)
            assert f"head {kept} is not in it" in found.as_text()

    run(story())


def test_what_is_committed_late_is_sealed_late(database_url: str) -> None:
    """A record whose number was taken before others', and that is committed after they were sealed; nobody waits for it."""

    async def story() -> None:
        async with bench(database_url) as b:
            slow = b.database.transaction()
            await slow.start()
            await b.database.execute(
                """INSERT INTO audit_records (at, actor, action, subject, detail, correlation)
                   VALUES (now(), 'slow', 'slept', '', '{}', '')"""
            )
            await asyncio.wait_for(b.client.post("/admin/reconcile", headers=EVE), 2)
            assert [actor for actor, _ in await deeds(b)] == ["deployment", "eve"]
            await slow.commit()
            assert (await verified(b)).unsealed == 1

            await asyncio.gather(*(b.service.audit.seal() for _ in range(4)))

            assert [actor for actor, _ in await deeds(b)] == ["deployment", "eve", "slow"]
            assert (await verified(b)).unsealed == 0

    run(story())


def test_what_nobody_asks_for_is_sealed_by_the_clock(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url, audit_every_s=0.01) as b:
            async with asyncio.timeout(5):
                while not (await verified(b)).sealed:  # noqa: ASYNC110 - it is another connection that is looked at
                    await asyncio.sleep(0.01)

    run(story())


def test_a_configuration_is_written_down_when_it_is_another(database_url: str) -> None:
    """At each start: which settings, and the new ones; of a secret its digest, and neither user nor password of an endpoint."""

    async def story() -> None:
        async with bench(database_url) as b:
            own: dict[str, Any] = {
                "database_url": database_url,
                "provider_url": "http://provider.test",
                "provider_api_key": "sk_test",
                "callback_secret": SECRET,
                "api_keys": API_KEYS,
                "merchant": "shop",
                "environment": "test",
                "outbox_every_s": 60,
                "provider_timeout_s": 0.1,
            }
            other = {"provider_api_key": "sk_other", "notify_url": "http://us:hidden@hooks.test/n?token=hidden"}
            for values in (own, own | {"port": 8001}, own | other):
                await b.service.audit.configured(Settings(**values).described(), "eve")
            rows = await b.database.fetch("SELECT actor, detail FROM audit_records ORDER BY record")
        assert [row["actor"] for row in rows] == ["deployment", "eve"]
        [first, second] = [json.loads(row["detail"]) for row in rows]
        assert "callback_secret" in first["changed"]
        assert second["changed"] == ["notify_url", "provider_api_key"]
        assert second["settings"]["notify_url"] == "http://hooks.test/n"
        assert second["settings"]["provider_api_key"].startswith("sha256:")
        for row in rows:
            assert not any(secret in row["detail"] for secret in ("sk_other", "sk_test", "whsec_", "hidden"))

    run(story())


def audit(url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "reference_impl", "audit", *arguments]
    return subprocess.run(command, env={"DATABASE_URL": url}, capture_output=True, text=True, timeout=60, check=False)


def test_the_terminal_says_whether_it_is_whole(database_url: str) -> None:
    """0, and the head to keep; 1, and what does not fit."""

    async def story() -> Verified:
        async with bench(database_url) as b:
            await b.service.audit.seal()
            await b.client.post("/admin/reconcile", headers=EVE)
            return await verified(b)

    whole = asyncio.run(story())
    said = audit(database_url, "--head", whole.head)
    assert (said.returncode, said.stdout) == (0, f"whole: 1 sealed, 1 not sealed yet; head {whole.head}\n"), said.stderr

    other = audit(database_url, "--head", "f" * 64)
    assert (other.returncode, "is not in it" in other.stdout) == (1, True)
    assert audit("postgresql://127.0.0.1:1/nobody").returncode == 2


def test_a_flag_is_changed_while_customers_pay(database_url: str) -> None:
    """Both ways post the same, beside each other; a process that was not told itself hears of it when it reads them again."""

    async def story() -> None:
        async with bench(database_url) as b:
            other = Flags(b.service.database, b.service.audit, b.service.now)
            for n, to in enumerate(("on", "off", "on"), 1):
                changed = await b.client.put("/admin/flags/post-in-one-statement", json={"to": to}, headers=EVE)
                assert changed.json() == {"flags": {"post-in-one-statement": to == "on"}}
                assert other.is_on(Flag.POST_IN_ONE_STATEMENT) is (to == "off" if n > 1 else False)
                await other.refresh()
                assert other.is_on(Flag.POST_IN_ONE_STATEMENT) is (to == "on")
                top_up = (await b.top_up(2**n, key=f"k{n}")).json()
                await asyncio.gather(*(b.tell(top_up) for _ in range(5)))
                assert await b.steps(top_up) == CREDITED
            assert await b.balance() == 2 + 4 + 8

    run(story())


@pytest.mark.parametrize(
    ("flag", "body", "headers", "status"),
    [
        ("no-such-flag", {"to": "on"}, EVE, 400),
        ("post-in-one-statement", {"to": "maybe"}, EVE, 400),
        ("post-in-one-statement", {"to": "on"}, {}, 403),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    database_url: str, flag: str, body: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            answer = await b.client.put(f"/admin/flags/{flag}", json=body, headers=headers)
            assert answer.status_code == status
            assert (await b.client.get("/admin/flags", headers=EVE)).json() == {
                "flags": {"post-in-one-statement": False}
            }
            assert await deeds(b) == [("deployment", "configuration changed")]

    run(story())


def test_a_tenant_reads_its_own_records_and_changes_no_flag(database_url: str) -> None:
    """The chain is one for all: what it reads of it fits, and is not all of it."""

    async def story() -> None:
        other = {"Authorization": f"Bearer tk_other_{'o' * 40}"}
        keys = f"{API_KEYS} acme/other:reconcile,admin:tk_other_{'o' * 40}"
        async with bench(database_url, api_keys=keys) as b:
            await b.client.post("/admin/reconcile", headers=EVE)
            await b.client.post("/admin/reconcile", headers=other)

            shown = (await b.client.post("/admin/audits", headers=other)).json()["records"]

            assert [(line["actor"], line["tenant"], line["seal"], line["fits"]) for line in shown] == [
                ("other", "acme", 3, True)
            ]
            assert [actor for actor, _ in await deeds(b)] == ["deployment", "eve"]
            path = "/admin/flags/post-in-one-statement"
            assert (await b.client.put(path, json={"to": "on"}, headers=other)).status_code == 403

    run(story())


def test_the_metrics_show_when_it_was_sealed_and_whether_it_is_whole(database_url: str) -> None:
    """What cannot be sealed leaves the time as it was."""

    async def story() -> None:
        async with bench(database_url) as b:

            async def shown() -> dict[str, float]:
                lines = (await b.client.get("/metrics")).text.splitlines()
                return {line.split()[0]: float(line.split()[1]) for line in lines if line.startswith("topup_audit")}

            at = [datetime(2026, 1, 31, tzinfo=UTC)]
            watch = AuditWatch(b.service.audit, b.service.metrics, lambda: at[0])
            assert await shown() == {}
            await b.client.post("/admin/reconcile", headers=EVE)
            await watch.seal()
            await watch.verify()
            sealed = await shown()
            assert sealed == {"topup_audit_sealed_at_seconds": at[0].timestamp(), "topup_audit_sound": 1}
            at[0] += timedelta(hours=1)

            await b.database.execute("SET session_replication_role = replica")
            await b.database.execute("UPDATE audit_records SET actor = 'nobody' WHERE record = 2")
            await watch.verify()
            assert (await shown())["topup_audit_sound"] == 0
            await b.database.execute("ALTER TABLE audit_seals RENAME TO nowhere")
            with pytest.raises(asyncpg.UndefinedTableError):
                await watch.seal()
            assert (await shown())["topup_audit_sealed_at_seconds"] == sealed["topup_audit_sealed_at_seconds"]

    run(story())
