"""The log of the whole service, as its process writes it: secrets are planted wherever a stranger or a mishap could put one.

And the command that tells one top-up's story out of the database and that log.
"""

import asyncio
import base64
import hmac
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from harness.stacks.children import start_child
from harness.stacks.ports import LOOPBACK, free_port

KEY = b"planted-callback-key-32-bytes-xx"
SECRET = "whsec_" + base64.b64encode(KEY).decode()
CARD = "4242424242424242"
KEY_OF_OURS = "tk_till_plantedKeyOfOurs_plantedKeyOfOurs"
PLANTED = {
    "the callback secret": SECRET.removeprefix("whsec_"),
    "the provider's API key": "sk_test_plantedApiKey",
    "a password in a URL": "plantedPassword",
    "a bearer token": "plantedBearer",
    "an API key of ours": KEY_OF_OURS,
    "a card number": CARD,
    "a card number in groups": "4242 4242 4242 4242",
    "a part of a payload": "plantedPayload",
    "a token of a web session": "eyJwbGFudGVkIjoxfQ",
}
READY_S = 30.0


async def bad_provider(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Creates payments; says secrets in everything else that it answers."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next((int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")), 0)
        wanted = json.loads(await reader.readexactly(length)) if length else {}
        lists: dict[str, list[object]] = {"refunds": [], "disputes": []}
        made = {"id": "pay_1", "state": "pending", "captured_minor": 0, "refunded_minor": 0, "environment": "test"}
        status, answer = "201 Created", json.dumps({**made, **wanted, **lists})
        if not head.startswith("POST /v1/payments ") or wanted.get("amount_minor") == 666:
            status, answer = f"500 {CARD}", " ".join(PLANTED.values())
        writer.write(
            f"HTTP/1.1 {status}\r\nContent-Length: {len(answer)}\r\nX-Api-Key: sk_test_plantedApiKey\r\n"
            f"Set-Cookie: session=eyJwbGFudGVkIjoxfQ.e30.x\r\nConnection: close\r\n\r\n{answer}".encode()
        )
        await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def serving(database_url: str, log: Path, provider: str) -> AsyncIterator[httpx.AsyncClient]:
    """The service as its own process, talkative, with planted credentials; its output goes to *log*."""
    port = free_port()
    env = {
        "PORT": str(port),
        "DATABASE_URL": database_url.replace("//chaos@", "//chaos:plantedPassword@"),
        "PROVIDER_URL": provider,
        "PROVIDER_API_KEY": "sk_test_plantedApiKey",
        "CALLBACK_SECRET": SECRET,
        "API_KEYS": f"main/till:initiate,read,reconcile:{KEY_OF_OURS}",
        "MERCHANT": "shop",
        "ENVIRONMENT": "test",
        "NOTIFY_URL": provider.replace("//", "//ann:plantedPassword@") + "/notify?token=plantedBearer",
        "OUTBOX_EVERY_S": "0.05",
        "PROVIDER_ATTEMPTS": "1",
        "LOG_LEVEL": "DEBUG",
    }
    child = start_child([sys.executable, "-m", "reference_impl"], {**os.environ, **env}, log)
    async with httpx.AsyncClient(base_url=f"http://{LOOPBACK}:{port}", timeout=10, trust_env=False) as client:
        try:
            async with asyncio.timeout(READY_S):
                while True:
                    assert child.alive, log.read_text()
                    try:
                        await client.get("/healthz")
                        break
                    except httpx.TransportError:
                        await asyncio.sleep(0.02)
            yield client
        finally:
            await child.terminate(grace=5.0)


def callback(amount_minor: int = 1000, kind: str = "payment.captured", **facts: Any) -> tuple[dict[str, str], bytes]:
    """A callback about *facts*, rightly signed."""
    data = {
        "payment": "pay_1",
        "amount_minor": amount_minor,
        "currency": "EUR",
        "account": "acc",
        "merchant": "shop",
        "environment": "test",
    }
    body = json.dumps({"type": kind, "data": data | facts, "note": "plantedPayload"}).encode()
    at, name = str(int(time.time())), f"msg_{len(facts)}_{amount_minor}"
    digest = hmac.digest(KEY, f"{name}.{at}.".encode() + body, "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": name, "webhook-timestamp": at, "webhook-signature": signature}, body


async def attack(client: httpx.AsyncClient) -> tuple[str, list[str]]:
    """Every way in, with a secret in every place; returns the one honest top-up, and the signatures that were sent."""
    ann = {"X-Customer": "ann", "Authorization": f"Bearer {KEY_OF_OURS}", "Cookie": "session=eyJwbGFudGVkIjoxfQ.e30.x"}
    opened = await client.post("/v1/accounts", json={"account": "acc", "currency": "EUR"}, headers=ann)
    assert opened.status_code == 201
    wanted = {"account": "acc", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}
    honest = await client.post("/v1/top-ups", json=wanted, headers=ann | {"Idempotency-Key": CARD})
    assert honest.status_code == 201, honest.text
    for change in ({"amount_minor": 666}, {"card": CARD}, {"method": CARD}, {"account": SECRET}, {"currency": CARD}):
        headers = ann | {"Idempotency-Key": f"sk_test_plantedApiKey-{sorted(change)}", "X-Correlation-Id": CARD}
        await client.post("/v1/top-ups", json=wanted | change, headers=headers)
    for place in (f"/v1/top-ups/{CARD}", f"/v1/accounts/{SECRET}/balance?token=plantedBearer", f"/{CARD}"):
        await client.get(place, headers=ann)
    for wrong in ("plantedBearer", KEY_OF_OURS[:-1] + "x", f"{CARD}{KEY_OF_OURS}"):
        refused = await client.get("/v1/accounts/acc/balance", headers=ann | {"Authorization": f"Bearer {wrong}"})
        assert refused.status_code == 401
    await client.post("/v1/top-ups", content=b"plantedPayload" * 9, headers=ann | {"Idempotency-Key": "x"})
    await client.post("/admin/reconcile", headers=ann)
    signatures = await call_back(client, honest.json()["top_up"])
    return honest.json()["top_up"], signatures


async def call_back(client: httpx.AsyncClient, top_up: str) -> list[str]:
    """Callbacks that are refused, that disagree, and one that is honest; returns the signatures they bore."""
    signatures = []
    for headers, body in (
        callback(reference=top_up, merchant=CARD),
        callback(reference=top_up, amount_minor=CARD),
        callback(reference=CARD, a=1, b=2),
        callback(reference="tu_1", payment=CARD, a=1, b=2, c=3),
        callback(reference="tu_1", payment="sk_test_plantedApiKey", a=1, b=2, c=3, d=4),
        callback(kind=f"payment.{CARD}"),
        callback(reference=top_up),
    ):
        signatures.append(headers["webhook-signature"].removeprefix("v1,"))
        broken = headers | {"webhook-signature": headers["webhook-signature"][:-4] + "AAA="}
        for said in (broken, broken | {"webhook-signature": SECRET, "Authorization": "Bearer plantedBearer"}, headers):
            answer = await client.post("/callbacks/standard-webhooks", content=body, headers=said)
            assert answer.status_code < 500, answer.text
    assert answer.status_code == 204
    return signatures


async def break_the_database(url: str, client: httpx.AsyncClient) -> None:
    """The table that everything needs is gone: what the driver raises then is told with its trace."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER TABLE claims RENAME TO gone")
    await connection.close()
    headers, body = callback(reference="tu_1", c=3)
    assert (await client.post("/callbacks/standard-webhooks", content=body, headers=headers)).status_code == 503


@pytest.mark.stack
def test_no_planted_secret_is_in_the_log_and_one_story_can_be_told_from_it(database_url: str, tmp_path: Path) -> None:
    """Nowhere, whoever wrote the line; and what is needed to follow one top-up is there all the same."""
    log = tmp_path / "service.log"

    async def story() -> tuple[str, list[str], list[str]]:
        server = await asyncio.start_server(bad_provider, LOOPBACK, 0)
        provider = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        async with server, serving(database_url, log, provider) as client:
            top_up, signatures = await attack(client)
            await told(database_url)
            lines = await asyncio.to_thread(timeline, top_up, database_url, "--log", str(log))
            await break_the_database(database_url, client)
        return top_up, signatures, lines

    top_up, signatures, lines = asyncio.run(story())

    text = log.read_text(encoding="utf-8")
    planted = PLANTED | {f"signature {n}": signature for n, signature in enumerate(signatures)}
    assert [name for name, secret in planted.items() if secret in text] == []
    assert [name for name, secret in planted.items() if secret in "\n".join(lines)] == []
    assert "[redacted]" in text  # some of it did reach the one place that keeps it out
    written = [json.loads(line) for line in text.splitlines()]
    assert {"callback refused", "discrepancy", "event", "notification not delivered", "callback not stored"} <= {
        line["event"] for line in written
    }
    books = [line.split("  ")[1].strip() for line in lines]
    assert {"state", "callback", "claim", "ledger", "discrepancy", "notification", "log info", "log warning"} == set(
        books
    )
    assert [line for line in lines if "credit +10.00 EUR on acc, for pay_1" in line]
    assert lines == sorted(lines, key=lambda line: line.split("  ")[0])
    assert top_up in "\n".join(lines)


async def told(url: str) -> None:
    """Wait until the customer was told, or could not be."""
    connection = await asyncpg.connect(url)
    try:
        async with asyncio.timeout(READY_S):
            while await connection.fetchval("SELECT count(*) FROM outbox WHERE sent_at IS NOT NULL") == 0:  # noqa: ASYNC110
                await asyncio.sleep(0.02)  # another process does it, and only its database tells
    finally:
        await connection.close()


def command(*words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    environment: Mapping[str, str] = {k: v for k, v in os.environ.items() if k != "DATABASE_URL"} | env
    program = [sys.executable, "-m", "reference_impl", *words]
    return subprocess.run(program, env=environment, capture_output=True, text=True, timeout=60, check=False)


def timeline(top_up: str, database_url: str, *options: str) -> list[str]:
    done = command("timeline", top_up, *options, DATABASE_URL=database_url)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_what_cannot_be_told_is_said_so(database_url: str) -> None:
    """No such top-up; no such database; none named."""

    async def migrated() -> None:
        from reference_impl.migrate import migrate

        await migrate(database_url, "test")

    asyncio.run(migrated())
    for words, env, says in (
        (("timeline", "tu_1"), {"DATABASE_URL": database_url}, "there is no top-up 'tu_1' in this database"),
        (("timeline", "tu_1"), {}, "set DATABASE_URL"),
        (("timeline", "tu_1"), {"DATABASE_URL": "postgresql://a:plantedPassword@127.0.0.1:1/x"}, "cannot be read"),
    ):
        done = command(*words, **env)
        assert (done.returncode, done.stdout) == (2, "")
        assert says in done.stderr
        assert "plantedPassword" not in done.stderr
