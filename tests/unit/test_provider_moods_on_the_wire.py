"""Moods that change how and when callbacks arrive, as a receiver on a real socket sees them."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from provider_world import World, run, until, world

DAYS_S = 4 * 86_400


def touched(here: World, mood_id: str) -> int:
    return here.provider.mood(mood_id).touched


async def play_out(here: World) -> None:
    """Everything that the schedule and the agenda have, to the end."""
    await here.provider.play_out(timedelta(seconds=DAYS_S))
    await here.landed()


def attempts(here: World) -> list[int]:
    return [one["attempt"] for one in here.journal("delivery")]


def test_truncate_breaks_off_in_the_middle_and_tries_again():
    async def story():
        async with world() as here:
            truncate = here.put_on("truncate", first=2)
            await here.create()
            await here.landed()
            await until(lambda: here.receiver.broken_off != [])
            assert here.events == []
            (beginning,) = here.receiver.broken_off
            announced = int(beginning.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            assert 0 < len(beginning.partition(b"\r\n\r\n")[2]) < announced
            await play_out(here)
            assert here.events == ["payment.captured"]
            assert attempts(here) == [1, 2, 3]
            assert [one["acknowledged"] for one in here.journal("answer")] == [False, False, True]
            assert touched(here, truncate) == 2

    run(story())


def test_truncate_without_a_limit_goes_on_until_the_provider_gives_up():
    async def story():
        async with world() as here:
            here.put_on("truncate", percent=0)
            await here.create()
            await play_out(here)
            assert here.events == []
            assert len(here.journal("gave-up")) == 1

    run(story())


def test_slow_body_comes_in_pieces_and_whole():
    async def story():
        async with world() as here:
            slow = here.put_on("slow-body", over_s=0.05, pieces=5)
            await here.create()
            await here.landed()
            assert here.events == ["payment.captured"]
            assert here.receiver.reads >= 4
            assert touched(here, slow) == 1

    run(story())


def test_slow_copies_at_once_are_complete_at_the_same_instant():
    async def story():
        async with world() as here:
            here.put_on("slow-body", over_s=0.05, pieces=5)
            here.put_on("duplicate-at-once", copies=3)
            await here.create()
            await here.landed()
            whole = max(here.receiver.received.values())
            assert set(here.receiver.at_first_complete.values()) <= {whole - 1, whole}
            assert len(here.receiver.at_first_complete) == 3

    run(story())


def test_a_body_that_is_too_slow_is_an_attempt_that_timed_out():
    async def story():
        async with world() as here:
            here.put_on("slow-body", over_s=5)
            await here.create()
            await here.landed()
            assert here.events == []
            assert here.journal("answer")[0]["because"] == "timed out after 0.2 s"

    run(story())


def test_acknowledge_late_hangs_up_before_the_answer_and_tries_again():
    async def story():
        async with world() as here:
            late = here.put_on("acknowledge-late", first=2)
            await here.create()
            await play_out(here)
            await until(lambda: len(here.events) == 3)  # the receiver had it each time
            assert len({arrival.webhook_id for arrival in here.receiver.arrivals}) == 1
            assert [one["acknowledged"] for one in here.journal("answer")] == [False, False, True]
            assert here.journal("answer")[0]["because"] == "hung up after 0 s without an answer"
            assert touched(here, late) == 2

    run(story())


def test_outage_longer_than_the_schedule_ends_in_giving_up():
    async def story():
        async with world() as here:
            outage = here.put_on("outage")
            await here.create()
            await play_out(here)
            assert (here.receiver.connections, here.events) == (0, [])
            assert attempts(here) == list(range(1, 11))
            assert [one["attempts"] for one in here.journal("gave-up")] == [10]
            assert touched(here, outage) == 10
            here.provider.end_mood(outage)
            await play_out(here)
            assert here.events == [], "what was given up does not come back"

    run(story())


def test_outage_shorter_than_the_schedule_is_made_up_for():
    async def story():
        async with world() as here:
            outage = here.put_on("outage")
            await here.create()
            await here.landed()
            await here.next_attempt()
            here.provider.end_mood(outage)
            await play_out(here)
            assert here.events == ["payment.captured"]
            assert attempts(here) == [1, 2, 3]

    run(story())


def test_endpoint_disabled_after_refusals_in_a_row():
    async def story():
        async with world(500, 204, 500, 500, 204) as here:
            disabled = here.put_on("endpoint-disabled", refusals=2)
            await here.create()
            await here.landed()
            await here.create()  # acknowledged: the count begins again
            await here.landed()
            await here.create()
            await here.landed()
            await here.create()
            await here.landed()
            assert len(here.events) == 4
            await play_out(here)
            await here.create()
            await here.landed()
            assert len(here.events) == 4, "neither retries nor news"
            assert here.provider.unsettled().reason is None
            assert touched(here, disabled) == 4
            here.provider.end_mood(disabled)
            await here.create()
            await here.landed()
            assert len(here.events) == 5

    run(story())


@pytest.mark.parametrize("seconds", [-200, 200])
def test_clock_skew_dates_the_signature_and_nothing_else(seconds):
    async def story():
        async with world() as here:
            skew = here.put_on("clock-skew", seconds=seconds)
            await here.create()
            await here.landed()
            (arrival,) = here.receiver.arrivals
            stamp = int(arrival.headers["webhook-timestamp"])
            assert abs(stamp - datetime.now(UTC).timestamp() - seconds) < 60
            assert json.loads(arrival.body)["timestamp"] == "2026-01-01T00:00:00Z"
            assert touched(here, skew) == 1

    run(story())


def test_two_skewed_clocks_add_up():
    async def story():
        async with world() as here:
            here.put_on("clock-skew", seconds=1000)
            here.put_on("clock-skew", seconds=1000)
            await here.create()
            await here.landed()
            stamp = int(here.receiver.arrivals[0].headers["webhook-timestamp"])
            assert abs(stamp - datetime.now(UTC).timestamp() - 2000) < 60

    run(story())


def test_retry_after_acknowledged_goes_on_with_the_schedule():
    async def story():
        async with world() as here:
            again = here.put_on("retry-after-acknowledged", attempts=3)
            await here.create()
            await play_out(here)
            assert attempts(here) == [1, 2, 3]
            assert [one["acknowledged"] for one in here.journal("answer")] == [True] * 3
            assert len({arrival.webhook_id for arrival in here.receiver.arrivals}) == 1
            assert len({arrival.headers["webhook-signature"] for arrival in here.receiver.arrivals}) == 3
            assert touched(here, again) == 2
            assert here.provider.unsettled().reason is None

    run(story())


def test_two_event_types_tell_one_capture_under_two_names():
    async def story():
        async with world() as here:
            two = here.put_on("two-event-types")
            payment = await here.create()
            await here.landed()
            here.provider.refund(payment["id"], 1000)
            await here.landed()
            assert here.events == ["payment.captured", "payment.settled", "payment.refunded"]
            assert len({arrival.webhook_id for arrival in here.receiver.arrivals}) == 3
            first, second, _ = here.receiver.arrivals
            assert first.data == second.data
            assert [kind for kind, _ in here.receiver.seen][:4] == ["open", "complete"] * 2, "one after the other"
            assert touched(here, two) == 1

    run(story())
