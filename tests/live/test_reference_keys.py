"""What a request is answered whose key is missing, stands for another request, or is still at work: custom by custom."""

import asyncio

import httpx
import pytest
from test_reference_service import ANN, Bench, bench, run

pytestmark = pytest.mark.stack

BODY = {"account": "acc", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}


async def while_running(b: Bench) -> tuple[httpx.Response, httpx.Response]:
    """The answer to a request whose first try still waits for the provider, and to that one."""
    asked, release = asyncio.Event(), asyncio.Event()

    async def wait(request: httpx.Request) -> httpx.Response:
        asked.set()
        await release.wait()
        return httpx.Response(201, json=b.provider.create(request))

    b.provider.on_create = wait
    first = asyncio.create_task(b.top_up(key="running"))
    await asyncio.wait_for(asked.wait(), 5)
    second = await b.top_up(key="running")
    release.set()
    return second, await first


@pytest.mark.parametrize(
    ("profile", "missing", "reused", "running"),
    [
        ("ietf", (400, "key_missing"), (422, "key_reused"), (409, "in_progress")),
        ("stripe", None, (400, "idempotency_error"), (409, "idempotency_key_in_use")),
        ("brandur", (400, "key_missing"), (409, "key_reused"), (409, "in_progress")),
    ],
)
def test_each_custom_has_its_answers(
    database_url: str,
    profile: str,
    missing: tuple[int, str] | None,
    reused: tuple[int, str],
    running: tuple[int, str],
) -> None:
    """And what is done is the same: one key is one payment."""

    def said(answer: httpx.Response) -> tuple[int, str]:
        return answer.status_code, answer.json()["error"]["code"]

    async def story() -> None:
        async with bench(database_url, idempotency_profile=profile, provider_timeout_s=5) as b:
            without = [await b.client.post("/v1/top-ups", json=BODY, headers=ANN) for _ in range(2)]
            if missing is None:
                assert [answer.status_code for answer in without] == [201, 201]
                assert len({answer.json()["top_up"] for answer in without}) == 2
            else:
                assert [said(answer) for answer in without] == [missing] * 2
                assert {answer.json()["error"]["field"] for answer in without} == {"Idempotency-Key"}
            before = len(b.provider.payments)
            assert (await b.top_up(key="k")).status_code == 201
            assert said(await b.top_up(key="k", amount_minor=2000)) == reused
            again = await b.top_up(key="k")
            assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
            second, first = await while_running(b)
            assert said(second) == running
            assert (first.status_code, second.headers["Retry-After"]) == (201, "2")
            assert len(b.provider.payments) == before + 2

    run(story())


def test_a_custom_that_is_none_does_not_start(database_url: str) -> None:
    """The message names those that there are."""

    async def story() -> None:
        with pytest.raises(ValueError, match="'ietf', 'stripe' or 'brandur'"):
            async with bench(database_url, idempotency_profile="rfc"):
                pass

    run(story())
