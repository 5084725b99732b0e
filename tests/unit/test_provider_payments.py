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
from fake_provider.payments import BadAmount, IllegalMove, Order, Payment, Ruling, State

AT = datetime(2026, 1, 1, tzinfo=UTC)
LEGAL = {
    ("pending", "captured"),
    ("pending", "failed"),
    ("pending", "authorised"),
    ("authorised", "captured"),
    ("authorised", "failed"),
    ("failed", "captured"),
    ("captured", "captured"),
    ("captured", "refunded"),
    ("captured", "disputed"),
    ("disputed", "captured"),
    ("disputed", "lost"),
}


def new(amount_minor: int = 1000) -> Payment:
    order = Order(
        reference="tu_1", amount_minor=amount_minor, currency="JPY", account="a", merchant="m", method="redirect"
    )
    return payments.create(order, payment_id="pay_1", environment="chaos", key="k", at=AT)


moves = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["pay", "pay_more"]), st.integers(-5, 1200)),
        st.tuples(st.sampled_from(["decline", "authorise"]), st.just(0)),
        st.tuples(st.just("refund"), st.integers(-5, 1200)),
        st.tuples(st.just("dispute"), st.integers(-5, 1200)),
        st.tuples(st.sampled_from(["win", "lose"]), st.just(0)),
    ),
    max_size=20,
)


def moved(payment: Payment, move: str, amount: int, number: int) -> Payment:
    match move:
        case "pay":
            return payments.pay(payment, amount, at=AT, cause="test")
        case "pay_more":
            return payments.pay_more(payment, amount, at=AT, cause="test")
        case "authorise":
            return payments.authorise(payment, at=AT, cause="test")
        case "decline":
            return payments.decline(payment, at=AT, cause="test")
        case "refund":
            return payments.refund(payment, amount, refund_id=f"re_{number}", at=AT)
        case "dispute":
            return payments.dispute(payment, amount, dispute_id=f"dp_{number}", at=AT)
        case "win":
            return payments.win(payment, at=AT)
        case _:
            return payments.lose(payment, at=AT)


@given(moves)
def test_no_sequence_of_moves_gives_back_more_than_it_captured_or_takes_an_illegal_step(moves):
    payment = new()
    for number, (move, amount) in enumerate(moves):
        before = payment
        try:
            payment = moved(payment, move, amount, number)
        except (IllegalMove, BadAmount):
            assert payment is before
        given_back = payment.refunded_minor + payment.charged_back_minor
        assert 0 <= given_back <= payment.captured_minor <= payment.order.amount_minor
        assert (payment.captured_minor > 0) == (payment.state not in {State.PENDING, State.FAILED, State.AUTHORISED})
        assert (0 < payment.captured_minor == given_back) == (
            payment.state in {State.REFUNDED, State.LOST}
            or (payment.state is State.DISPUTED and not payment.left_minor)
        )
        undecided = [one for one in payment.disputes if one.ruling is Ruling.OPEN]
        assert len(undecided) == (payment.state is State.DISPUTED)
    steps = [step.state.value for step in payment.history]
    assert steps[0] == "pending"
    assert steps[-1] == payment.state
    assert set(pairwise(steps)) <= LEGAL
    parts = sum(step.cause == "test" and step.state is State.CAPTURED for step in payment.history)
    assert steps.count("captured") <= parts + len(payment.refunds) + len(payment.disputes)


def test_what_a_bank_settles_is_what_the_payment_is_about():
    payment = payments.settle(new(), 1500, "USD", at=AT, cause="x")
    assert (payment.currency, payment.captured_minor, payment.left_minor) == ("USD", 1500, 1500)
    with pytest.raises(BadAmount, match="has 0 not captured yet"):
        payments.pay_more(payment, 1, at=AT, cause="x")
    with pytest.raises(BadAmount):
        payments.pay_more(payments.settle(new(), 500, "USD", at=AT, cause="x"), 1, at=AT, cause="x")
    with pytest.raises(BadAmount, match="at least 1, not 0"):
        payments.settle(new(), 0, "USD", at=AT, cause="x")
    with pytest.raises(IllegalMove):
        payments.settle(payment, 1, "USD", at=AT, cause="x")


def test_a_dispute_takes_the_money_at_once_and_gives_it_back_only_when_won():
    payment = payments.dispute(payments.pay(new(), 1000, at=AT, cause="x"), 700, dispute_id="dp_1", at=AT)
    assert (payment.state, payment.charged_back_minor, payment.left_minor) == (State.DISPUTED, 700, 300)
    with pytest.raises(IllegalMove, match="disputed, which does not allow: refund a part"):
        payments.refund(payment, 1, refund_id="re_1", at=AT)
    won = payments.win(payment, at=AT)
    assert (won.state, won.left_minor) == (State.CAPTURED, 1000)
    lost = payments.lose(payment, at=AT)
    assert (lost.state, lost.left_minor) == (State.CAPTURED, 300)
    assert payments.refund(lost, 300, refund_id="re_1", at=AT).state is State.REFUNDED
    again = payments.lose(payments.dispute(won, 1000, dispute_id="dp_2", at=AT), at=AT)
    assert (again.state, again.left_minor) == (State.LOST, 0)
    with pytest.raises(IllegalMove, match="It allows: nothing any more"):
        payments.win(again, at=AT)


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
    with pytest.raises(IllegalMove, match=r"pay_1 is captured.* It allows: pay more, refund a part"):
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
