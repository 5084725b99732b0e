"""The schedule on the clock that is moved by hand, the three clocks, and the journal's words."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from provider_world import FakeSender, dry_world, provider_with, run, until, world

from fake_provider.clock import HandClock
from fake_provider.payments import Order

HOURS = [0, 5 / 3600, 5 / 60, 0.5, 2, 5, 10, 14, 20, 24]


def test_a_callback_that_nobody_acknowledges_is_tried_for_seventy_five_hours_and_then_given_up():
    async def story():
        here, sender = dry_world(500)
        await here.create()
        await here.landed()
        left = [here.clock()]
        while here.provider.deliveries.until_next() is not None:
            await here.next_attempt()
            left.append(here.clock())
        return here, sender, left

    here, sender, left = run(story())
    gaps = [(after - before) / timedelta(hours=1) for before, after in pairwise(left)]
    assert gaps == HOURS[1:]
    assert left[-1] - left[0] == timedelta(hours=75, minutes=35, seconds=5)
    assert len(sender.sent) == 10
    assert [delivery["attempt"] for delivery in here.journal("delivery")] == list(range(1, 11))
    assert len({delivery["webhook_id"] for delivery in here.journal("delivery")}) == 1
    assert len({wire.body for wire in sender.sent}) == 1
    (gave_up,) = here.journal("gave-up")
    assert (gave_up["event"], gave_up["attempts"]) == ("payment.captured", 10)
    assert here.provider.deliveries.unsettled().reason is None


def test_the_whole_schedule_is_played_out_over_real_sockets():
    """Each attempt is due when the dialect says, and really arrives; nobody waits for the time in between."""

    async def story():
        async with world(500) as here:
            await here.create()
            moved = await here.provider.play_out(timedelta(days=30))
            assert moved == timedelta(hours=75, minutes=35, seconds=5)
            assert len(here.receiver.arrivals) == 10
            stamps = [int(arrival.headers["webhook-timestamp"]) for arrival in here.receiver.arrivals]
            assert stamps == sorted(set(stamps)), "signed afresh, in real time"
            assert {json.loads(arrival.body)["timestamp"] for arrival in here.receiver.arrivals} == {
                "2026-01-01T00:00:00Z"
            }
            assert [entry["attempts"] for entry in here.journal("gave-up")] == [10]

    run(story())


def test_playing_out_stops_where_it_is_told():
    async def story():
        async with world(500) as here:
            await here.create()
            assert await here.provider.play_out(timedelta(seconds=304)) == timedelta(seconds=5)
            assert len(here.receiver.arrivals) == 2
            assert here.provider.unsettled().reason == "1 callback due in 300 s"

    run(story())


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_any_2xx_ends_it(status):
    async def story():
        here, sender = dry_world(500, status)
        await here.create()
        await here.landed()
        await here.next_attempt()
        assert len(sender.sent) == 2
        assert [answer["acknowledged"] for answer in here.journal("answer")] == [False, True]
        assert here.provider.deliveries.unsettled().reason is None

    run(story())


@pytest.mark.parametrize("status", [None, 100, 302, 400, 409, 500])
def test_nothing_else_does(status):
    async def story():
        here, _ = dry_world(status)
        await here.create()
        await here.landed()
        assert here.provider.deliveries.unsettled().reason == "1 callback due in 5 s"

    run(story())


def test_nothing_leaves_before_it_is_due():
    async def story():
        here, sender = dry_world(500)
        await here.create()
        await here.landed()
        assert here.provider.advance(timedelta(seconds=4.9)) == 0
        await here.landed()
        assert len(sender.sent) == 1
        assert here.provider.advance(timedelta(seconds=0.1)) == 1
        await here.landed()
        assert len(sender.sent) == 2

    run(story())


def test_the_next_delay_counts_from_when_the_attempt_left():
    async def story():
        here, _ = dry_world(500)
        await here.create()
        await here.landed()
        here.provider.advance(timedelta(hours=1))
        await here.landed()
        assert here.provider.deliveries.unsettled().reason == "1 callback due in 300 s"

    run(story())


def test_an_attempt_that_became_due_while_the_last_was_in_flight_leaves_when_that_is_over():
    async def story():
        async with world("hang", 204) as here:
            await here.create()
            here.provider.advance(timedelta(hours=1))
            await here.landed()
            assert [delivery["attempt"] for delivery in here.journal("delivery")] == [1, 2]

    run(story())


def test_the_reason_names_everything_that_is_not_at_rest():
    async def story():
        async with world("hang") as here:
            await here.create()
            await here.landed()
            delay = here.put_on("delay")
            await here.create()
            await here.create()
            here.provider.end_mood(delay)
            here.put_on("delay")
            await here.create()
            assert here.provider.deliveries.unsettled().reason == (
                "2 callbacks in flight; 1 callback due in 5 s; 1 callback held by a mood"
            )

    run(story())


def test_three_times_are_kept_apart():
    """The payload has the clock's time at the event, the signature real time at sending, the journal real time."""

    async def story():
        here, sender = dry_world(500)
        here.clock.advance(timedelta(days=30))
        await here.create()
        await here.landed()
        await here.next_attempt()
        for wire in sender.sent:
            assert json.loads(wire.body)["timestamp"] == "2026-01-31T00:00:00Z"
            stamp = int(wire.header("webhook-timestamp") or b"0")
            assert abs(stamp - datetime.now(UTC).timestamp()) < 60
        assert all(abs(entry["at"] - datetime.now(UTC).timestamp()) < 60 for entry in here.journal("delivery"))

    run(story())


def test_the_clock_moves_forwards_only():
    with pytest.raises(ValueError, match="forwards"):
        HandClock().advance(timedelta(seconds=-1))


def test_the_same_seed_says_the_same_again():
    async def story():
        here, sender = dry_world(204)
        await here.create()
        await here.landed()
        return sender.sent[0].body

    assert run(story()) == run(story())


def test_the_journal_speaks_the_words_that_readers_know():
    async def story():
        here, _ = dry_world(500, 204)
        payment = await here.create()
        await here.landed()
        await here.next_attempt()
        here.provider.refund(payment["id"], 1000)
        await here.landed()
        return [entry.to_json() for entry in here.provider.journal.after(0)]

    journal = run(story())
    assert [entry["seq"] for entry in journal] == list(range(1, len(journal) + 1))
    assert [entry["at"] for entry in journal] == sorted(entry["at"] for entry in journal)
    told = [
        (entry["kind"], entry.get("state") or entry.get("news") or entry.get("event") or entry.get("because"))
        for entry in journal
    ]
    assert told == [
        ("payment", "pending"),
        ("payment", "captured"),
        ("delivery", "payment.captured"),
        ("answer", "500"),
        ("delivery", "payment.captured"),
        ("answer", "204"),
        ("payment", "refunded"),
        ("reversal", "refunded"),
        ("delivery", "payment.refunded"),
        ("answer", "204"),
    ]
    words = {entry["kind"]: set(entry) - {"seq", "at", "kind"} for entry in journal}
    assert words["payment"] == {
        "payment",
        "reference",
        "state",
        "amount_minor",
        "captured_minor",
        "refunded_minor",
        "charged_back_minor",
        "currency",
        "ordered_currency",
        "account",
        "merchant",
        "method",
        "key",
        "cause",
    }
    assert words["reversal"] == {
        "reversal",
        "payment",
        "reference",
        "news",
        "amount_minor",
        "currency",
        "account",
        "key",
    }
    assert words["delivery"] == {
        "delivery",
        "payment",
        "event",
        "webhook_id",
        "attempt",
        "copy",
        "mood",
        "hostile",
        "forgery",
        "ignorable",
        "amount_minor",
        "currency",
        "account",
        "reference",
        "reversal",
        "signature",
    }
    assert words["answer"] == {
        "delivery",
        "webhook_id",
        "payment",
        "status",
        "acknowledged",
        "hostile",
        "because",
        "took_s",
    }


def test_what_is_under_way_can_be_stopped():
    async def story():
        async with world("hang") as here:
            await here.create()
            await until(lambda: here.receiver.arrivals != [])
            await here.provider.close()
            assert not here.journal("answer")

    run(story())


def test_a_provider_signs_with_every_key_it_has():
    async def story():
        sender = FakeSender(204)
        provider = provider_with(sender, HandClock(), keys=("whsec_b25l", "whsec_dHdv"))
        order = Order(reference="r", amount_minor=1, currency="KWD", account="a", merchant="m", method="card")
        await provider.create_payment("k", order)
        await until(lambda: not provider.deliveries.unsettled().in_flight)
        tokens = (sender.sent[0].header("webhook-signature") or b"").split(b" ")
        assert len(set(tokens)) == 2

    run(story())
