"""Who may do what, on a real PostgreSQL: keys, scopes, revocation, and the commands that make and revoke them."""

import asyncio
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from hypothesis import given
from hypothesis import strategies as st
from test_reference_service import API_KEYS, EVE, KEYS, MAX, TILL, Bench, bench, run

from reference_impl.access import Access, Needs, Principal, Stored
from reference_impl.actors import at_the_terminal
from reference_impl.api_keys import BadKey, Scope, digest_of, draw, name_of, parse
from reference_impl.face import face
from reference_impl.parts import Parts
from reference_impl.signatures import Asked, canonical, derived, signed_with

OPEN = {"/healthz", "/metrics", "/callbacks/standard-webhooks"}
"""What takes no key."""


def routes(api: FastAPI) -> Iterator[tuple[str, str, Scope]]:
    """Every way in, with parameters that name something, and the scope that it says it takes."""
    assert len(api.openapi()["paths"]) == len({each.path for each in api.routes if isinstance(each, APIRoute)}) >= 20
    for route in api.routes:
        if isinstance(route, APIRoute):
            [scope] = [each.dependency.scope for each in route.dependencies if isinstance(each.dependency, Needs)]
            for method in sorted(route.methods):
                yield method, re.sub(r"\{(\w+)\}", "1", route.path), scope


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        f"Basic {KEYS['till']}",
        f"Bearer {KEYS['till'][:-1]}",
        f"Bearer {KEYS['till']}0",
        f"Bearer {KEYS['till'].replace('till', 'eve', 1)}",
        f"Bearer tk_nobody_{'0' * 32}",
        "Bearer \x00",
        "Bearer " + "a" * 4000,
    ],
)
def test_nobody_gets_in_without_a_key(database_url: str, authorization: str | None) -> None:
    """Wherever they want to go, also where there is nothing; and they are told how to come again."""

    async def story() -> None:
        async with bench(database_url) as b:
            del b.client.headers["Authorization"]
            headers = {} if authorization is None else {"Authorization": authorization}
            for method, path, _ in [*routes(face()), ("GET", "/openapi.json", None), ("GET", "/nowhere", None)]:
                refused = await b.client.request(method, path, headers=headers | {"X-Customer": "ann"})
                assert refused.status_code == 401, path
                assert refused.headers["WWW-Authenticate"].startswith("Bearer ")
                assert refused.json()["error"]["field"] == "Authorization"

    run(story())


def test_what_is_open_is_open(database_url: str) -> None:
    """Whoever watches has no key, and the provider signs."""

    async def story() -> None:
        async with bench(database_url) as b:
            del b.client.headers["Authorization"]
            assert {(await b.client.post(path)).status_code for path in OPEN if "callbacks" in path} == {401}
            assert b.client.headers.get("Authorization") is None
            for path in ("/healthz", "/metrics"):
                assert (await b.client.get(path)).status_code == 200

    run(story())


@pytest.mark.parametrize("scope", Scope)
def test_a_key_is_good_for_its_scopes_alone(database_url: str, scope: Scope) -> None:
    """Each way in says which scope it takes, refuses every other, and names what is missing."""
    key = f"tk_only_{'0' * 32}"

    async def story() -> None:
        async with bench(database_url, api_keys=f"{API_KEYS} main/only:{scope}:{key}") as b:
            who = {"Authorization": f"Bearer {key}", "X-Customer": "ann", "Idempotency-Key": "k"}
            for method, path, needed in routes(face()):
                answer = await b.client.request(method, path, headers=who)
                if needed is scope:
                    assert answer.status_code not in (401, 403), path
                else:
                    assert answer.status_code == 403, path
                    assert needed in answer.json()["error"]["message"]
                    assert f'scope="{needed}"' in answer.headers["WWW-Authenticate"]

    run(story())


def test_whom_the_key_names_is_who_acts(database_url: str) -> None:
    """Nobody approves their own correction by saying that they are somebody else."""

    async def story() -> None:
        async with bench(database_url) as b:
            answer = await b.client.post(
                "/admin/findings/1/adjustments/acc/approval", headers=TILL | {"X-Operator": "max"}
            )
            assert answer.status_code == 403
            answer = await b.client.post("/admin/findings/1/adjustments/acc/approval", headers=MAX)
            assert answer.status_code == 404

    run(story())


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


class Counting(Access):
    """Counts how often the database is asked."""

    asked = 0

    async def looked_up(self, name: str) -> Stored | None:
        type(self).asked += 1
        return await super().looked_up(name)


async def ask(b: Bench) -> int:
    return (await b.client.get("/v1/accounts/acc/balance", headers={"X-Customer": "ann"})).status_code


def test_a_revoked_key_is_refused_within_what_is_stated(database_url: str) -> None:
    """Until then the database is not asked again; from then on it is, and the answer is no, for good."""
    clock = Clock()
    Counting.asked = 0

    async def story() -> None:
        async with bench(database_url, parts=Parts(access=Counting), monotonic=clock, access_cache_s=10) as b:
            assert [await ask(b) for _ in range(5)] == [200] * 5
            assert Counting.asked == 1
            await b.database.execute("UPDATE api_keys SET revoked_at = now() WHERE key = 'till'")
            clock.at = 9.9
            assert await ask(b) == 200
            clock.at = 10
            assert [await ask(b) for _ in range(3)] == [401] * 3
            with pytest.raises(asyncpg.RestrictViolationError):
                await b.database.execute("UPDATE api_keys SET revoked_at = NULL")
        # Whoever starts the same deployment again does not bring it back.
        async with bench(database_url, opened=False) as b:
            b.client.headers.update(TILL)
            assert await ask(b) == 401

    run(story())


def test_a_deployment_says_which_keys_are_good_no_longer(database_url: str) -> None:
    """From its start on, for good; also one that it is just given."""

    async def story() -> None:
        for said in ("till gone", ""):
            async with bench(database_url, revoked_keys=said, opened=False) as b:
                assert await ask(b) == 401
                assert (await b.client.get("/admin/findings", headers=EVE)).status_code == 200

    run(story())


def test_what_is_remembered_is_bounded(database_url: str) -> None:
    class Forgetful(Access):
        REMEMBERED_MAX = 1

    async def story() -> None:
        async with bench(database_url, parts=Parts(access=Forgetful)) as b:
            for who in (TILL, EVE, TILL, MAX):
                await b.client.get("/nowhere", headers=who)
                assert len(b.service.access.remembered) == 1

    run(story())


def test_without_a_database_nobody_is_known_and_asked_to_come_again(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            await b.database.execute("ALTER TABLE api_keys RENAME TO gone")
            assert (await b.client.get("/admin/findings", headers=EVE)).status_code == 503

    run(story())


@given(at=st.integers(0, 200), to=st.sampled_from("abcXYZ019_-"))
def test_any_changed_character_makes_it_another_key(at: int, to: str) -> None:
    key = draw("main", "till", ["read"])
    stored = Stored(Principal("till", "main", frozenset(), key.name), digest_of(key.token), None)
    at %= len(key.token)
    changed = key.token[:at] + to + key.token[at + 1 :]
    access = Access(None, None, Clock(), 10)  # type: ignore[arg-type] # nothing is looked up
    assert access.matches(stored, key.token)
    assert access.matches(stored, changed) == (changed == key.token)
    assert name_of(changed) != key.name or changed[3 + len(key.name)] == "_"


@pytest.mark.parametrize(
    "written",
    [
        "plantedSecretOfSomebody",
        f"main/till:read:{KEYS['till'][:20]}",
        f"main/till:everything:{KEYS['till']}",
        f"main/till::{KEYS['till']}",
        f"/till:read:{KEYS['till']}",
        f"main/:read:{KEYS['till']}",
        f"MAIN/till:read:{KEYS['till']}",
        f"{KEYS['till']}:read:main/till",
    ],
)
def test_keys_that_cannot_be_are_refused_and_not_shown(written: str) -> None:
    with pytest.raises(BadKey, match="entry 2 of API_KEYS") as refused:
        parse(f"main/eve:admin:{KEYS['eve']} {written}")
    assert written not in str(refused.value)
    assert KEYS["till"] not in str(refused.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        (f"main/till:read:tk_till_{'1' * 32}", "another key's"),
        (f"other/till:read:tk_new_{'1' * 32}", "tenant 'main'"),
    ],
)
def test_a_name_stands_for_one_key_and_a_principal_for_one_tenant(database_url: str, keys: str, says: str) -> None:
    async def story() -> None:
        async with bench(database_url):
            pass
        with pytest.raises(BadKey, match=says):
            async with bench(database_url, api_keys=keys, opened=False):
                pass

    run(story())


def command(database_url: str, *words: str) -> "subprocess.CompletedProcess[str]":
    program = [sys.executable, "-m", "reference_impl", "keys", *words]
    env = {**os.environ, "DATABASE_URL": database_url}
    return subprocess.run(program, env=env, capture_output=True, text=True, timeout=60, check=False)


def test_keys_are_made_listed_and_revoked_at_a_terminal(database_url: str) -> None:
    """Shown once: what the database holds would not let anybody in."""

    async def story() -> None:
        async with bench(database_url, access_cache_s=0) as b:

            async def keys(*words: str) -> "subprocess.CompletedProcess[str]":
                return await asyncio.to_thread(command, database_url, *words)

            made = await keys("make", "shop-7", "--tenant", "main", "--scope", "read")
            assert made.returncode == 0, made.stderr
            token = made.stdout.strip()
            b.client.headers["Authorization"] = f"Bearer {token}"
            assert await ask(b) == 200

            name = token.split("_")[1]
            held = "\n".join(str(dict(row)) for row in await b.database.fetch("SELECT * FROM api_keys"))
            assert name in held
            assert token.split("_", 2)[2] not in held
            shown = (await keys("list")).stdout
            assert f"{name}  main/shop-7  read" in shown
            assert token.split("_", 2)[2] not in shown

            assert (await keys("revoke", name)).returncode == 0
            assert await ask(b) == 401
            assert (await keys("revoke", name)).returncode == 2
            assert "revoked" in (await keys("list")).stdout
            refused: Any = await keys("make", "till", "--tenant", "other", "--scope", "read")
            assert (refused.returncode, "tenant 'main'" in refused.stderr) == (2, True)

            lines = (await b.client.post("/admin/audits", headers=EVE)).json()["records"]
            told = [(line["action"], line["subject"], line["tenant"]) for line in lines if "key" in line["action"]]
            assert told == [("key made", name, "main"), ("key revoked", name, "main")]
            assert {line["actor"] for line in lines if "key" in line["action"]} == {at_the_terminal()}

    run(story())


SIGNING = "a-secret-of-the-test-that-is-long-enough"


def signing(
    b: Bench, method: str, path: str, body: bytes = b"", key: str = "till", nonce: str = "", **more: str
) -> httpx.Request:
    """A request that an honest client signs."""
    request = b.client.build_request(method, path, content=body)
    del request.headers["Authorization"]
    request.headers.update(
        {
            "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "x-acs-signature-nonce": nonce or uuid4().hex,
            "x-acs-content-sha256": hashlib.sha256(body).hexdigest(),
            "x-customer": "ann",
            **more,
        }
    )
    headers = {name.lower(): value for name, value in request.headers.items()}
    names = sorted(
        name for name in headers if name.startswith("x-") or name in ("host", "content-type", "idempotency-key")
    )
    asked = Asked(method=method, path=request.url.path, query=request.url.query.decode(), headers=list(headers.items()))
    signature = signed_with(derived(SIGNING, key), canonical(asked, names, headers))
    request.headers["Authorization"] = (
        f"ACS3-HMAC-SHA256 Credential={key},SignedHeaders={';'.join(names)},Signature={signature}"
    )
    return request


async def sent(b: Bench, request: httpx.Request) -> int:
    """The status; the very same request may be sent again."""
    return (await b.client.send(request)).status_code


def test_who_signs_needs_no_key_and_may_what_the_key_may(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url, signing_secret=SIGNING) as b:
            body = b'{"account": "acc", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}'
            more = {"content-type": "application/json", "idempotency-key": "k1"}
            made = await b.client.send(signing(b, "POST", "/v1/top-ups", body, **more))
            assert made.status_code == 201, made.text
            assert await sent(b, signing(b, "GET", "/v1/discrepancies?account=acc")) == 200
            assert await sent(b, signing(b, "GET", "/admin/findings")) == 200
            assert await sent(b, signing(b, "GET", "/v1/accounts/acc/balance", key="eve")) == 403
            assert await sent(b, signing(b, "GET", "/v1/accounts/acc/balance", key="nobody")) == 401
            refused = await b.client.send(signing(b, "GET", "/v1/accounts/acc/balance", nonce="n" * 129))
            assert (refused.status_code, refused.json()["error"]["field"]) == (401, "x-acs-signature-nonce")
            assert refused.headers["WWW-Authenticate"] == "ACS3-HMAC-SHA256"
            await b.database.execute("UPDATE api_keys SET revoked_at = now() WHERE key = 'till'")
            b.service.access.remembered.clear()
            assert await sent(b, signing(b, "GET", "/v1/accounts/acc/balance")) == 401

    run(story())


def test_a_signed_request_is_good_once_also_across_a_restart(database_url: str) -> None:
    """However many come at once, one is taken; and whoever starts anew remembers it."""

    async def story() -> None:
        async with bench(database_url, signing_secret=SIGNING) as b:
            request = signing(b, "GET", "/v1/accounts/acc/balance")
            answers = await asyncio.gather(*(sent(b, request) for _ in range(5)))
            assert sorted(answers) == [200, 401, 401, 401, 401]
        async with bench(database_url, signing_secret=SIGNING, opened=False) as b:
            assert await sent(b, request) == 401
            # What was wrongly signed uses up nobody's nonce.
            honest = signing(b, "GET", "/v1/accounts/acc/balance", nonce="n1")
            changed = signing(b, "GET", "/v1/accounts/acc/balance", nonce="n1")
            changed.headers["x-customer"] = "bob"
            assert [await sent(b, each) for each in (changed, honest, honest)] == [401, 200, 401]

    run(story())


def test_nonces_are_forgotten_when_their_date_is_too_old(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url, signing_secret=SIGNING) as b:
            await b.database.execute("INSERT INTO nonces VALUES ('till', 'old', now() - interval '1 second')")
            assert await sent(b, signing(b, "GET", "/v1/accounts/acc/balance", nonce="new")) == 200
            assert [row[0] for row in await b.database.fetch("SELECT nonce FROM nonces")] == ["new"]

    run(story())


def test_without_a_signing_secret_nobodys_signature_is_taken(database_url: str) -> None:
    async def story() -> None:
        async with bench(database_url) as b:
            assert await sent(b, signing(b, "GET", "/v1/accounts/acc/balance")) == 401

    run(story())


def test_a_signing_secret_is_shown_at_a_terminal(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def story() -> None:
        async with bench(database_url):
            monkeypatch.delenv("SIGNING_SECRET", raising=False)
            assert (await asyncio.to_thread(command, database_url, "secret", "till")).returncode == 2
            monkeypatch.setenv("SIGNING_SECRET", SIGNING)
            told = await asyncio.to_thread(command, database_url, "secret", "till")
            assert told.stdout.strip() == derived(SIGNING, "till")
            assert (await asyncio.to_thread(command, database_url, "secret", "nobody")).returncode == 2

    run(story())
