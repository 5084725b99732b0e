"""Moods that change what is true of a payment: the receiver is told the truth, and the book keeps it."""

from datetime import timedelta

import pytest
from provider_world import World, run, world

from fake_provider.payments import BadAmount


def touched(here: World, mood_id: str) -> int:
    return here.provider.mood(mood_id).touched


async def play_out(here: World) -> None:
    await here.provider.play_out(timedelta(days=4))
    await here.landed()


def states(here: World) -> list[str]:
    (payment,) = here.provider.book
    return [step.state.value for step in payment.history]


def told(here: World) -> list[tuple[str, int]]:
    return [(arrival.event, arrival.data["amount_minor"]) for arrival in here.receiver.arrivals]


@pytest.mark.parametrize(("amount", "percent", "captured"), [(1000, 150, 1500), (1, 101, 2)])
def test_settle_more_captures_more_and_says_so_everywhere(amount, percent, captured):
    async def story():
        async with world() as here:
            more = here.put_on("settle-more", percent=percent)
            payment = await here.create(amount_minor=amount)
            await here.landed()
            assert (payment["amount_minor"], payment["captured_minor"]) == (amount, captured)
            assert told(here) == [("payment.captured", captured)]
            assert here.journal("payment")[-1]["captured_minor"] == captured
            here.provider.refund(payment["id"], captured)
            assert touched(here, more) == 1

    run(story())


def test_settle_other_currency_keeps_the_number_and_names_the_money_that_came():
    async def story():
        async with world() as here:
            other = here.put_on("settle-other-currency")
            payment = await here.create("redirect")
            assert (payment["currency"], payment["ordered_currency"]) == ("EUR", "EUR")
            here.provider.pay(payment["id"], 1000, "test")
            here.provider.refund(payment["id"], 400)
            await here.landed()
            assert [arrival.data["currency"] for arrival in here.receiver.arrivals] == ["JPY", "JPY"]
            last = here.journal("payment")[-1]
            assert (last["currency"], last["ordered_currency"], last["captured_minor"]) == ("JPY", "EUR", 1000)
            assert here.journal("reversal")[0]["currency"] == "JPY"
            assert touched(here, other) == 1

    run(story())


def test_settle_other_currency_leaves_alone_what_was_ordered_in_it():
    async def story():
        async with world() as here:
            other = here.put_on("settle-other-currency", currency="KWD")
            here.put_on("settle-other-currency", currency="KWD")
            assert (await here.create())["currency"] == "KWD"
            assert touched(here, other) == 1
            assert [here.provider.mood(f"m{number}").touched for number in (1, 2)] == [1, 0]

    run(story())


def test_report_other_account_says_whose_the_capture_before_it_was_and_the_book_has_the_truth():
    async def story():
        async with world() as here:
            other = here.put_on("report-other-account")
            for account in ("a-1", "a-1", "a-2"):
                await here.create(account=account)
                await here.landed()
            assert [arrival.data["account"] for arrival in here.receiver.arrivals] == ["a-1", "a-1", "a-1"]
            assert [payment.order.account for payment in here.provider.book] == ["a-1", "a-1", "a-2"]
            assert touched(here, other) == 1

    run(story())


def test_report_other_account_leaves_alone_what_is_no_capture():
    async def story():
        async with world() as here:
            here.put_on("report-other-account")
            for account, method in (("a-1", "card"), ("a-2", "bad-card"), ("a-3", "card")):
                await here.create(method, account=account)
                await here.landed()
            assert [arrival.data["account"] for arrival in here.receiver.arrivals] == ["a-1", "a-2", "a-1"]

    run(story())


def test_authorise_then_fail_promises_and_breaks_the_promise():
    async def story():
        async with world() as here:
            mood = here.put_on("authorise-then-fail")
            payment = await here.create()
            await here.landed()
            assert (payment["state"], payment["captured_minor"]) == ("authorised", 0)
            assert here.provider.unsettled().reason == "1 of the bank's deeds ahead, something due in 3600 s"
            assert touched(here, mood) == 1
            here.provider.end_mood(mood)
            await play_out(here)
            assert [name for name, _ in told(here)] == ["payment.authorised", "payment.failed"]
            assert states(here) == ["pending", "authorised", "failed"]

    run(story())


def test_what_was_paid_in_the_meantime_does_not_fail():
    async def story():
        async with world() as here:
            here.put_on("authorise-then-fail")
            payment = await here.create()
            here.provider.pay(payment["id"], 1000, "test")
            await play_out(here)
            assert states(here) == ["pending", "authorised", "captured"]

    run(story())


def test_fail_then_succeed_pays_later_by_another_attempt():
    async def story():
        async with world() as here:
            mood = here.put_on("fail-then-succeed", after_s=7200)
            assert (await here.create())["state"] == "failed"
            await here.landed()
            here.provider.advance(timedelta(seconds=7199))
            assert states(here) == ["pending", "failed"]
            here.provider.advance(timedelta(seconds=1))
            await here.landed()
            assert told(here) == [("payment.failed", 1000), ("payment.captured", 1000)]
            assert [arrival.data["attempt"] for arrival in here.receiver.arrivals] == [1, 2]
            assert touched(here, mood) == 1

    run(story())


@pytest.mark.parametrize(
    ("amount", "args", "sums"),
    [(1000, {}, [500, 1000]), (1000, {"parts": 3}, [333, 666, 1000]), (1000, {"percent": 60}, [300, 600])],
)
def test_capture_in_parts_tells_the_sum_so_far(amount, args, sums):
    async def story():
        async with world() as here:
            mood = here.put_on("capture-in-parts", **args)
            payment = await here.create(amount_minor=amount)
            await play_out(here)
            assert told(here) == [("payment.captured", each) for each in sums]
            assert here.provider.payment(payment["id"]).captured_minor == sums[-1]
            assert touched(here, mood) == 1

    run(story())


def test_what_is_too_small_for_parts_is_captured_whole():
    async def story():
        async with world() as here:
            mood = here.put_on("capture-in-parts")
            await here.create(amount_minor=1)
            await play_out(here)
            assert told(here) == [("payment.captured", 1)]
            assert touched(here, mood) == 0

    run(story())


def test_no_part_is_captured_that_was_not_asked_for():
    async def story():
        async with world() as here:
            payment = await here.create()
            with pytest.raises(BadAmount, match="has 0 not captured yet"):
                here.provider.pay_more(payment["id"], 1, "test")

    run(story())


def test_refund_in_parts_gives_all_of_it_back():
    async def story():
        async with world() as here:
            mood = here.put_on("refund-in-parts", parts=3)
            await here.create()
            await play_out(here)
            assert told(here)[1:] == [("payment.refunded", 333), ("payment.refunded", 333), ("payment.refunded", 334)]
            assert states(here)[-1] == "refunded"
            assert touched(here, mood) == 1

    run(story())


def test_cumulative_refunds_tell_sums():
    async def story():
        async with world() as here:
            sums = here.put_on("cumulative-refunds")
            here.put_on("refund-in-parts", parts=3)
            await here.create()
            await play_out(here)
            assert told(here)[1:] == [("payment.refunded", 333), ("payment.refunded", 666), ("payment.refunded", 1000)]
            assert [one["amount_minor"] for one in here.journal("reversal")] == [333, 333, 334], "the book is as ever"
            assert touched(here, sums) == 2, "the first sum is an increment"

    run(story())


@pytest.mark.parametrize(
    ("outcome", "events", "state"),
    [
        ("lost", ["dispute.opened", "dispute.lost"], "lost"),
        ("won", ["dispute.opened", "dispute.won"], "captured"),
        ("open", ["dispute.opened"], "disputed"),
    ],
)
def test_dispute_is_opened_and_comes_to_its_end(outcome, events, state):
    async def story():
        async with world() as here:
            dispute = here.put_on("dispute", outcome=outcome)
            await here.create()
            await play_out(here)
            assert [name for name, _ in told(here)] == ["payment.captured", *events]
            assert states(here)[-1] == state
            assert touched(here, dispute) == 1

    run(story())


def test_a_part_can_be_disputed():
    async def story():
        async with world() as here:
            here.put_on("dispute", percent=30)
            payment = await here.create()
            await play_out(here)
            assert told(here)[1:] == [("dispute.opened", 300), ("dispute.lost", 300)]
            assert here.provider.payment(payment["id"]).left_minor == 700

    run(story())


def test_redirect_points_at_the_payment_and_then_answers():
    async def story():
        async with world() as here:
            redirect = here.put_on("redirect")
            assert await here.create(key="same") == {}
            here.made = 0
            payment = await here.create(key="same")
            await here.landed()
            assert payment["state"] == "captured"
            assert told(here) == [("payment.captured", 1000)]
            assert len(list(here.provider.book)) == 1
            assert touched(here, redirect) == 1

    run(story())
