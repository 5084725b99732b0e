"""What a receiver on a real socket sees of each mood, and of moods that are on together."""

import asyncio
from datetime import timedelta

import pytest
from provider_world import World, run, until, world

from fake_provider.fields import Refused
from fake_provider.moods import MOODS, BadArgument, Mood, make, mood
from fake_provider.payments import BadAmount
from fake_provider.registry import UnknownName

NAMES = {
    "drop",
    "delay",
    "duplicate",
    "duplicate-at-once",
    "reorder",
    "replay",
    "replay-fresh-id",
    "never-acknowledged",
    "contradict",
    "answer-late",
    "error-after-capture",
    "settle-less",
    "settle-more",
    "settle-other-currency",
    "report-other-account",
    "authorise-then-fail",
    "fail-then-succeed",
    "capture-in-parts",
    "refund-in-parts",
    "cumulative-refunds",
    "dispute",
    "two-event-types",
    "redirect",
    "reformat",
    "truncate",
    "slow-body",
    "acknowledge-late",
    "outage",
    "endpoint-disabled",
    "clock-skew",
    "retry-after-acknowledged",
    "event-batch",
}


def touched(here: World, mood_id: str) -> int:
    return here.provider.mood(mood_id).touched


def states(here: World) -> list[str]:
    (payment,) = here.provider.book
    return [step.state.value for step in payment.history]


def test_drop_leaves_the_receiver_in_the_dark_for_ever():
    async def story():
        async with world() as here:
            drop = here.put_on("drop")
            await here.create()
            await here.landed()
            assert (here.events, here.journal("delivery")) == ([], [])
            assert here.provider.deliveries.unsettled().reason is None
            assert here.provider.release() == 0
            assert here.provider.end_mood(drop).touched == 1
            await here.landed()
            assert here.events == []

    run(story())


def test_drop_can_stop_after_the_first():
    async def story():
        async with world() as here:
            drop = here.put_on("drop", first=2)
            ids = [(await here.create())["id"] for _ in range(3)]
            await here.landed()
            assert [arrival.data["payment"] for arrival in here.receiver.arrivals] == ids[2:]
            assert touched(here, drop) == 2

    run(story())


@pytest.mark.parametrize("how", ["release", "end"])
def test_delay_holds_until_it_is_told_otherwise(how):
    async def story():
        async with world() as here:
            delay = here.put_on("delay")
            await here.create("bad-card")
            payment = await here.create("redirect")
            here.provider.decline(payment["id"], "test")
            here.provider.pay(payment["id"], 1000, "test")
            await here.landed()
            assert here.events == []
            assert here.provider.deliveries.unsettled().held == 3
            assert touched(here, delay) == 3
            if how == "release":
                assert here.provider.release() == 3
            else:
                here.provider.end_mood(delay)
            await here.landed()
            mine = [arrival.event for arrival in here.receiver.arrivals if arrival.data["payment"] == payment["id"]]
            assert mine == ["payment.failed", "payment.captured"]
            assert len(here.events) == 3
            assert here.provider.deliveries.unsettled().reason is None

    run(story())


def test_duplicate_sends_copies_one_after_another_under_one_id():
    async def story():
        async with world(204, 204, 500) as here:
            duplicate = here.put_on("duplicate", copies=3)
            await here.create()
            await here.landed()
            assert [kind for kind, _ in here.receiver.seen] == ["open", "complete"] * 3
            assert len({arrival.webhook_id for arrival in here.receiver.arrivals}) == 1
            deliveries = here.journal("delivery")
            assert [(one["copy"], one["attempt"], one["mood"]) for one in deliveries] == [
                (copy, 1, "duplicate") for copy in (1, 2, 3)
            ]
            assert here.provider.deliveries.unsettled().reason is None, "one acknowledgement is enough"
            assert touched(here, duplicate) == 1

    run(story())


def test_duplicates_that_nobody_acknowledges_are_one_attempt():
    async def story():
        async with world(500, 500, 204) as here:
            duplicate = here.put_on("duplicate")
            await here.create()
            await here.landed()
            assert here.provider.deliveries.unsettled().due == 1
            here.provider.end_mood(duplicate)
            await here.next_attempt()
            assert [(one["attempt"], one["copy"]) for one in here.journal("delivery")] == [(1, 1), (1, 2), (2, 1)]

    run(story())


def test_a_copy_that_is_acknowledged_makes_up_for_one_that_is_not():
    async def story():
        async with world(500, 204) as here:
            here.put_on("duplicate")
            await here.create()
            await here.landed()
            assert here.provider.deliveries.unsettled().reason is None

    run(story())


def test_duplicate_at_once_has_all_connections_open_before_the_first_copy_is_complete():
    async def story():
        async with world() as here:
            at_once = here.put_on("duplicate-at-once", copies=5)
            await here.create()
            await here.landed()
            assert [kind for kind, _ in here.receiver.seen][:5] == ["open"] * 5
            whole = max(here.receiver.received.values())
            assert set(here.receiver.at_first_complete.values()) <= {whole - 1, whole}
            assert len(here.receiver.at_first_complete) == 5
            assert len({(one.body, one.headers["webhook-signature"]) for one in here.receiver.arrivals}) == 1
            assert [one["copy"] for one in here.journal("delivery")] == [1, 2, 3, 4, 5]
            assert touched(here, at_once) == 1

    run(story())


def test_reorder_sends_the_last_first():
    async def story():
        async with world() as here:
            reorder = here.put_on("reorder")
            payment = await here.create("redirect")
            here.provider.decline(payment["id"], "test")
            await here.create()  # of another payment: does not complete this one's set
            await here.landed()
            assert here.events == []
            here.provider.pay(payment["id"], 1000, "test")
            await here.landed()
            assert here.events == ["payment.captured", "payment.failed"]
            assert [kind for kind, _ in here.receiver.seen] == ["open", "complete"] * 2, "one after the other"
            here.provider.refund(payment["id"], 1000)
            await here.landed()
            assert here.events[2:] == ["payment.refunded"], "what comes later is let through"
            assert touched(here, reorder) == 3
            assert here.provider.release() == 1

    run(story())


def test_reorder_sends_what_is_there_reversed_when_released():
    async def story():
        async with world() as here:
            here.put_on("reorder", count=3)
            payment = await here.create()
            here.provider.refund(payment["id"], 1000)
            assert here.provider.release() == 2
            await here.landed()
            assert here.events == ["payment.refunded", "payment.captured"]

    run(story())


def test_a_retry_is_not_reordered():
    async def story():
        async with world(500, 204) as here:
            await here.create()
            await here.landed()
            here.put_on("reorder")
            await here.next_attempt()
            assert here.provider.deliveries.unsettled().reason is None
            assert len(here.events) == 2

    run(story())


def test_replay_sends_the_same_bytes_again_after_the_acknowledgement():
    async def story():
        async with world(500, 204, 500) as here:
            replay = here.put_on("replay", times=2)
            await here.create()
            await here.landed()
            assert len(here.receiver.arrivals) == 1, "nothing to replay before it was acknowledged"
            await here.next_attempt()
            first, *rest = here.receiver.arrivals[1:]
            assert len(rest) == 2
            assert all((one.body, one.headers) == (first.body, first.headers) for one in rest)
            assert [one["mood"] for one in here.journal("delivery")] == [None, None, "replay", "replay"]
            assert here.provider.deliveries.unsettled().reason is None, "a replay is not tried again"
            assert touched(here, replay) == 1

    run(story())


def test_replay_fresh_id_tells_the_same_payment_again_in_a_new_envelope():
    async def story():
        async with world() as here:
            fresh = here.put_on("replay-fresh-id", times=2)
            await here.create()
            await here.landed()
            arrivals = here.receiver.arrivals
            assert len({one.webhook_id for one in arrivals}) == len(arrivals) == 3
            assert len({one.body for one in arrivals}) == 1
            assert len({one.headers["webhook-signature"] for one in arrivals}) == 3
            assert [one["mood"] for one in here.journal("delivery")] == [None, "replay-fresh-id", "replay-fresh-id"]
            assert touched(here, fresh) == 1

    run(story())


def test_never_acknowledged_comes_again_although_all_was_well():
    async def story():
        async with world() as here:
            never = here.put_on("never-acknowledged", n=2)
            await here.create()
            await here.landed()
            await here.next_attempt()
            await here.next_attempt()
            assert len({one.webhook_id for one in here.receiver.arrivals}) == 1
            told = [(one["status"], one["acknowledged"], one["because"]) for one in here.journal("answer")]
            unheard = (204, False, "204, unheard (never-acknowledged)")
            assert told == [unheard, unheard, (204, True, "204")]
            assert touched(here, never) == 2
            assert here.provider.deliveries.unsettled().reason is None

    run(story())


def test_contradict_says_failed_first_and_captured_after_its_answer():
    async def story():
        async with world() as here:
            contradict = here.put_on("contradict")
            payment = await here.create()
            assert payment["state"] == "failed"
            await here.landed()
            assert here.events == ["payment.failed", "payment.captured"]
            assert [kind for kind, _ in here.receiver.seen] == ["open", "complete"] * 2
            assert states(here) == ["pending", "failed", "captured"]
            told = [(one["kind"], one.get("event")) for one in here.journal()[2:]]
            assert told == [
                ("delivery", "payment.failed"),
                ("answer", None),
                ("payment", None),
                ("delivery", "payment.captured"),
                ("answer", None),
            ]
            assert touched(here, contradict) == 1

    run(story())


def test_contradict_comes_to_the_truth_also_when_nobody_hears_it():
    async def story():
        async with world() as here:
            here.put_on("contradict")
            here.put_on("drop")
            await here.create()
            assert states(here) == ["pending", "failed", "captured"]

    run(story())


def test_contradict_comes_to_the_truth_when_it_ends_early():
    async def story():
        async with world("hang") as here:
            contradict = here.put_on("contradict")
            await here.create()
            assert states(here) == ["pending", "failed"]
            here.provider.end_mood(contradict)
            assert states(here) == ["pending", "failed", "captured"]

    run(story())


def test_contradict_stands_back_when_the_customer_paid_in_the_meantime():
    async def story():
        async with world() as here:
            here.put_on("contradict")
            payment = await here.create()
            here.provider.pay(payment["id"], 1000, "another card")
            await here.landed()
            assert states(here) == ["pending", "failed", "captured"]

    run(story())


def test_answer_late_lets_the_callback_overtake_the_answer():
    async def story():
        async with world() as here:
            late = here.put_on("answer-late", most_s=60)
            async with asyncio.timeout(2):
                await here.create()
            assert here.events == ["payment.captured"]
            assert len(here.journal("answer")) == 1
            assert touched(here, late) == 1
            await here.create("redirect")
            assert touched(here, late) == 1, "nothing to wait for"

    run(story())


def test_answer_late_counts_whom_it_keeps_waiting():
    """Already while they wait: a provider that is killed at that moment remembers it."""

    async def story():
        async with world() as here:
            here.put_on("delay")
            late = here.put_on("answer-late", most_s=60)
            waiting = asyncio.create_task(here.create())
            await until(lambda: touched(here, late) == 1)
            assert not waiting.done()
            waiting.cancel()

    run(story())


def test_answer_late_is_bounded():
    async def story():
        async with world() as here:
            here.put_on("delay")
            here.put_on("answer-late", most_s=0.02)
            async with asyncio.timeout(2):
                assert (await here.create())["state"] == "captured"
            assert here.events == []

    run(story())


def test_error_after_capture_hides_a_success():
    async def story():
        async with world() as here:
            error = here.put_on("error-after-capture")
            assert (await here.create(key="same"))["error"]["code"] == "internal"
            here.made = 0
            assert (await here.create(key="same"))["state"] == "captured"
            await here.landed()
            assert here.events == ["payment.captured"]
            assert len(list(here.provider.book)) == 1
            assert touched(here, error) == 1

    run(story())


@pytest.mark.parametrize(("amount", "percent", "captured"), [(1000, 60, 600), (999, 50, 499), (1, 60, 1)])
def test_settle_less_captures_a_part_and_says_so(amount, percent, captured):
    async def story():
        async with world() as here:
            less = here.put_on("settle-less", percent=percent)
            payment = await here.create(amount_minor=amount)
            await here.landed()
            assert payment["captured_minor"] == captured
            assert here.receiver.arrivals[0].data["amount_minor"] == captured
            assert touched(here, less) == 1

    run(story())


def test_settle_less_twice_is_less_still():
    async def story():
        async with world() as here:
            here.put_on("settle-less")
            here.put_on("settle-less")
            assert (await here.create())["captured_minor"] == 360

    run(story())


@pytest.mark.parametrize("mood", ["settle-less", "contradict"])
def test_no_mood_makes_an_illegal_charge_legal(mood):
    async def story():
        async with world() as here:
            here.put_on(mood)
            payment = await here.create("redirect")
            with pytest.raises(BadAmount):
                here.provider.pay(payment["id"], 1001, "test")
            assert states(here) == ["pending"]

    run(story())


@pytest.mark.parametrize("order", [("contradict", "settle-less"), ("settle-less", "contradict")])
def test_contradict_and_settle_less_take_the_part_once(order):
    async def story():
        async with world() as here:
            for name in order:
                here.put_on(name)
            await here.create()
            await here.landed()
            assert here.events == ["payment.failed", "payment.captured"]
            assert here.receiver.arrivals[1].data["amount_minor"] == 600

    run(story())


def test_moods_compose_in_the_order_in_which_they_were_put_on():
    async def story():
        async with world() as here:
            here.put_on("duplicate")
            here.put_on("delay")
            here.put_on("duplicate-at-once", copies=3)
            here.put_on("replay")
            await here.create()
            assert here.provider.deliveries.unsettled().held == 2
            assert here.provider.release() == 2
            await here.landed()
            assert here.provider.release() == 2, "the replay is duplicated and held too"
            await here.landed()
            moods = [one["mood"] for one in here.journal("delivery")]
            assert moods == ["duplicate+delay+duplicate-at-once"] * 6 + ["replay+duplicate+delay+duplicate-at-once"] * 6

    run(story())


def test_every_mood_together_comes_to_rest():
    async def story():
        async with world() as here:
            brief = {"answer-late": {"most_s": 0.01}, "slow-body": {"over_s": 0}}
            for name in sorted(NAMES - {"drop", "outage", "truncate", "event-batch"}):
                here.put_on(name, **brief.get(name, {}))
            for method in ("card", "bad-card", "redirect"):
                await here.create(method)
            for _ in range(60):
                here.provider.release()
                await here.landed()
                here.provider.advance(here.provider.until_next() or timedelta(0))
            assert here.provider.unsettled().reason is None

    run(story())


def test_the_moods_are_those_that_are_promised():
    make("drop", {})
    assert set(MOODS) == NAMES
    assert all(len(" ".join((MOODS[name].__doc__ or "").split())) > 60 for name in MOODS)


def test_an_unknown_mood_is_answered_with_the_nearest():
    with pytest.raises(UnknownName, match="did you mean 'duplicate'"):
        make("duplicates", {})


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("duplicate", {"copys": 2}, "no argument 'copys'; did you mean 'copies'"),
        ("duplicate", {"copies": "2"}, "copies must be a whole number from 2 to 100, not '2'"),
        ("drop", {"first": True}, "first must be a whole number"),
        ("duplicate", {"copies": 2.0}, "copies must be a whole number"),
        ("duplicate", {"copies": 1}, "from 2 to 100, not 1"),
        ("duplicate", {"touched": 1}, "no argument 'touched'"),
        ("settle-other-currency", {"currency": "EUR"}, "currency must be one of JPY, KWD, USD, not 'EUR'"),
        ("delay", {"held": []}, "no argument 'held'; there are none"),
        ("answer-late", {"most_s": float("nan")}, "most_s must be a number"),
    ],
)
def test_a_wrong_argument_is_named(name, args, message):
    with pytest.raises(BadArgument, match=message):
        make(name, args)


def test_a_taken_name_is_refused():
    make("drop", {})
    with pytest.raises(ValueError, match="the mood 'drop' exists already"):
        mood(type("Drop", (Mood,), {"__doc__": "Again.", "__module__": "elsewhere.drop"}))


def test_a_mood_that_is_not_on_says_so():
    async def story():
        async with world() as here:
            with pytest.raises(Refused, match="no mood 'm9' is on"):
                here.provider.end_mood("m9")

    run(story())
