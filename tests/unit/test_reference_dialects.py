"""The service's own reading of Stripe and Alipay: what the provider honestly sends is believed and understood, and nothing
that it can be told to forge is.
"""

import json
from datetime import UTC, datetime, timedelta
from random import Random
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fake_provider.dialects import Forging, Notice, Wire, find
from fake_provider.dialects.alipay import fields_of
from fake_provider.news import News
from reference_impl.answers import Refused
from reference_impl.dialects import Headers
from reference_impl.events import Event
from reference_impl.verifier import DIALECTS, Verifier

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEYS = {name: [find(name).draw_key(Random(number)) for number in range(2)] for name in DIALECTS}
VERIFIERS = {name: Verifier(find(name).receiver_key(KEYS[name][0]), dialect) for name, dialect in DIALECTS.items()}
STRIPE, ALIPAY = VERIFIERS["stripe"], VERIFIERS["alipay"]

each_dialect = pytest.mark.parametrize("name", DIALECTS)


def notice(type: News = News.CAPTURED, **changed: object) -> Notice:
    given = {
        "type": type,
        "at": NOW,
        "payment": "pay_1",
        "reference": "tu_1",
        "amount_minor": 1234,
        "currency": "EUR",
        "account": "acc-1",
        "merchant": "m",
        "environment": "chaos",
        "attempt": 1,
        "captured_minor": 5000,
        "refunded_minor": 1300,
        "refund": "re_1" if type is News.REFUNDED else None,
        "dispute": "dp_1" if type in (News.DISPUTED, News.WON, News.LOST) else None,
    }
    return Notice(**(given | changed))


def sent(name: str, about: Notice | None = None, at: datetime = NOW, keys: list[str] | None = None) -> Wire:
    dialect = find(name)
    return dialect.sign(dialect.encode(about or notice(), "msg_1"), keys or KEYS[name][:1], at)


def headers_of(wire: Wire) -> Headers:
    return [(name.encode(), value) for name, value in wire.headers]


def understood(name: str, wire: Wire, now: datetime = NOW) -> Event | None:
    """As the service does it: believed first."""
    VERIFIERS[name].verify(headers_of(wire), wire.body, now)
    return VERIFIERS[name].read(headers_of(wire), wire.body)


@each_dialect
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
def test_an_honest_capture_is_believed_and_understood(name, currency):
    event = understood(name, sent(name, notice(currency=currency)))
    assert (event.kind, event.payment, event.reference) == ("captured", "pay_1", "tu_1")
    assert (event.amount_minor, event.currency) == (1234, currency)
    assert (event.account, event.merchant, event.environment) == ("acc-1", "m", "chaos")
    assert (event.delivery, event.cause, event.reversal) == ("msg_1", "callback", None)


@each_dialect
def test_a_failure_is_one(name):
    assert understood(name, sent(name, notice(News.FAILED))).kind == "failed"


@each_dialect
def test_of_a_refund_its_own_amount_counts_and_the_sum_is_known_beside_it(name):
    event = understood(name, sent(name, notice(News.REFUNDED)))
    assert (event.kind, event.reversal, event.amount_minor) == ("refunded", "re_1", 1234)
    assert (event.captured_minor, event.refunded_minor) == (5000, 1300)


@pytest.mark.parametrize(
    ("news", "kind"), [(News.DISPUTED, "disputed"), (News.WON, "won"), (News.LOST, "lost"), (News.PENDING, None)]
)
def test_stripe_s_disputes(news, kind):
    event = understood("stripe", sent("stripe", notice(news)))
    assert (event and event.kind) == kind


def test_a_completed_checkout_is_the_settlement_of_its_payment():
    """And no capture: that is told of the payment. One that is not paid yet says nothing."""
    wire = sent("stripe", notice(News.SETTLED))
    event = understood("stripe", wire)
    assert (event.kind, event.payment, event.amount_minor, event.effect) == ("settled", "pay_1", 1234, "settled")
    unpaid = wire.body.replace(b'"payment_status":"paid"', b'"payment_status":"unpaid"')
    assert unpaid != wire.body
    assert STRIPE.read([], unpaid) is None


def test_alipay_s_words_that_move_nothing():
    assert understood("alipay", sent("alipay", notice(News.PENDING))) is None


def test_a_finished_trade_is_the_capture_that_was_told_before():
    """TRADE_FINISHED comes months after TRADE_SUCCESS for the same trade; the effect claimed is the same."""
    finished = understood("alipay", sent("alipay", notice(News.SETTLED)))
    assert finished.effect == understood("alipay", sent("alipay")).effect


@each_dialect
def test_the_same_event_has_the_same_digest_on_every_attempt(name):
    """It is signed anew each time; what it says stays."""
    first, second = (understood(name, sent(name, at=NOW + timedelta(seconds=n)), NOW) for n in (0, 7))
    assert first == second
    assert understood(name, sent(name, notice(amount_minor=1235))).digest != first.digest


@each_dialect
def test_what_makes_the_provider_stop(name):
    answer = VERIFIERS[name].acknowledgement
    assert (answer.status, answer.text) == ((200, "success") if name == "alipay" else (204, None))


@pytest.mark.parametrize("name", ["standard-webhooks", "stripe"])
def test_either_of_two_keys_while_they_are_rotated(name):
    both = Verifier(" ".join(find(name).receiver_key(key) for key in KEYS[name]), DIALECTS[name])
    for key in KEYS[name]:
        wire = sent(name, keys=[key])
        both.verify(headers_of(wire), wire.body, NOW)
    wire = sent(name, keys=KEYS[name])
    VERIFIERS[name].verify(headers_of(wire), wire.body, NOW)


@pytest.mark.parametrize(
    ("name", "secret"),
    [
        ("stripe", ""),
        ("stripe", "whsec_"),
        ("stripe", "whsec_short"),
        ("stripe", "sk_test_0123456789abcdef0123"),
        ("alipay", ""),
        ("alipay", "!!!"),
        ("alipay", "AAAA"),
        ("alipay", KEYS["alipay"][0]),
    ],
)
def test_does_not_start_with_a_key_that_anybody_has_or_with_none(name, secret):
    """Nor with Alipay's private key, which nobody but the provider should ever have."""
    with pytest.raises(ValueError, match="CALLBACK_SECRET"):
        Verifier(secret, DIALECTS[name])


# Forgeries


def forged(name: str, forgery: str) -> Wire:
    dialect, about = find(name), notice(at=NOW + timedelta(seconds=1), payment="pay_2")
    forging = Forging(
        notice=about,
        event_id="msg_2",
        wire=dialect.encode(about, "msg_2"),
        keys=KEYS[name][:1],
        retired=KEYS[name][1:],
        at=NOW,
        genuine=sent(name),
        rng=Random(3),
    )
    return dialect.forgeries[forgery](forging)


FORGED = [
    (name, forgery, each.ignorable) for name in DIALECTS for forgery, each in sorted(find(name).forgeries.items())
]


UNREADABLE = ("repeated-key", "not-utf-8", "deeply-nested")  # which may be passed over, and is refused here


@pytest.mark.parametrize(
    ("name", "forgery"),
    [(name, forgery) for name, forgery, ignorable in FORGED if not ignorable or forgery in UNREADABLE],
)
def test_every_forgery_is_refused_and_nothing_else_is_raised(name, forgery):
    with pytest.raises(Refused) as refusal:
        understood(name, forged(name, forgery))
    assert refusal.value.status in (400, 401)


@pytest.mark.parametrize(
    ("name", "forgery"),
    [(name, forgery) for name, forgery, ignorable in FORGED if ignorable and forgery not in UNREADABLE],
)
def test_what_is_authentic_and_not_ours_does_not_fit_what_was_stored(name, forgery):
    event = understood(name, forged(name, forgery))
    assert (event.merchant, event.environment) != ("m", "chaos")


# Strictness


@pytest.mark.parametrize(
    ("name", "seconds", "believed"),
    [
        ("stripe", -301, False),
        ("stripe", -300, True),
        ("stripe", 300, True),
        ("stripe", 301, False),
        ("alipay", -26 * 3600 - 1, False),
        ("alipay", -25 * 3600, True),
        ("alipay", 300, True),
        ("alipay", 301, False),
    ],
)
def test_the_window(name, seconds, believed):
    """Both ends belong to it. Alipay's reaches back as far as the provider goes on sending."""
    wire = sent(name, at=NOW + timedelta(seconds=seconds))
    if believed:
        assert understood(name, wire)
    else:
        with pytest.raises(Refused, match="too far from now"):
            understood(name, wire)


GOOD = sent("stripe").header("stripe-signature") or b""
STAMP, DIGEST = GOOD.split(b",")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (b"", "malformed"),
        (STAMP, "no v1"),
        (DIGEST, "malformed"),
        (GOOD + b",", "malformed"),
        (GOOD + b"," + STAMP, "malformed"),
        (GOOD.replace(b",", b", "), "malformed"),
        (GOOD.replace(b"t=", b"t=0"), "plain integer"),
        (GOOD.replace(b"t=", b"t=+"), "malformed"),
        (STAMP + b"," + DIGEST.upper().replace(b"V1=", b"v1="), "hexadecimal"),
        (STAMP + b"," + DIGEST[:-2], "hexadecimal"),
        (STAMP + b",v0=" + DIGEST[3:], "no v1"),
        (STAMP + (b",v1=" + b"0" * 64) * 9, "too many"),
        (STAMP + b",v1=" + b"0" * 64, "no signature fits"),
        (b"t=1767268800,v1=\xe9\xff", "malformed"),
    ],
)
def test_stripe_s_header_is_read_strictly(header, reason):
    with pytest.raises(Refused, match=reason):
        STRIPE.verify([(b"stripe-signature", header)], sent("stripe").body, NOW)


def test_two_of_stripe_s_headers_are_none():
    wire = sent("stripe")
    with pytest.raises(Refused, match="more than once"):
        STRIPE.verify([*headers_of(wire), (b"stripe-signature", GOOD)], wire.body, NOW)


def stripe_event(**changes: object) -> dict[str, object]:
    return json.loads(sent("stripe").body) | changes


@pytest.mark.parametrize(
    "event",
    [
        {},
        stripe_event(data={}),
        stripe_event(data={"object": {}}),
        stripe_event(livemode="false"),
        stripe_event(livemode=None),
        stripe_event(id=None),
        stripe_event(account=None),
        *(
            stripe_event(data={"object": stripe_event()["data"]["object"] | change})
            for change in (
                {"amount_received": -1},
                {"amount_received": 0},
                {"amount_received": "1234"},
                {"amount_received": True},
                {"currency": "EUR"},
                {"currency": "euro"},
                {"metadata": None},
                {"metadata": {}},
                {"status": "requires_capture"},
            )
        ),
    ],
)
def test_stripe_s_events_are_read_strictly(event):
    with pytest.raises(Refused) as refusal:
        STRIPE.read([], json.dumps(event).encode())
    assert refusal.value.status == 400


@pytest.mark.parametrize(("livemode", "environment"), [(False, "chaos"), (True, "live mode")])
def test_stripe_s_mode_must_fit_where_the_payment_was_made(livemode, environment):
    event = STRIPE.read([], json.dumps(stripe_event(livemode=livemode)).encode())
    assert event.environment == environment


def alipay_body(**changes: str | None) -> bytes:
    fields = fields_of(sent("alipay")) | changes
    return urlencode({name: value for name, value in fields.items() if value is not None}).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"a",
        b"a=%ff",
        b"\xff=1",
        alipay_body(charset="gbk"),
        alipay_body(subject="x&y=z"),
        alipay_body(**{"total_amount ": "1"}),
        alipay_body() + b"&total_amount=1.00",
        b"&".join(b"f%s=1" % bytes([97 + n // 26, 97 + n % 26]) for n in range(65)),
    ],
)
def test_alipay_s_form_is_read_strictly(body):
    with pytest.raises(Refused) as refusal:
        ALIPAY.claim_of([], body)
    assert refusal.value.status in (400, 401)


@pytest.mark.parametrize(
    "changes",
    [
        *(
            {"total_amount": amount}
            for amount in ("", "-1.00", "1", "1.0", "1.000", "01.00", "1e2", "NaN", "１.00", "0.00")
        ),
        {"total_amount": None},
        {"trans_currency": "XXX"},
        {"passback_params": None},
        {"passback_params": "account%3Da"},
        {"passback_params": "account%3Da%26account%3Db%26environment%3Dc"},
        {"out_trade_no": "tu 1"},
        {"trade_no": ""},
        {"seller_id": None},
    ],
)
def test_alipay_s_fields_are_read_strictly(changes):
    with pytest.raises(Refused) as refusal:
        ALIPAY.read([], alipay_body(**changes))
    assert refusal.value.status == 400


def test_another_seller_under_the_same_app_is_another_merchant():
    assert ALIPAY.read([], alipay_body(seller_id="mallory")).merchant == "m of mallory"


@given(st.binary(max_size=200))
def test_any_bytes_in_stripe_s_header_are_refused_and_nothing_else(value):
    with pytest.raises(Refused):
        STRIPE.verify([(b"stripe-signature", value)], b"{}", NOW)


@given(st.binary(max_size=200))
def test_any_bytes_for_alipay_s_form_are_refused_and_nothing_else(body):
    with pytest.raises(Refused):
        ALIPAY.verify([], body, NOW)


@given(st.sampled_from(sorted(fields_of(sent("alipay")))), st.text(max_size=40))
def test_any_text_in_any_of_alipay_s_fields_is_refused_or_what_was_signed(name, text):
    """Nothing but a refusal comes of a field that was changed."""
    if text == fields_of(sent("alipay"))[name]:
        return
    with pytest.raises(Refused):
        ALIPAY.verify([], alipay_body(**{name: text.encode("utf-8", "replace").decode()}), NOW)
