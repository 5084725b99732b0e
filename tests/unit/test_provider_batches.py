"""Messages that carry several events, in a dialect that has them: what leaves, what is written down, what is tried again."""

import base64
import hashlib
import hmac
from collections import Counter
from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_world import FakeSender, Receiver, World, dry_world, run

from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import Wire
from fake_provider.dialects.adyen import ADYEN, Item, items_of, signed_text
from fake_provider.fields import Refused
from fake_provider.moods import all_moods, make
from fake_provider.payments import State
from fake_provider.provider import Provider, Setup

KEY = ADYEN.draw_key(Random(1))


def adyen_world(*answers: int) -> tuple[World, FakeSender]:
    """To be made inside a running loop."""
    sender, clock = FakeSender(*(answers or (200,))), HandClock()
    setup = Setup(
        merchant="m",
        environment="chaos",
        dialect=ADYEN,
        keys=(KEY,),
        url="http://127.0.0.1:9/callbacks",
        sender=sender,
        clocks=Clocks(payload=clock),
        rng=Random(7),
    )
    return World(Provider(setup), Receiver(), clock), sender


def is_rightly_signed(item: Item) -> bool:
    digest = hmac.digest(bytes.fromhex(KEY), signed_text(item), hashlib.sha256)
    return item["additionalData"].get("hmacSignature") == base64.b64encode(digest).decode()


def told(wire: Wire) -> list[tuple[str, str]]:
    return [(item["eventCode"], item["merchantReference"]) for item in items_of(wire)]


def test_events_of_several_payments_come_in_one_message_each_with_its_own_signature() -> None:
    async def story() -> None:
        here, sender = adyen_world()
        batch = here.put_on("event-batch", count=3)
        for _ in range(3):
            assert sender.sent == []
            await here.create()
        await here.landed()
        (wire,) = sender.sent
        assert told(wire) == [("CAPTURE", "tu_1"), ("CAPTURE", "tu_2"), ("CAPTURE", "tu_3")]
        assert all(is_rightly_signed(item) for item in items_of(wire))
        deliveries, answers = here.journal("delivery"), here.journal("answer")
        assert [each["reference"] for each in deliveries] == ["tu_1", "tu_2", "tu_3"]
        assert len({each["webhook_id"] for each in deliveries}) == 3
        assert [each["delivery"] for each in answers] == [each["delivery"] for each in deliveries]
        assert all(each["acknowledged"] for each in answers)
        assert here.provider.mood(batch).touched == 3
        assert here.provider.unsettled().reason is None

    run(story())


def test_a_refund_may_ride_behind_its_capture() -> None:
    async def story() -> None:
        here, sender = adyen_world()
        here.put_on("event-batch")
        payment = await here.create()
        here.provider.refund(payment["id"], 400)
        await here.landed()
        assert [told(wire) for wire in sender.sent] == [[("CAPTURE", "tu_1"), ("REFUND", "tu_1")]]

    run(story())


def test_what_was_not_acknowledged_is_tried_again_together() -> None:
    async def story() -> None:
        here, sender = adyen_world(500, 200)
        here.put_on("event-batch")
        for _ in range(2):
            await here.create()
        await here.landed()
        await here.next_attempt()
        assert told(sender.sent[0]) == told(sender.sent[1])
        assert [each["attempt"] for each in here.journal("delivery")] == [1, 1, 2, 2]
        assert here.provider.unsettled().reason is None
        assert len(sender.sent) == 2

    run(story())


@pytest.mark.parametrize("how", ["release", "end"])
def test_what_is_there_leaves_when_it_is_let_go(how: str) -> None:
    async def story() -> None:
        here, sender = adyen_world()
        batch = here.put_on("event-batch", count=6)
        for _ in range(2):
            await here.create()
        assert here.provider.deliveries.unsettled().held == 2
        if how == "release":
            here.provider.release()
        else:
            here.provider.end_mood(batch)
        await here.landed()
        assert [told(wire) for wire in sender.sent] == [[("CAPTURE", "tu_1"), ("CAPTURE", "tu_2")]]

    run(story())


def test_a_batch_is_replayed_as_it_was() -> None:
    async def story() -> None:
        here, sender = adyen_world()
        here.put_on("event-batch")
        here.put_on("replay")
        for _ in range(2):
            await here.create()
        await here.landed()
        assert len(sender.sent) == 2
        assert sender.sent[0] == sender.sent[1]
        assert [each["copy"] for each in here.journal("delivery")] == [1, 1, 2, 2]

    run(story())


def test_what_is_sent_again_by_hand_is_sent_alone_or_as_it_was() -> None:
    async def story() -> None:
        here, sender = adyen_world()
        batch = here.put_on("event-batch")
        for _ in range(2):
            await here.create()
        await here.landed()
        here.provider.end_mood(batch)
        here.provider.send_by_hand("d2")
        here.provider.send_by_hand("d2", same_bytes=True)
        await here.landed()
        whole, alone, again = sender.sent
        assert told(alone) == [("CAPTURE", "tu_2")]
        assert again == whole

    run(story())


def test_copies_and_delays_of_batches() -> None:
    """Moods before it change what rides, and moods behind it how the whole leaves."""

    async def story() -> None:
        here, sender = adyen_world()
        here.put_on("event-batch")
        here.put_on("delay")
        here.put_on("duplicate")
        for _ in range(2):
            await here.create()
        await here.landed()
        assert sender.sent == []
        assert here.provider.deliveries.unsettled().held == 1, "one message, of two events"
        here.provider.release()
        await here.landed()
        assert [len(items_of(wire)) for wire in sender.sent] == [2, 2]
        assert here.provider.unsettled().reason is None

    run(story())


def test_other_dialects_have_no_batches_and_say_so() -> None:
    async def story() -> None:
        here, _ = dry_world()
        with pytest.raises(Refused, match="in standard-webhooks, a callback carries one event"):
            here.put_on("event-batch")

    run(story())


def test_a_mood_that_needs_a_word_is_not_put_on_where_there_is_none() -> None:
    async def story() -> None:
        here, _ = adyen_world()
        with pytest.raises(Refused, match=r"adyen has no word for payment\.settled"):
            here.put_on("two-event-types")

    run(story())


def test_every_mood_that_can_be_put_on_together_comes_to_rest() -> None:
    async def story() -> None:
        here, _ = adyen_world()
        brief = {"answer-late": {"most_s": 0.01}, "slow-body": {"over_s": 0}}
        for name, mood in all_moods().items():
            if name not in ("drop", "outage", "truncate") and here.provider.why_not(mood) is None:
                here.put_on(name, **brief.get(name, {}))
        for method in ("card", "bad-card", "redirect"):
            await here.create(method)
        for _ in range(150):
            here.provider.release()
            await here.landed()
            here.provider.advance(here.provider.until_next() or timedelta(0))
        assert here.provider.unsettled().reason is None

    run(story())


STEPS = st.lists(st.sampled_from(["pay", "refund", "dispute", "next", "release"]), max_size=12)


@given(STEPS, st.integers(2, 6), st.lists(st.sampled_from([200, 500]), max_size=8))
def test_however_it_is_batched_each_event_is_acknowledged_once_and_none_is_lost(
    steps: list[str], count: int, answers: list[int]
) -> None:
    """As soon as the receiver says yes, and what is held was let go."""

    async def story() -> None:
        here, sender = adyen_world(*answers, 200)
        batch = here.provider.put_on(make("event-batch", {"count": count}))
        for step in steps:
            await act(here, step)
            await here.landed()
        here.provider.end_mood(batch)
        await here.provider.play_out(timedelta(days=60))
        sent = {each["delivery"]: each for each in here.journal("delivery")}
        heard = Counter(sent[each["delivery"]]["webhook_id"] for each in here.journal("answer") if each["acknowledged"])
        assert set(heard.values()) <= {1}
        events = here.provider.deliveries.told.values()
        assert set(heard) == {ADYEN.dedup_key(ADYEN.encode(each, "")) for each in events}
        assert all(1 <= len(items_of(wire)) <= count for wire in sender.sent)
        assert len(sent) == sum(len(items_of(wire)) for wire in sender.sent)
        assert here.provider.unsettled().reason is None

    run(story())


async def act(here: World, step: str) -> None:
    refundable = [each for each in here.provider.book if each.state is State.CAPTURED and each.left_minor > 1]
    if step == "pay":
        await here.create()
    elif step == "next" and (wait := here.provider.until_next()) is not None:
        here.provider.advance(wait)
    elif step == "release":
        here.provider.release()
    elif step == "refund" and refundable:
        here.provider.refund(refundable[-1].id, 1)
    elif step == "dispute" and refundable:
        here.provider.dispute(refundable[-1].id, 1)
