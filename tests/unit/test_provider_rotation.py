"""A key that is rotated while callbacks come: before, during and after, and who believes what. The reference service verifies."""

from collections.abc import Sequence
from datetime import timedelta
from random import Random

import pytest
from provider_world import FakeSender, run, until

from fake_provider.clock import Clocks, HandClock, real_time
from fake_provider.dialects import Answer, NothingGenuine, Wire, find
from fake_provider.manner import PLAIN, Manner
from fake_provider.payments import Order
from fake_provider.provider import Provider, Setup
from reference_impl.answers import Refused
from reference_impl.verifier import DIALECTS, Verifier

DAY = timedelta(days=1)
OLD = {name: find(name).draw_key(Random(5)) for name in DIALECTS}
WITH_ROOM = ("standard-webhooks", "stripe")
each_dialect = pytest.mark.parametrize("name", DIALECTS)


class Yes(FakeSender):
    """Acknowledges, whatever the dialect wants to hear."""

    async def send(self, wire: Wire, copies: int, heard: object, manner: Manner = PLAIN) -> None:
        self.sent.append(wire)
        heard(0, Answer(status=200, because="200", body=b"success"))  # type: ignore[operator]


def provider_of(name: str, sender: FakeSender) -> Provider:
    setup = Setup(
        merchant="m",
        environment="chaos",
        dialect=find(name),
        keys=(OLD[name],),
        sender=sender,
        clocks=Clocks(payload=HandClock()),
        rng=Random(7),
    )
    return Provider(setup)


async def told(provider: Provider, sender: FakeSender, number: int) -> Wire:
    """The callback of another payment."""
    order = Order(reference=f"tu_{number}", amount_minor=1000, currency="EUR", account="a", merchant="m", method="card")
    await provider.create_payment(f"key {number}", order)
    await until(lambda: len(sender.sent) == number)
    await provider.deliveries.landed()
    return sender.sent[-1]


def believes(name: str, wire: Wire, keys: Sequence[str]) -> bool:
    """Whether a receiver that knows these believes it."""
    verifier = Verifier(" ".join(keys), DIALECTS[name])
    try:
        verifier.verify([(header.encode(), value) for header, value in wire.headers], wire.body, real_time())
    except Refused:
        return False
    return True


@each_dialect
def test_before_during_and_after_a_rotation(name: str) -> None:
    """Where there is room, either key is enough during the overlap; elsewhere the new one signs at once. Whoever knows both loses
    no callback in any dialect, and afterwards the old key is nothing.
    """

    async def story() -> None:
        sender = Yes()
        provider = provider_of(name, sender)
        (old,) = provider.receiver_keys()
        before = await told(provider, sender, 1)
        provider.rotate_key(DAY)
        new, *rest = provider.receiver_keys()
        assert (rest, new != old) == ([old], True)
        during = await told(provider, sender, 2)
        provider.advance(DAY)
        assert provider.receiver_keys() == [new]
        after = await told(provider, sender, 3)
        await provider.close()

        said = {"before": before, "during": during, "after": after}
        assert [when for when, wire in said.items() if believes(name, wire, [new, old])] == list(said)
        room = ["during"] if name in WITH_ROOM else []
        assert [when for when, wire in said.items() if believes(name, wire, [old])] == ["before", *room]
        assert [when for when, wire in said.items() if believes(name, wire, [new])] == ["during", "after"]

    run(story())


@each_dialect
def test_what_was_rotated_out_is_a_forger_s_key_once_the_overlap_is_over(name: str) -> None:
    async def story() -> None:
        sender = Yes()
        provider = provider_of(name, sender)
        (old,) = provider.receiver_keys()
        await told(provider, sender, 1)
        provider.rotate_key(DAY)
        (payment,) = provider.book
        with pytest.raises(NothingGenuine):
            await provider.forge("retired-key", payment.id, {})
        provider.advance(DAY)
        await provider.forge("retired-key", payment.id, {})
        await provider.close()
        assert believes(name, sender.sent[-1], [old])
        assert not believes(name, sender.sent[-1], provider.receiver_keys())

    run(story())


def test_a_key_may_be_rotated_again_before_the_overlap_is_over() -> None:
    """All three sign; then those that are out do no more."""

    async def story() -> None:
        provider = provider_of("stripe", Yes())
        provider.rotate_key(DAY)
        provider.advance(DAY / 2)
        provider.rotate_key(DAY)
        assert len(provider.receiver_keys()) == 3
        provider.advance(DAY)
        assert len(provider.receiver_keys()) == 1
        await provider.close()

    run(story())


def test_the_merchant_may_bring_the_key() -> None:
    """So that the receiver knows it before anything is signed with it. What is no key of the dialect changes nothing."""

    async def story() -> None:
        provider = provider_of("standard-webhooks", Yes())
        (old,) = provider.receiver_keys()
        with pytest.raises(ValueError, match="empty"):
            provider.rotate_key(DAY, "whsec_")
        assert provider.receiver_keys() == [old]
        brought = provider.dialect.draw_key(Random(11))
        provider.rotate_key(DAY, brought)
        assert provider.receiver_keys() == [brought, old]
        await provider.close()

    run(story())


def test_a_rotation_outlives_the_process() -> None:
    async def story() -> None:
        provider, later = provider_of("stripe", Yes()), provider_of("stripe", Yes())
        provider.rotate_key(DAY)
        later.recall(provider.memory())
        assert later.receiver_keys() == provider.receiver_keys()
        await provider.close()
        await later.close()

    run(story())
