"""Payments: what may follow what, and where the money ends."""

import asyncio
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from provider_world import dry_world, run

from fake_provider import payments
from fake_provider.idempotency import ApiAnswer, KeyReused, Keys, StillRunning
from fake_provider.payments import BadAmount, IllegalMove, Order, Payment, State

AT = datetime(2026, 1, 1, tzinfo=UTC)
LEGAL = {
    ("pending", "captured"),
    ("pending", "failed"),
    ("failed", "captured"),
    ("captured", "captured"),
    ("captured", "refunded"),
}


def new(amount_minor: int = 1000) -> Payment:
    order = Order(
        reference="tu_1", amount_minor=amount_minor, currency="JPY", account="a", merchant="m", method="redirect"
    )
    return payments.create(order, payment_id="pay_1", environment="chaos", key="k", at=AT)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.integers(-5, 1200)),
        st.tuples(st.just("decline"), st.just(0)),
        st.tuples(st.just("refund"), st.integers(-5, 1200)),
    ),
    max_size=12,
)


@given(moves)
def test_no_sequence_of_moves_refunds_more_than_it_captured_or_takes_an_illegal_step(moves):
    payment = new()
    for move, amount in moves:
        before = payment
        try:
            if move == "pay":
                payment = payments.pay(payment, amount, at=AT, cause="test")
            elif move == "decline":
                payment = payments.decline(payment, at=AT, cause="test")
            else:
                payment = payments.refund(payment, amount, refund_id="re_1", at=AT)
        except (IllegalMove, BadAmount):
            assert payment is before
        assert 0 <= payment.refunded_minor <= payment.captured_minor <= payment.order.amount_minor
        assert (payment.captured_minor > 0) == (payment.state in {State.CAPTURED, State.REFUNDED})
        assert (payment.state is State.REFUNDED) == (0 < payment.captured_minor == payment.refunded_minor)
    steps = [step.state.value for step in payment.history]
    assert steps[0] == "pending"
    assert steps[-1] == payment.state
    assert set(pairwise(steps)) <= LEGAL
    assert steps.count("captured") <= 1 + len(payment.refunds)


@given(st.lists(st.integers(1, 400), max_size=8))
def test_refunds_add_up(amounts):
    payment = payments.pay(new(), 900, at=AT, cause="test")
    given_back = 0
    for amount in amounts:
        try:
            payment = payments.refund(payment, amount, refund_id="re", at=AT)
            given_back += amount
        except BadAmount:
            assert given_back + amount > 900
    assert payment.refunded_minor == given_back <= 900


def test_a_second_attempt_may_succeed_and_is_counted():
    payment = payments.pay(payments.decline(new(), at=AT, cause="card declined"), 1000, at=AT, cause="customer paid")
    assert (payment.state, payment.attempt) == (State.CAPTURED, 2)
    assert [(step.state, step.cause) for step in payment.history] == [
        ("pending", "created"),
        ("failed", "card declined"),
        ("captured", "customer paid"),
    ]


def test_a_partial_refund_keeps_the_payment_captured_and_the_rest_ends_it():
    payment = payments.pay(new(), 600, at=AT, cause="part")
    payment = payments.refund(payment, 200, refund_id="re_1", at=AT)
    assert payment.state is State.CAPTURED
    payment = payments.refund(payment, 400, refund_id="re_2", at=AT)
    assert payment.state is State.REFUNDED


def test_a_refusal_says_what_would_be_legal():
    with pytest.raises(IllegalMove, match=r"pay_1 is captured.* It allows: refund a part, refund the rest"):
        payments.decline(payments.pay(new(), 1000, at=AT, cause="x"), at=AT, cause="y")
    with pytest.raises(BadAmount, match="capture between 1 and 1000, not 1001"):
        payments.pay(new(), 1001, at=AT, cause="x")


def test_the_same_key_gets_the_first_answer_again():
    keys = Keys()
    assert keys.claim("k", "question") is None
    keys.keep("k", ApiAnswer(201, {"id": "pay_1"}))
    keys.finish("k")
    assert keys.claim("k", "question") == ApiAnswer(201, {"id": "pay_1"}, replayed=True)
    with pytest.raises(KeyReused):
        keys.claim("k", "another question")


def test_a_key_is_busy_until_its_first_request_is_over():
    keys = Keys()
    keys.claim("k", "question")
    with pytest.raises(StillRunning):
        keys.claim("k", "question")
    keys.finish("k")
    assert keys.claim("k", "other question") is None, "nothing was kept, so the key is free again"


def test_one_key_makes_one_payment_however_often_it_is_sent():
    async def story():
        here, _ = dry_world(204)
        first = await here.create(key="same")
        here.made = 0
        again = await here.create(key="same")
        await here.landed()
        assert first == again
        assert len(list(here.provider.book)) == 1

    run(story())


def test_concurrent_requests_under_one_key_make_one_payment():
    async def story():
        here, _ = dry_world(204)
        here.put_on("answer-late")

        async def create():
            here.made = 0
            return await here.create(key="same")

        answers = await asyncio.gather(*(create() for _ in range(5)), return_exceptions=True)
        assert sum(isinstance(answer, StillRunning) for answer in answers) == 4
        assert len(list(here.provider.book)) == 1

    run(story())
