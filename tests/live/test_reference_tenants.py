"""Tenants kept apart, and jobs, on a real PostgreSQL: by the database, whatever the program asks."""

import asyncio
import re
import subprocess
import sys
from typing import Any

import asyncpg
import httpx
import pytest
from test_reference_comparison import compare
from test_reference_service import API_KEYS, EVE, MAX, TILL, Bench, bench, run

from harness.stacks.postgres import PostgresCluster
from reference_impl.database import Database, Job, acting_for
from reference_impl.migrate import migrate

OTHER_KEY = f"tk_other_{'o' * 40}"
OTHER = {"Authorization": f"Bearer {OTHER_KEY}"}
ANN = {"X-Customer": "ann"}
BOTH = f"{API_KEYS} other/other:initiate,read,reconcile,admin:{OTHER_KEY}"

TABLES = """SELECT relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE nspname = 'public' AND relkind = 'r' ORDER BY relname"""
SHARED = {
    *("principals", "api_keys", "nonces", "claims", "callbacks", "kept_back", "reading", "deployment", "migrations"),
    "audit_seals",
    "flags",
    "rate_limits",
}
"""Tables in which nothing is a tenant's, or that no job sees which acts for one. Limits count an address for all tenants."""


async def top_up(b: Bench, who: dict[str, str], key: str = "k1", account: str = "acc") -> httpx.Response:
    body = {"account": account, "amount_minor": 1000, "currency": "EUR", "method": "redirect"}
    return await b.client.post("/v1/top-ups", json=body, headers=who | ANN | {"Idempotency-Key": key})


async def open_account(b: Bench, who: dict[str, str], account: str) -> httpx.Response:
    body = {"account": account, "currency": "EUR"}
    return await b.client.post("/v1/accounts", json=body, headers=who | ANN)


def test_another_tenants_customer_of_the_same_name_sees_nothing(database_url: str) -> None:
    """Both have an `ann`; each sees their own, under every path, and takes nobody else's keys."""

    async def story() -> None:
        async with bench(database_url, api_keys=BOTH) as b:
            theirs = (await b.top_up()).json()
            await b.tell(theirs)
            assert (await open_account(b, OTHER, "acc")).status_code == 404
            assert (await open_account(b, OTHER, "acc2")).status_code == 201
            for path in (
                f"/v1/top-ups/{theirs['top_up']}",
                f"/v1/top-ups/{theirs['top_up']}/return",
                f"/v1/top-ups/{theirs['top_up']}/timeline",
                f"/v1/top-ups/{theirs['top_up']}/refunds",
                "/v1/accounts/acc/balance",
                "/v1/accounts/acc/entries",
                "/v1/accounts/acc/statement",
                "/v1/discrepancies?account=acc",
            ):
                assert (await b.client.get(path, headers=OTHER | ANN)).status_code == 404, path
                assert (await b.client.get(path, headers=TILL | ANN)).status_code == 200, path
            assert (await top_up(b, OTHER)).status_code == 404
            refund = {"amount_minor": 1}
            refunded = await b.client.post(
                f"/v1/top-ups/{theirs['top_up']}/refunds", json=refund, headers=OTHER | ANN | {"Idempotency-Key": "r"}
            )
            assert refunded.status_code == 404

            mine = await top_up(b, OTHER, account="acc2")
            assert mine.status_code == 201
            assert mine.json()["top_up"] != theirs["top_up"]
            assert (await top_up(b, OTHER, account="acc2")).json() == mine.json()
            await b.tell(mine.json())
            entries = (await b.client.get("/v1/accounts/acc2/entries", headers=OTHER | ANN)).json()["entries"]
            assert {entry["account"] for entry in entries} == {"acc2", "provider-clearing:EUR"}
            assert await b.balance() == 1000

    run(story())


def test_operators_see_and_correct_what_is_their_tenants(database_url: str) -> None:
    """A report is of the tenant whose key asked for it; and nobody corrects what they cannot see."""

    async def story() -> None:
        async with bench(database_url, api_keys=BOTH, compare_patience_s=0) as b:
            theirs = (await b.top_up()).json()
            b.provider.named(theirs["payment"]).update(state="captured", captured_minor=1500)
            await b.tell(theirs, amount_minor=1500)
            assert (await open_account(b, OTHER, "acc2")).status_code == 201

            seen: dict[str, Any] = (await b.client.post("/admin/comparisons", headers=OTHER)).json()
            assert (seen["compared"], seen["accounts"], seen["findings"]) == (0, 1, [])
            assert [found["about"] for found in (await compare(b))["findings"]] == [theirs["top_up"]]

            assert (await b.client.get("/admin/findings", headers=OTHER)).json() == {"findings": []}
            assert len((await b.client.get("/admin/comparisons", headers=OTHER)).json()["comparisons"]) == 1
            [found] = (await b.client.get("/admin/findings", headers=EVE)).json()["findings"]
            path = f"/admin/findings/{found['finding']}/adjustments"
            body = {"account": "acc2", "amount_minor": 1500, "reason": "mine now"}
            assert (await b.client.post(path, json=body, headers=OTHER)).status_code == 404
            assert (await b.client.post(path, json=body, headers=EVE)).status_code == 404
            body = {"account": "acc", "amount_minor": 20_000, "reason": "paid"}
            assert (await b.client.post(path, json=body, headers=EVE)).status_code == 202
            assert (await b.client.post(f"{path}/acc/approval", headers=OTHER)).status_code == 404
            assert (await b.client.post(f"{path}/acc/approval", headers=MAX)).status_code == 201

            # By the clock it is about all of them.
            await b.service.comparer.run("schedule")
            [report] = await b.database.fetch("SELECT tenant, report FROM reconciliations ORDER BY 1 LIMIT 1")
            assert (report["tenant"], '"accounts": 2' in report["report"]) == ("", True)

    run(story())


def test_a_connection_acts_for_whom_it_is_handed_to(database_url: str) -> None:
    """One connection, by turns; saying so costs a round trip when it changes hands, and none when it does not."""

    async def story() -> None:
        async with bench(database_url, api_keys=BOTH) as b:
            await open_account(b, OTHER, "acc2")

            async def seen(tenant: str) -> list[str]:
                with acting_for(tenant):
                    async with b.service.database.connection() as connection:
                        return [row[0] for row in await connection.fetch("SELECT account FROM accounts")]

            for _ in range(3):
                assert await seen("main") == ["acc"]
                assert await seen("other") == ["acc2"]
                assert await seen("") == []
            with pytest.raises(AssertionError):
                await seen("'; RESET ROLE")
            assert await seen("main") == ["acc"]

    run(story())


def test_what_forgets_the_tenant_is_still_held_to_it(database_url: str) -> None:
    """Statements that ask for everything, and that write for somebody else, as the API's role."""

    async def story() -> None:
        async with bench(database_url, api_keys=BOTH) as b:
            theirs = (await b.top_up()).json()
            await b.tell(theirs)
            await open_account(b, OTHER, "acc2")
            with acting_for("other"):
                async with b.service.database.connection() as c:
                    for table in ("top_ups", "transitions", "postings", "entries", "idempotency_keys", "refunds"):
                        assert await c.fetchval(f"SELECT count(*) FROM {table}") == 0, table
                    for statement in (
                        """INSERT INTO accounts (account, kind, customer, currency, balance_minor, opened_at, tenant)
                           VALUES ('acc3', 'customer', 'ann', 'EUR', 0, now(), 'main')""",
                        f"""INSERT INTO transitions (top_up, to_state, at, cause)
                            VALUES ('{theirs["top_up"]}', 'Failed', now(), 'x')""",
                    ):
                        with pytest.raises(asyncpg.InsufficientPrivilegeError):
                            await c.execute(statement)
                    assert await c.execute("UPDATE top_ups SET state = 'Failed'") == "UPDATE 0"

    run(story())


@pytest.mark.parametrize(
    ("job", "statement"),
    [
        (Job.API, "UPDATE accounts SET balance_minor = 1"),
        (Job.API, "INSERT INTO claims VALUES ('p', 'captured', now())"),
        (Job.API, "INSERT INTO postings (posting, top_up, payment, kind, at) VALUES ('x', 'x', 'p', 'credit', now())"),
        (Job.API, "INSERT INTO entries (posting, account, amount_minor, currency) VALUES ('x', 'acc', 1, 'EUR')"),
        (Job.API, "UPDATE top_ups SET amount_minor = 1"),
        (Job.API, "SELECT FROM findings"),
        (Job.API, "UPDATE api_keys SET revoked_at = NULL"),
        (Job.API, "INSERT INTO api_keys SELECT * FROM api_keys"),
        (Job.API, "SELECT FROM callbacks"),
        (Job.CALLBACKS, "INSERT INTO top_ups SELECT * FROM top_ups"),
        (Job.CALLBACKS, "SELECT FROM api_keys"),
        (Job.CALLBACKS, "SELECT FROM idempotency_keys"),
        (Job.CALLBACKS, "UPDATE accounts SET customer = 'eve'"),
        (Job.CALLBACKS, "INSERT INTO adjustments SELECT * FROM adjustments"),
        (Job.RECONCILER, "SELECT FROM api_keys"),
        (Job.RECONCILER, "SELECT FROM idempotency_keys"),
        (Job.RECONCILER, "INSERT INTO top_ups SELECT * FROM top_ups"),
        (Job.RECONCILER, "DELETE FROM findings"),
        (Job.READER, "SELECT FROM api_keys"),
        (Job.READER, "UPDATE accounts SET balance_minor = 1"),
        (Job.READER, "CREATE TABLE mine ()"),
        (Job.CALLBACKS, "ALTER TABLE entries DISABLE ROW LEVEL SECURITY"),
        (Job.CALLBACKS, "TRUNCATE kept_back"),
    ],
)
def test_a_job_may_do_what_it_needs_and_no_more(database_url: str, job: Job, statement: str) -> None:
    """Whatever hole there is in the program: the role that it runs as was never given this."""

    async def story() -> None:
        await migrate(database_url, "test")
        connection = await asyncpg.connect(database_url, server_settings={"role": job.value})
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)
        await connection.close()

    run(story())


def test_one_tenants_reviews_and_rates_are_none_of_the_others(database_url: str) -> None:
    """Both have an `ann`: hers who asks too often is turned away, and what is odd of hers is seen by her own operators."""

    async def story() -> None:
        async with bench(database_url, api_keys=BOTH, review_amount_minor=1000, rate_by_customer="1/3600") as b:
            assert (await open_account(b, OTHER, "acc2")).status_code == 201
            assert [(await top_up(b, TILL, key)).status_code for key in ("1", "2")] == [201, 429]
            assert [(await top_up(b, OTHER, key, "acc2")).status_code for key in ("1", "2")] == [201, 429]

            async def queue(who: dict[str, str]) -> list[int]:
                reviews = (await b.client.get("/admin/reviews", headers=who)).json()["reviews"]
                return [each["review"] for each in reviews]

            own, theirs = await queue(EVE), await queue(OTHER)
            assert (len(own), len(theirs), set(own) & set(theirs)) == (1, 1, set())
            closing = f"/admin/reviews/{own[0]}/closing"
            assert (await b.client.post(closing, json={"note": "fine"}, headers=OTHER)).status_code == 404
            assert await queue(EVE) == own

    run(story())


def test_every_table_says_who_sees_what_of_it(database_url: str) -> None:
    """A new table comes with its grants, and with its policies where it holds what is a tenant's."""

    async def story() -> None:
        await migrate(database_url, "test")
        connection = await asyncpg.connect(database_url)
        tables = {row[0] for row in await connection.fetch(TABLES)}
        granted = await connection.fetch(
            "SELECT DISTINCT table_name FROM information_schema.role_table_grants WHERE grantee LIKE 'topup\\_%'"
        )
        assert tables - {row[0] for row in granted} == set()
        forced = await connection.fetch("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
        assert tables - {row[0] for row in forced} == SHARED
        public = await connection.fetch(
            "SELECT table_name FROM information_schema.role_table_grants WHERE grantee = 'PUBLIC' AND table_schema = 'public'"
        )
        assert public == []
        await connection.close()

    run(story())


def test_two_databases_of_one_cluster_are_migrated_at_once(postgres: PostgresCluster) -> None:
    """Roles are the cluster's: whoever comes second finds them, also when both come at once."""

    async def story() -> None:
        names = [f"at_once_{number}" for number in range(4)]
        urls = [await postgres.create_database(name) for name in names]
        maintenance = await asyncpg.connect(urls[0])
        for job in Job:
            await maintenance.execute(f"DROP ROLE IF EXISTS {job.value}")
        await maintenance.close()
        await asyncio.gather(*(migrate(url, "test") for url in urls))
        for url in urls:
            connection = await asyncpg.connect(url, server_settings={"role": Job.API.value})
            assert await connection.fetchval("SELECT count(*) FROM accounts") == 0
            await connection.close()
        for name in names:
            await postgres.drop_database(name)

    run(story())


def test_whoever_logs_in_without_being_a_superuser_serves_and_sees_nothing_as_itself(
    postgres: PostgresCluster, database_url: str
) -> None:
    """The owner of the tables is held to the policies too: what would serve as the owner would serve nothing."""

    async def story() -> None:
        maintenance = await asyncpg.connect(database_url)
        await maintenance.execute("CREATE ROLE plain LOGIN CREATEROLE; GRANT CREATE ON SCHEMA public TO plain")
        for job in Job:
            await maintenance.execute(f"""DO $$ BEGIN CREATE ROLE {job.value} NOLOGIN NOINHERIT;
                                         EXCEPTION WHEN duplicate_object THEN NULL; END $$;
                                         GRANT {job.value} TO plain WITH INHERIT FALSE""")
        url = re.sub(r"//chaos@", "//plain@", database_url)
        try:
            async with bench(url) as b:
                theirs = (await b.top_up()).json()
                await b.tell(theirs)
                assert await b.balance() == 1000
                assert await b.database.fetchval("SELECT count(*) FROM accounts") == 0
                words = ("keys", "make", "shop-7", "--tenant", "main", "--scope", "read")
                made = await asyncio.to_thread(
                    subprocess.run,
                    [sys.executable, "-m", "reference_impl", *words],
                    env={"DATABASE_URL": url},
                    capture_output=True,
                    text=True,
                    timeout=60,
                )
                assert made.returncode == 0, made.stderr
                lines = (await b.client.post("/admin/audits", headers=EVE)).json()["records"]
                assert [line["action"] for line in lines][-1] == "key made"
        finally:
            await maintenance.execute("DROP OWNED BY plain; DROP ROLE plain")
            await maintenance.close()

    run(story())


def test_at_a_terminal_a_story_is_read_by_who_may_change_nothing(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            theirs = (await b.top_up()).json()
            await b.tell(theirs)
            program = [sys.executable, "-m", "reference_impl", "timeline", theirs["top_up"]]
            told = await asyncio.to_thread(
                subprocess.run, program, env={"DATABASE_URL": database_url}, capture_output=True, text=True, timeout=60
            )
            assert "credit +10.00 EUR on acc" in told.stdout, told.stderr

    run(story())


def test_no_more_connections_are_opened_at_once_than_one(database_url: str) -> None:
    """A service that is restarted often is not to pay for jobs that nobody has asked for yet."""

    async def story() -> None:
        async with bench(database_url, opened=False) as b:
            count = await b.database.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'topup-service'"
            )
            assert count == 1

    run(story())


def test_a_database_is_opened_for_a_job() -> None:
    assert {Database(job).role() for job in Job} == {job.value for job in Job}
