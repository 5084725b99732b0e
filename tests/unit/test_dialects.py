"""What every dialect must keep, and the vectors that providers publish. The packages' verdicts stand in `tests/contract`."""

import base64
import hashlib
import hmac
import json
import re
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

import fake_provider
from fake_provider.acs3 import Asked, canonical, signed_with
from fake_provider.attacks import ATTACKS
from fake_provider.dialects import DIALECTS, Answer, Dialect, Forging, NothingGenuine, Notice, Wire, all_shown, find
from fake_provider.dialects._money import decimal
from fake_provider.dialects.adyen import ADYEN, items_of
from fake_provider.dialects.alipay import ALIPAY, fields_of, signed_text
from fake_provider.dialects.github import GITHUB
from fake_provider.dialects.paddle import ATTEMPTS
from fake_provider.dialects.paypal import PAD, PAYPAL, colliding
from fake_provider.dialects.square import SQUARE
from fake_provider.dialects.standard_webhooks import STANDARD_WEBHOOKS
from fake_provider.dialects.stripe import STRIPE
from fake_provider.dialects.wechat_pay import WECHAT_PAY
from fake_provider.news import News

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = sorted(all_shown())
KEYS = {name: [find(name).draw_key(Random(number)) for number in range(2)] for name in NAMES}
# What every dialect must be forged by; and what beside it where a time is signed, and where a key is shared.
GENERIC = {"unsigned", "wrong-key", "other-tenant-key", "retired-key", "tampered-body", "malformed-signature"}
GENERIC |= {"cross-provider", "cross-account", "not-utf-8"}

WITH_A_PRIVATE_KEY = ("alipay", "paypal", "wechat-pay")

each_dialect = pytest.mark.parametrize("name", NAMES)
each_forgery = pytest.mark.parametrize(
    ("name", "forgery"), [(name, forgery) for name in NAMES for forgery in find(name).forgeries]
)


def notice(type: News = News.CAPTURED, **changed: object) -> Notice:
    given = {
        "type": type,
        "at": NOW,
        "payment": "pay_1",
        "reference": "tu_1",
        "amount_minor": 1234,
        "currency": "EUR",
        "account": "acc_1",
        "merchant": "m",
        "environment": "chaos",
        "attempt": 1,
        "captured_minor": 1234,
        "refund": "re_1" if type is News.REFUNDED else None,
        "dispute": "dp_1" if type in (News.DISPUTED, News.WON, News.LOST) else None,
    }
    return Notice(**(given | changed))


def unsigned(dialect: Dialect, event_id: str = "msg_1", about: Notice | None = None) -> Wire:
    wire = dialect.encode(about or notice(), event_id)
    return Wire(wire.headers, wire.body, "http://127.0.0.1:8000/callbacks")


def signed(dialect: Dialect, event_id: str = "msg_1", at: datetime = NOW, about: Notice | None = None) -> Wire:
    return dialect.sign(unsigned(dialect, event_id, about), KEYS[dialect.name][:1], at)


def forge(name: str, forgery: str) -> Wire:
    """As the provider forges: a second later than the genuine callback, and here of another payment."""
    dialect, about = find(name), notice(at=NOW + timedelta(seconds=1), payment="pay_2")
    forging = Forging(
        notice=about,
        event_id="msg_2",
        wire=unsigned(dialect, "msg_2", about),
        keys=KEYS[name][:1],
        retired=KEYS[name][1:],
        at=NOW,
        genuine=signed(dialect),
        rng=Random(3),
    )
    return dialect.forgeries[forgery](forging)


@each_dialect
def test_the_same_notice_is_the_same_bytes(name):
    dialect = find(name)
    assert signed(dialect) == signed(dialect)


@each_dialect
def test_every_word_that_a_dialect_has_can_be_said(name):
    dialect = find(name)
    assert {News.CAPTURED, News.REFUNDED} <= set(dialect.events)
    for news in dialect.events:
        wire = signed(dialect, about=notice(news))
        assert wire.body
        assert dialect.dedup_key(wire)
        assert dialect.signatures(wire)


@each_dialect
def test_what_is_signed_says_so_and_what_is_not_does_not(name):
    dialect = find(name)
    assert dialect.signatures(unsigned(dialect)) == ()
    assert all(len(signature) > 16 for signature in dialect.signatures(signed(dialect)))


@each_dialect
def test_another_key_is_another_signature(name):
    dialect = find(name)
    first, second = (dialect.signatures(dialect.sign(unsigned(dialect), [key], NOW)) for key in KEYS[name])
    assert not set(first) & set(second)


@each_dialect
def test_what_a_receiver_is_given_is_one_word_and_no_private_key(name):
    dialect, key = find(name), KEYS[name][0]
    given = dialect.receiver_key(key)
    assert len(given.split()) == 1
    dialect.check_key(key)
    if name in WITH_A_PRIVATE_KEY:
        assert given != key
        with pytest.raises(ValueError, match="RSA"):
            dialect.check_key(given)


@each_dialect
def test_an_empty_key_is_refused(name):
    with pytest.raises(ValueError, match=r"key"):
        find(name).check_key("")


@each_dialect
def test_a_drawn_key_is_the_same_for_the_same_seed_unless_it_is_an_rsa_key(name):
    draw = find(name).draw_key
    assert (draw(Random(1)) == draw(Random(1))) == (name not in WITH_A_PRIVATE_KEY)


@each_dialect
def test_the_schedule_begins_at_once_and_ends(name):
    dialect = find(name)
    assert dialect.delay_before(1) == timedelta(0)
    assert dialect.delay_before(0) is None
    delays = list(iter((dialect.delay_before(n) for n in range(1, 1000)).__next__, None))
    assert all(delay > timedelta(0) for delay in delays[1:])
    assert dialect.delay_before(len(delays) + 1) is None


@pytest.mark.parametrize(
    ("name", "attempts", "hours"),
    [
        ("standard-webhooks", 10, 75.6),
        ("stripe", 7, 63.0),
        ("alipay", 8, 24.4),
        ("wechat-pay", 16, 24.1),
        ("paddle", ATTEMPTS, 71.95),
        ("square", 11, 17.05),
        ("github", 1, 0.0),
        ("paypal", 25, 72.0),
        ("adyen", 101, 720.0),
    ],
)
def test_how_often_and_how_long_a_dialect_goes_on(name, attempts, hours):
    delays = [find(name).delay_before(n) for n in range(1, attempts + 1)]
    total = sum((delay for delay in delays if delay), timedelta())
    assert find(name).delay_before(attempts + 1) is None
    assert total / timedelta(hours=1) == pytest.approx(hours, abs=8 if name == "adyen" else 0.1)


@pytest.mark.parametrize(
    ("name", "status", "body", "heard"),
    [
        ("stripe", 204, b"", True),
        ("stripe", 302, b"", False),
        ("alipay", 200, b"success", True),
        ("alipay", 200, b"success\n", False),
        ("alipay", 200, b"<p>success</p>", False),
        ("alipay", 200, b"SUCCESS", False),
        ("alipay", 200, b"", False),
        ("alipay", 204, b"", False),
        ("alipay", 302, b"success", False),
        ("paddle", 200, b"", True),
        ("paddle", 204, b"", False),
        ("wechat-pay", 204, b"", True),
        ("wechat-pay", 202, b"", False),
        ("adyen", 202, b"[accepted]", True),
        ("github", 200, b"", True),
        ("square", 200, b"", True),
        *((name, None, b"", False) for name in NAMES),
        *((name, 500, b"success", False) for name in NAMES),
    ],
)
def test_what_counts_as_an_acknowledgement(name, status, body, heard):
    assert find(name).is_ack(Answer(status=status, because="", body=body)) == heard


@pytest.mark.parametrize(
    ("minor", "currency", "written"),
    [(1234, "EUR", "12.34"), (5, "CNY", "0.05"), (80, "JPY", "80"), (18600, "KWD", "18.600"), (100, "EUR", "1.00")],
)
def test_amounts_with_a_point(minor, currency, written):
    assert decimal(minor, currency) == written


# Forgeries


@each_dialect
def test_every_dialect_is_forged_in_the_generic_ways(name):
    assert set(find(name).forgeries) >= GENERIC


@each_forgery
def test_every_forgery_says_what_it_plays(name, forgery):
    each = find(name).forgeries[forgery]
    assert each.what.endswith(".")
    assert each.plays
    assert each.cwe in {cwe for attack in each.plays for cwe in ATTACKS[attack].cwe}


def test_every_attack_that_stands_here_is_played():
    played = {attack for name in NAMES for each in find(name).forgeries.values() for attack in each.plays}
    assert played == set(ATTACKS)


ROW = re.compile(r"^\| (B-\d\d) \| [^|]+ \| ([^|]+) \|$", re.MULTILINE)
CELL = re.compile(r"`([a-z0-9-]+)` \(([a-z, -]+)\)")


def test_the_readme_says_of_each_attack_how_it_is_forged_and_where():
    """From the first to the last: one row each, and where there is no forgery, a reason."""
    page = (Path(fake_provider.__file__).parent / "README.md").read_text(encoding="utf-8")
    said = {id: dict(CELL.findall(cell)) for id, cell in ROW.findall(page)}
    assert list(said) == [f"B-{number:02}" for number in range(1, 58)]
    played: dict[str, dict[str, list[str]]] = {id: {} for id in said}
    for name in NAMES:
        for forgery, each in find(name).forgeries.items():
            for id in each.plays:
                played[id].setdefault(forgery, []).append(name)
    assert said == {
        id: {forgery: "all" if where == NAMES else ", ".join(where) for forgery, where in forgeries.items()}
        for id, forgeries in played.items()
    }


@each_forgery
def test_a_forgery_never_is_a_message_that_the_provider_would_have_sent(name, forgery):
    """An attack that is byte for byte an honest callback accuses whoever believes it."""
    dialect = find(name)
    claimed = notice(at=NOW + timedelta(seconds=1), payment="pay_2")
    assert forge(name, forgery) not in (signed(dialect), signed(dialect, "msg_2", about=claimed))


@each_forgery
def test_the_journal_can_name_every_forgery(name, forgery):
    """Also those that are in another dialect, or in none."""
    dialect, wire = find(name), forge(name, forgery)
    assert isinstance(dialect.dedup_key(wire), str)
    assert all(isinstance(signature, str) for signature in dialect.signatures(wire))


@pytest.mark.parametrize("name", [name for name in NAMES if name != "adyen"])  # which has no id of an event
def test_a_tampered_body_comes_under_the_id_and_the_signature_of_a_genuine_one(name):
    """For whoever recognises the id and looks no further."""
    dialect, genuine, hostile = find(name), signed(find(name)), forge(name, "tampered-body")
    assert dialect.dedup_key(hostile) == dialect.dedup_key(genuine)
    assert dialect.signatures(hostile) == dialect.signatures(genuine)
    assert hostile.body != genuine.body


@pytest.mark.parametrize("name", [name for name in NAMES if "fresh-timestamp" in find(name).forgeries])
def test_a_fresh_timestamp_leaves_all_of_a_genuine_callback_as_it_was_but_the_time(name):
    dialect, genuine, hostile = find(name), signed(find(name)), forge(name, "fresh-timestamp")
    assert (hostile.body, dialect.signatures(hostile)) == (genuine.body, dialect.signatures(genuine))
    was, later = (b"%d" % (NOW + timedelta(seconds=s)).timestamp() for s in (0, 60))
    assert [(name, value.replace(was, later)) for name, value in sorted(genuine.headers)] == sorted(hostile.headers)
    assert hostile != genuine


@each_dialect
def test_without_a_retired_key_there_is_nothing_to_sign_with(name):
    dialect = find(name)
    forging = Forging(
        notice=notice(), event_id="e", wire=unsigned(dialect), keys=KEYS[name], at=NOW, genuine=None, rng=Random(1)
    )
    for forgery in ("retired-key", "tampered-body"):
        with pytest.raises(NothingGenuine):
            dialect.forgeries[forgery](forging)


def test_alipay_s_resplit_fields_have_the_signed_text_of_one_cent():
    fields = fields_of(forge("alipay", "resplit-fields"))
    assert fields["total_amount"] == "12.34"
    joined = fields | {"subject": "Top-up&total_amount=12.34&total_note=", "total_amount": "0.01"}
    del joined["total_note"]
    assert signed_text(joined) == signed_text(fields)


@given(st.binary(max_size=200).filter(lambda raw: b'"' not in raw), st.integers(0, 2**32 - 1))
def test_any_checksum_can_be_met(before: bytes, checksum: int) -> None:
    padded = b'{"x":"' + before + b'","pad":"' + b"p" * PAD + b'"}'
    forged = colliding(padded, checksum)
    assert zlib.crc32(forged) == checksum
    assert forged.replace(b"q", b"p") == padded.replace(b"q", b"p"), "nothing but the padding was changed"


def test_paypal_s_collision_has_the_signature_and_the_checksum_of_a_genuine_callback():
    genuine, hostile = signed(PAYPAL), forge("paypal", "crc-collision")
    assert (hostile.headers, zlib.crc32(hostile.body)) == (genuine.headers, zlib.crc32(genuine.body))
    assert json.loads(hostile.body)["resource"]["id"] == "pay_2"


def test_paypal_s_scheme():
    """developer.paypal.com, webhooks: `id|time|webhook id|crc32`, with the key of the certificate."""
    wire, key = signed(PAYPAL), PAYPAL.raw(KEYS["paypal"][0])
    text = b"|".join(
        (
            wire.header("paypal-transmission-id") or b"",
            b"2026-01-01T12:00:00Z",
            key.webhook.encode(),
            str(zlib.crc32(wire.body)).encode(),
        )
    )
    certificate = x509.load_der_x509_certificate(base64.b64decode(PAYPAL.receiver_key(KEYS["paypal"][0]).split(":")[1]))
    public = certificate.public_key()
    assert isinstance(public, RSAPublicKey)
    signature = base64.b64decode(wire.header("paypal-transmission-sig") or b"")
    public.verify(signature, text, padding.PKCS1v15(), SHA256())


def test_adyen_s_second_item_is_unsigned_behind_a_genuine_one():
    first, second = items_of(forge("adyen", "second-item-unsigned"))
    assert "hmacSignature" in first["additionalData"]
    assert "hmacSignature" not in second["additionalData"]
    assert second["amount"]["value"] == 1234


def test_stripe_writes_two_currencies_with_digits_that_they_have_not():
    """docs.stripe.com/currencies: ISK and UGX are without minor units, and written with two for compatibility."""
    amounts = {
        currency: json.loads(unsigned(STRIPE, about=notice(currency=currency)).body)["data"]["object"]["amount"]
        for currency in ("EUR", "JPY", "KWD", "ISK", "UGX")
    }
    assert amounts == {"EUR": 1234, "JPY": 1234, "KWD": 1234, "ISK": 123400, "UGX": 123400}


# Vectors that the providers publish


def test_adyen_s_vector():
    """docs.adyen.com, verify HMAC signatures; the same stands in the tests of its packages."""
    key = "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056"
    item = {
        "additionalData": {},
        "amount": {"currency": "EUR", "value": 1130},
        "eventCode": "AUTHORISATION",
        "merchantAccountCode": "TestMerchant",
        "merchantReference": "TestPayment-1407325143704",
        "originalReference": "",
        "pspReference": "7914073381342284",
        "success": "true",
    }
    body = json.dumps({"live": "false", "notificationItems": [{"NotificationRequestItem": item}]}).encode()
    assert ADYEN.signatures(ADYEN.sign(Wire((), body), [key], NOW)) == ("coqCmt/IZ4E3CzPvMY8zTjQVL5hYJUiBRg8UU+iCWo0=",)


def test_github_s_vector():
    """docs.github.com, validating webhook deliveries: testing the webhook payload validation."""
    wire = GITHUB.sign(Wire((), b"Hello, World!"), ["It's a Secret to Everybody"], NOW)
    assert wire.header("x-hub-signature-256") == (
        b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    )


def test_the_vector_of_standard_webhooks():
    """github.com/standard-webhooks/standard-webhooks, the tests of its libraries."""
    wire = Wire((("webhook-id", b"msg_p5jXN8AQM9LWM0D4loKWxJek"),), b'{"test": 2432232314}')
    at = datetime.fromtimestamp(1614265330, UTC)
    assert STANDARD_WEBHOOKS.signatures(
        STANDARD_WEBHOOKS.sign(wire, ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"], at)
    ) == ("g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",)


def test_the_vector_of_acs3():
    """help.aliyun.com, request syntax and signature method V3: RunInstances with a fixed nonce and date."""
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": hashlib.sha256(b"").hexdigest(),
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = "ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai"
    asked = Asked(method="POST", path="/", query=query, headers=list(headers.items()), body=b"")
    text = canonical(asked, headers)
    assert hashlib.sha256(text).hexdigest() == "7ea06492da5221eba5297e897ce16e55f964061054b7695beedaac1145b1e259"
    assert signed_with("YourAccessKeySecret", text) == (
        "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"
    )


# Where nothing is published: the scheme, written out once more


def test_stripe_s_scheme():
    wire = signed(STRIPE)
    stamp = b"%d" % int(NOW.timestamp())
    digest = hmac.new(KEYS["stripe"][0].encode(), stamp + b"." + wire.body, hashlib.sha256).hexdigest()
    assert wire.header("stripe-signature") == b"t=%b,v1=%b" % (stamp, digest.encode())


def test_square_signs_the_address_too():
    wire = signed(SQUARE)
    digest = hmac.digest(KEYS["square"][0].encode(), b"http://127.0.0.1:8000/callbacks" + wire.body, hashlib.sha256)
    assert wire.header("x-square-hmacsha256-signature") == base64.b64encode(digest)


def test_alipay_s_times_are_those_of_beijing():
    fields = fields_of(signed(ALIPAY))
    assert (fields["notify_time"], fields["gmt_create"]) == ("2026-01-01 20:00:00", "2026-01-01 20:00:00")


@pytest.mark.parametrize(("refunded", "status"), [(400, "TRADE_SUCCESS"), (1234, "TRADE_CLOSED")])
def test_alipay_tells_the_sum_of_all_refunds_and_closes_when_nothing_is_left(refunded, status):
    fields = fields_of(signed(ALIPAY, about=notice(News.REFUNDED, amount_minor=400, refunded_minor=refunded)))
    assert (fields["send_back_fee"], fields["refund_fee"]) == ("4.00", decimal(refunded, "EUR"))
    assert (fields["trade_status"], fields["total_amount"], fields["out_biz_no"]) == (status, "12.34", "re_1")


def test_wechat_pay_s_serial_names_the_key_that_signed():
    wire = signed(WECHAT_PAY)
    assert wire.header("wechatpay-serial") == KEYS["wechat-pay"][0].partition(":")[0].encode()
    assert set(DIALECTS) == set(NAMES)
