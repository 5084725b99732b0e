"""The strict parser: what two parsers could read in two ways is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.answers import Refused
from reference_impl.events import Event, parse

DATA: dict[str, Any] = {
    "payment": "pay_1",
    "reference": "tu_1",
    "amount_minor": 1000,
    "currency": "EUR",
    "account": "acc",
    "merchant": "shop",
    "environment": "test",
    "attempt": 1,
}


def body(kind: object = "payment.captured", **facts: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-01-01T00:00:00Z", "data": DATA | facts}).encode()


def test_reads_what_the_provider_says() -> None:
    """Every field that is compared later, and which message it came in."""
    event = parse(body(), "msg_1")
    assert event is not None
    assert isinstance(event, Event)
    assert (
        event.kind,
        event.payment,
        event.reference,
        event.amount_minor,
        event.currency,
    ) == ("captured", "pay_1", "tu_1", 1000, "EUR")
    assert (event.cause, event.source, event.effect) == ("callback", "msg_1", "captured")


def test_each_refund_is_an_effect_of_its_own() -> None:
    """Two partial refunds of one payment are not one said twice."""
    effects = [event.effect for n in "12" if (event := parse(refunded(f"re_{n}"), "msg_1"))]
    assert effects == ["refund:re_1", "refund:re_2"]


def refunded(refund: object = "re_1", **facts: Any) -> bytes:
    return body("payment.refunded", **{"refund": refund, "captured_minor": 1000, "refunded_minor": 700} | facts)


@pytest.mark.parametrize(
    ("kind", "effects"),
    [
        ("dispute.opened", ["captured", "chargeback:dp_1"]),
        ("dispute.won", ["captured", "chargeback:dp_1", "chargeback-won:dp_1"]),
        ("dispute.lost", ["captured", "chargeback:dp_1", "chargeback-lost:dp_1"]),
    ],
)
def test_an_event_is_what_must_have_been_before_it_and_itself(kind: str, effects: list[str]) -> None:
    """Each in full, so that whichever is heard of first does it all; the capture is of what was captured."""
    event = parse(body(kind, dispute="dp_1", amount_minor=300, captured_minor=1000, refunded_minor=0), "msg_1")
    assert event is not None
    assert [step.effect for step in event.steps] == effects
    assert [step.amount_minor for step in event.steps] == [1000] + [300] * (len(effects) - 1)


def test_a_capture_and_a_failure_are_only_themselves() -> None:
    """Nothing had to come before them."""
    for kind in ("payment.captured", "payment.failed"):
        event = parse(body(kind), "msg_1")
        assert event is not None
        assert event.steps == (event,)


def test_has_no_use_for_other_types() -> None:
    """They are not malformed; there may be more some day."""
    assert parse(b'{"type": "payment.dreamt", "data": {}}', "msg_1") is None


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"null",
        b"[]",
        b'"payment.captured"',
        b"\xff\xfe",
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
        body() + b"{}",
        body(kind=7),
        b'{"type": "payment.captured", "data": []}',
        body().replace(b'"amount_minor": 1000', b'"amount_minor": 1, "amount_minor": 1000'),
        body().replace(b'"type"', b'"type": "payment.failed", "type"'),
        body().replace(b'"type"', b'"type": "payment.failed", "\\u0074ype"'),
        body().replace(b"1000", b"NaN"),
        body().replace(b"1000", b"Infinity"),
        body().replace(b"1000", b"1e3"),
        body().replace(b"1000", b"1000.0"),
        body().replace(b"1000", b"1e400"),
        body().replace(b"1000", b"9" * 5000),
        body().replace(b"1000", "１０００".encode()),
        body(amount_minor=-1),
        body(amount_minor=True),
        body(amount_minor="1000"),
        body(amount_minor=None),
        body(amount_minor=10**16),
        body(payment="pay_１"),
        body(payment="pay\u0000"),
        body(payment=""),
        body(payment="p" * 200),
        body(payment="pay_1\n"),
        body(reference={"$ne": None}),
        body(currency=None),
        refunded(7),
        refunded(None),
        refunded(captured_minor=0),
        refunded(amount_minor=0),
        refunded(refunded_minor=-1),
        body("payment.refunded", refund="re_1"),
        body("dispute.opened", refund="re_1", captured_minor=1, refunded_minor=0),
        body(deep=json.loads("[" * 50 + "]" * 50)),
        b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
        b"[" * 60_000,
        *(body().replace(f'"{name}"'.encode(), b'"absent"') for name in DATA if name != "attempt"),
    ],
)
def test_refuses(hostile: bytes) -> None:
    """Always with 400, whatever it would have been as an exception."""
    with pytest.raises(Refused) as refusal:
        parse(hostile, "msg_1")
    assert refusal.value.status == 400


def test_refuses_what_is_too_large_to_be_meant() -> None:
    """Before it is read."""
    with pytest.raises(Refused) as refusal:
        parse(body(padding="x" * 70_000), "msg_1")
    assert refusal.value.status == 413


def test_brackets_in_a_text_are_not_depth() -> None:
    """Only structure counts, also behind an escaped quote."""
    assert parse(body(note='\\"' + "[{" * 100), "msg_1") is not None


@given(st.binary(max_size=300))
def test_raises_nothing_but_refusals(noise: bytes) -> None:
    """Any bytes at all."""
    with pytest.raises(Refused):
        parse(noise, "msg_1")
