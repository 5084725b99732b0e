"""Money that goes back: refunds and chargebacks, told in any order and any number of times, on a real PostgreSQL."""

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import permutations
from random import Random
from typing import Any

import httpx
import pytest
from test_reference_service import CREDITED, Bench, bench, run
from typing_extensions import override

from reference_impl.callbacks import CallbackIntake, Outcome
from reference_impl.database import Connection
from reference_impl.discrepancies import Disagreement
from reference_impl.events import Event
from reference_impl.parts import Parts

News = tuple[str, dict[str, Any]]

CAPTURED: News = ("payment.captured", {})


def refund(n: int, amount_minor: int, so_far: int) -> News:
    facts = {"refund": f"re_{n}", "amount_minor": amount_minor, "captured_minor": 1000, "refunded_minor": so_far}
    return ("payment.refunded", facts)


def dispute(kind: str, amount_minor: int, n: int = 1) -> News:
    facts = {"dispute": f"dp_{n}", "amount_minor": amount_minor, "captured_minor": 1000, "refunded_minor": 0}
    return (f"dispute.{kind}", facts)


async def tell(b: Bench, top_up: dict[str, Any], told: Sequence[News]) -> None:
    for kind, facts in told:
        assert (await b.tell(top_up, kind, **facts)).status_code == 204


async def postings(b: Bench) -> Counter[tuple[str, int, str | None]]:
    """What stands in the account's ledger, whatever the order it was written in."""
    entries = (await b.get("/v1/accounts/acc/entries"))["entries"]
    own = [entry for entry in entries if entry["account"] == "acc"]
    return Counter((entry["kind"], entry["amount_minor"], entry["reversal"]) for entry in own)


async def asked(b: Bench, top_up: dict[str, Any], amount_minor: int, key: str = "r1") -> httpx.Response:
    headers = {"X-Customer": "ann", "Idempotency-Key": key}
    path = f"/v1/top-ups/{top_up['top_up']}/refunds"
    return await b.client.post(path, json={"amount_minor": amount_minor}, headers=headers)


async def paid(b: Bench, key: str = "k1") -> dict[str, Any]:
    top_up: dict[str, Any] = (await b.top_up(key=key)).json()
    b.provider.captured(top_up["payment"])
    await tell(b, top_up, [CAPTURED])
    return top_up


STORIES: dict[str, tuple[list[News], str, dict[tuple[str, int, str | None], int]]] = {
    "two partial refunds": (
        [CAPTURED, refund(1, 300, 300), refund(2, 200, 500)],
        "PartlyReversed",
        {("credit", 1000, None): 1, ("refund", -300, "re_1"): 1, ("refund", -200, "re_2"): 1},
    ),
    "two equal refunds that are all of it": (
        [CAPTURED, refund(1, 500, 500), refund(2, 500, 1000)],
        "Reversed",
        {("credit", 1000, None): 1, ("refund", -500, "re_1"): 1, ("refund", -500, "re_2"): 1},
    ),
    "a dispute that is won": (
        [CAPTURED, dispute("opened", 1000), dispute("won", 1000)],
        "Credited",
        {("credit", 1000, None): 1, ("chargeback", -1000, "dp_1"): 1, ("chargeback-won", 1000, "dp_1"): 1},
    ),
    "a refund, and a dispute about the rest that is lost": (
        [CAPTURED, refund(1, 400, 400), dispute("opened", 600), dispute("lost", 600)],
        "Reversed",
        {("credit", 1000, None): 1, ("refund", -400, "re_1"): 1, ("chargeback", -600, "dp_1"): 1},
    ),
    "a failed attempt, a capture, and a second dispute after the first was won": (
        [
            ("payment.failed", {}),
            CAPTURED,
            dispute("opened", 700),
            dispute("won", 700),
            dispute("opened", 1000, 2),
        ],
        "Reversed",
        {
            ("credit", 1000, None): 1,
            ("chargeback", -700, "dp_1"): 1,
            ("chargeback-won", 700, "dp_1"): 1,
            ("chargeback", -1000, "dp_2"): 1,
        },
    ),
    "parts that are captured, of which some goes back and some is disputed before the last has come": (
        [
            ("payment.captured", {"amount_minor": 400}),
            ("payment.refunded", refund(1, 100, 100)[1] | {"captured_minor": 400}),
            ("dispute.opened", dispute("opened", 200)[1] | {"captured_minor": 700}),
            CAPTURED,
        ],
        "PartlyReversed",
        {("credit", 1000, None): 1, ("refund", -100, "re_1"): 1, ("chargeback", -200, "dp_1"): 1},
    ),
}


@pytest.mark.parametrize("story", STORIES)
def test_in_any_order_and_more_than_once_it_ends_in_the_same_ledger(database_url: str, story: str) -> None:
    """Every permutation; after it, each piece of news once more; and what comes last is the state that the ledger means."""
    told, state, expected = STORIES[story]

    async def scene() -> None:
        async with bench(database_url) as b:
            for number, order in enumerate(permutations(told)):
                await b.client.post(
                    "/v1/accounts", json={"account": f"a{number}", "currency": "EUR"}, headers={"X-Customer": "ann"}
                )
                body = {"account": f"a{number}", "amount_minor": 1000, "currency": "EUR", "method": "redirect"}
                headers = {"X-Customer": "ann", "Idempotency-Key": f"k{number}"}
                top_up = (await b.client.post("/v1/top-ups", json=body, headers=headers)).json()
                again = Random(number).sample(told, len(told))
                await tell(b, top_up, [*order, *again])
                entries = (await b.get(f"/v1/accounts/a{number}/entries"))["entries"]
                own = [entry for entry in entries if entry["account"] == f"a{number}"]
                found = Counter((entry["kind"], entry["amount_minor"], entry["reversal"]) for entry in own)
                assert found == expected, order
                shown = await b.get(f"/v1/accounts/a{number}/balance")
                assert shown["balance_minor"] == sum(entry["amount_minor"] for entry in own)
                assert (await b.get(f"/v1/top-ups/{top_up['top_up']}"))["state"] == state, order
                await b.steps(top_up)

    run(scene())


@pytest.mark.parametrize("story", STORIES)
def test_all_at_once_and_twice_it_ends_in_the_same_ledger(database_url: str, story: str) -> None:
    """Nobody waits in a circle, and whoever comes second finds the claim taken."""
    told, state, expected = STORIES[story]

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            answers = await asyncio.gather(*(b.tell(top_up, kind, **facts) for kind, facts in told * 4))
            assert {answer.status_code for answer in answers} == {204}
            assert await postings(b) == expected
            assert (await b.get(f"/v1/top-ups/{top_up['top_up']}"))["state"] == state

    run(scene())


def test_a_reversal_is_a_posting_of_its_own_and_the_credit_stays(database_url: str) -> None:
    """The way there is recorded, and the customer reads what is so."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            await tell(b, top_up, [refund(1, 400, 400)])
            assert (await b.balance(), await b.status(top_up)) == (600, "Credit applied")
            await tell(b, top_up, [refund(2, 600, 1000)])
            assert (await b.balance(), await b.status(top_up)) == (0, "Credit reversed")
            assert await b.steps(top_up) == [*CREDITED, "PartlyReversed", "Reversed"]
            assert await b.kinds() == []

    run(scene())


def test_what_was_never_credited_is_not_taken_back(database_url: str) -> None:
    """A payment that is set aside stays so when it is refunded, whichever is heard of first."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            other = {"amount_minor": 600, "captured_minor": 600, "refund": "re_1", "refunded_minor": 600}
            await tell(b, top_up, [("payment.refunded", other), ("payment.captured", {"amount_minor": 600})])
            assert await b.balance() == 0
            assert await postings(b) == {}
            assert await b.kinds() == ["amount_minor"]

    run(scene())


def test_what_was_kept_back_is_applied_once_its_payment_is_credited(database_url: str) -> None:
    """A refund that came with a capture to be set aside is not told again: the true capture brings it along."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up()).json()
            kind, facts = refund(1, 300, 300)
            await tell(b, top_up, [(kind, facts | {"captured_minor": 500})])
            assert await b.balance() == 0
            assert await b.database.fetchval("SELECT outcome FROM callbacks") == "set aside", (
                "its id is kept as any other's"
            )
            await tell(b, top_up, [CAPTURED])
            assert await postings(b) == {("credit", 1000, None): 1, ("refund", -300, "re_1"): 1}
            assert await b.balance() == 700

    run(scene())


def test_as_long_as_one_minor_unit_is_left_a_part_is_left(database_url: str) -> None:
    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            await tell(b, top_up, [refund(1, 999, 999)])
            assert await b.steps(top_up) == [*CREDITED, "PartlyReversed"]
            await tell(b, top_up, [refund(2, 1, 1000)])
            assert await b.steps(top_up) == [*CREDITED, "PartlyReversed", "Reversed"]

    run(scene())


@pytest.mark.parametrize("field", ["currency", "account", "merchant", "environment"])
def test_a_reversal_of_somebody_else_s_payment_moves_nothing(database_url: str, field: str) -> None:
    """Compared like a capture, but for the amount: a part may go back."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            kind, facts = refund(1, 300, 300)
            strange = {"currency": "USD"}.get(field, "other")
            await tell(b, top_up, [(kind, facts | {field: strange})])
            assert await b.balance() == 1000
            assert await b.kinds() == [field]
            await tell(b, top_up, [(kind, facts)])
            assert await b.balance() == 700, "the strange report did not use up the true one"

    run(scene())


class Meeting(CallbackIntake):
    """A refund about which something does not agree is set aside while the same refund, told rightly, holds its claim."""

    aside, credited, claimed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @override
    async def set_aside(self, event: Event, disagreement: Disagreement) -> Outcome:
        self.aside.set()
        await self.credited.wait()
        return await super().set_aside(event, disagreement)

    @override
    async def claim(self, connection: Connection, event: Event) -> bool:
        new = await super().claim(connection, event)
        if event.reversal and self.aside.is_set() and not self.claimed.is_set():
            self.claimed.set()
            async with asyncio.timeout(10):
                while not await connection.fetchval("SELECT true FROM pg_locks WHERE NOT granted LIMIT 1"):  # noqa: ASYNC110
                    await asyncio.sleep(0.01)  # the database tells nobody who waits
        return new


def test_what_is_set_aside_and_what_is_claimed_do_not_wait_for_each_other(database_url: str) -> None:
    """A claim comes before the lock on the top-up, also for what had to be kept back and is credited in this moment."""

    async def story() -> None:
        Meeting.aside, Meeting.credited, Meeting.claimed = (asyncio.Event() for _ in range(3))
        async with bench(database_url, parts=replace(Parts(), callbacks=Meeting)) as b:
            top_up = (await b.top_up()).json()
            kind, facts = refund(1, 300, 300)
            wrong = asyncio.create_task(b.tell(top_up, kind, **facts | {"captured_minor": 500}))
            async with asyncio.timeout(10):
                await Meeting.aside.wait()
            await tell(b, top_up, [CAPTURED])
            right = asyncio.create_task(b.tell(top_up, kind, **facts))
            async with asyncio.timeout(10):
                await Meeting.claimed.wait()
            Meeting.credited.set()

            assert [answer.status_code for answer in await asyncio.gather(wrong, right)] == [204, 204]

            assert await postings(b) == {("credit", 1000, None): 1, ("refund", -300, "re_1"): 1}
            assert await b.balance() == 700
            assert await b.kinds() == ["amount_minor"]

    run(story())


def test_a_balance_may_go_below_zero_by_what_a_bank_takes_back(database_url: str) -> None:
    """Two disputes about one credit of which a part was refunded: the ledger says what the provider did, whatever it is."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            await tell(b, top_up, [refund(1, 300, 300), dispute("opened", 1000)])
            assert (await b.balance(), await b.status(top_up)) == (-300, "Credit reversed")

    run(scene())


def test_customer_service_gives_money_back(database_url: str) -> None:
    """Once for each key, posted once whether the answer or the callback is faster, and never more than is left."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            first = await asked(b, top_up, 300)
            assert (first.status_code, first.json()["state"]) == (201, "Refunded")
            assert await b.balance() == 700
            await tell(
                b,
                top_up,
                [("payment.refunded", refund(1, 300, 300)[1] | {"refund": first.json()["provider_refund"]})],
            )
            assert await b.balance() == 700

            again = await asked(b, top_up, 300)
            assert (again.status_code, again.json()) == (201, first.json())
            assert again.headers["Idempotent-Replayed"] == "true"
            assert (await asked(b, top_up, 301)).status_code == 422, "the key stands for another request"
            refused = await asked(b, top_up, 701, "r2")
            assert (refused.status_code, refused.json()["error"]["code"]) == (422, "not_refundable")
            assert (await asked(b, top_up, 701, "r2")).json() == refused.json()
            assert (await asked(b, top_up, 700, "r3")).status_code == 201
            assert (await b.balance(), await b.status(top_up)) == (0, "Credit reversed")
            listed = (await b.get(f"/v1/top-ups/{top_up['top_up']}/refunds"))["refunds"]
            assert [(each["amount_minor"], each["state"]) for each in listed] == [
                (300, "Refunded"),
                (701, "Refused"),
                (700, "Refunded"),
            ]
            assert len(b.provider.refunds) == 2

    run(scene())


def test_of_many_refunds_at_once_no_more_than_is_left_is_given_back(database_url: str) -> None:
    """Under keys of their own; the second sees the first, even while the provider has not answered."""

    async def scene() -> None:
        async with bench(database_url, provider_timeout_s=5) as b:
            top_up = await paid(b)
            answers = await asyncio.gather(*(asked(b, top_up, 400, f"r{n}") for n in range(6)))
            assert sorted(answer.status_code for answer in answers) == [201, 201, 422, 422, 422, 422]
            assert await b.balance() == 200

    run(scene())


def test_this_service_does_not_take_an_account_below_zero(database_url: str) -> None:
    """The credit is there to give back, but a bank has taken as much from the account for another."""

    async def scene() -> None:
        async with bench(database_url) as b:
            first, second = await paid(b, "k1"), await paid(b, "k2")
            await tell(b, first, [dispute("opened", 1000), dispute("opened", 600, 2)])
            assert await b.balance() == 400
            assert (await asked(b, second, 401)).status_code == 422
            assert (await asked(b, second, 400, "r2")).status_code == 201
            assert await b.balance() == 0

    run(scene())


@pytest.mark.parametrize("state", ["nothing paid yet", "declined"])
def test_what_was_not_credited_cannot_be_given_back(database_url: str, state: str) -> None:
    """The provider is not even asked."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = (await b.top_up(method="bad-card" if state == "declined" else "redirect")).json()
            assert (await asked(b, top_up, 1)).status_code == 422
            assert b.provider.refunds == {}
            strangers = {"X-Customer": "bob", "Idempotency-Key": "r1"}
            path = f"/v1/top-ups/{top_up['top_up']}/refunds"
            assert (await b.client.post(path, json={"amount_minor": 1}, headers=strangers)).status_code == 404

    run(scene())


def test_a_refund_without_an_answer_is_unknown_and_is_asked_for_again_under_one_key(database_url: str) -> None:
    """202, nothing posted, and the room for it kept; then reconciliation finds out, and money went back once."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)

            async def silent(request: httpx.Request) -> httpx.Response:
                b.provider.refund(request)
                raise httpx.ReadTimeout("no answer", request=request)

            b.provider.on_refund = silent
            answer = await asked(b, top_up, 600)
            assert (answer.status_code, answer.json()["state"]) == (202, "Requested")
            assert await b.balance() == 1000
            assert (await asked(b, top_up, 600, "r2")).status_code == 422, "it may be on its way"
            b.provider.on_refund = None

            report = await b.reconcile()
            assert report["reversals"] == 1
            assert await b.balance() == 400
            assert len(b.provider.refunds) == 1
            assert len({key for key in b.provider.keys if key.startswith("refund-")}) == 1
            assert (await b.get(f"/v1/top-ups/{top_up['top_up']}/refunds"))["refunds"][0]["state"] == "Refunded"
            assert (await b.reconcile())["reversals"] == 0

    run(scene())


def test_a_refund_whose_service_died_is_resumed_by_its_key(database_url: str) -> None:
    """The same refund, the same key at the provider, one posting."""

    async def scene() -> None:
        async with bench(database_url, key_lease_s=0.05, provider_timeout_s=5) as b:
            top_up = await paid(b)
            reached = asyncio.Event()

            async def never(request: httpx.Request) -> httpx.Response:
                b.provider.refund(request)
                reached.set()
                return await asyncio.Future[httpx.Response]()

            b.provider.on_refund = never
            dying = asyncio.create_task(asked(b, top_up, 600))
            await reached.wait()
            dying.cancel()
            await asyncio.gather(dying, return_exceptions=True)
            b.provider.on_refund = None
            answer = await asked(b, top_up, 600)
            while answer.status_code == 409:
                answer = await asked(b, top_up, 600)
            assert answer.status_code == 201
            assert (await b.balance(), len(b.provider.refunds)) == (400, 1)

    run(scene())


def test_the_provider_s_no_is_remembered(database_url: str) -> None:
    """Refused, not unknown; the room is free again."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)

            async def refuse(_: httpx.Request) -> httpx.Response:
                return httpx.Response(422, json={"error": {"code": "not_refundable"}})

            b.provider.on_refund = refuse
            assert (await asked(b, top_up, 600)).status_code == 422
            b.provider.on_refund = None
            assert await b.balance() == 1000
            assert (await asked(b, top_up, 1000, "r2")).status_code == 201

    run(scene())


def test_reconciliation_finds_what_no_callback_told(database_url: str) -> None:
    """Refunds, disputes open, won and lost, of top-ups that were long final; read on from where it was left."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            payment = b.provider.named(top_up["payment"])
            payment["refunds"].append({"id": "re_9", "amount_minor": 100})
            payment["disputes"] += [
                {"id": "dp_1", "amount_minor": 300, "status": "won"},
                {"id": "dp_2", "amount_minor": 200, "status": "open"},
            ]
            b.provider.reversals.append(payment)
            assert (await b.reconcile())["reversals"] == 3
            assert await b.balance() == 700
            assert await postings(b) == {
                ("credit", 1000, None): 1,
                ("refund", -100, "re_9"): 1,
                ("chargeback", -300, "dp_1"): 1,
                ("chargeback-won", 300, "dp_1"): 1,
                ("chargeback", -200, "dp_2"): 1,
            }
            payment["disputes"][1]["status"] = "lost"
            b.provider.reversals.append(payment)
            assert (await b.reconcile())["reversals"] == 0
            assert await b.balance() == 700
            lists = [request.url.params["after"] for request in b.provider.requests if "after" in request.url.params]
            assert lists == ["0", "1", "1", "2"]

    run(scene())


def test_what_the_list_could_not_be_applied_is_read_again(database_url: str) -> None:
    """The position moves only after all of it stands."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            b.provider.named(top_up["payment"])["refunds"].append({"id": "re_9", "amount_minor": 100})
            b.provider.reversals.append(b.provider.named(top_up["payment"]))
            await b.database.execute("ALTER TABLE claims RENAME TO elsewhere")
            assert (await b.client.post("/admin/reconcile")).status_code == 503
            await b.database.execute("ALTER TABLE elsewhere RENAME TO claims")
            assert (await b.reconcile())["reversals"] == 1
            assert await b.balance() == 900

    run(scene())


def test_a_refund_in_a_strange_shape_is_refused(database_url: str) -> None:
    """With the field named."""

    async def scene() -> None:
        async with bench(database_url) as b:
            top_up = await paid(b)
            path = f"/v1/top-ups/{top_up['top_up']}/refunds"
            headers = {"X-Customer": "ann", "Idempotency-Key": "r1"}
            for body in ({}, {"amount_minor": 0}, {"amount_minor": "1"}, {"amount_minor": 1, "more": 1}):
                answer = await b.client.post(path, content=json.dumps(body), headers=headers)
                assert answer.status_code == 400, body

    run(scene())
