"""Alipay's Node package and the community's Python one, and our notices, as they come off a real socket."""

from urllib.parse import parse_qs

import pytest
from arrivals import captured, forged
from official_packages import Official, Verdict

from fake_provider.dialects import Wire, find

pytestmark = pytest.mark.contract

ALIPAY = find("alipay")
KEY, RETIRED, MERCHANTS_OWN = (ALIPAY.draw_key(None) for _ in range(3))
YES = b"success"
LENIENT = {"stale-timestamp", "future-timestamp", "resplit-fields", "missing-sign-type", "cross-account"}


@pytest.fixture(params=["alipay_python", "node"])
def official(request: pytest.FixtureRequest) -> Official:
    found: Official = request.getfixturevalue(request.param)
    return found


def verdict_of(official: Official, wire: Wire, key: str = KEY) -> Verdict:
    return official.ask("alipay", wire, key=ALIPAY.receiver_key(key), own_key=MERCHANTS_OWN)


def test_the_packages_accept_what_we_send(official: Official) -> None:
    (wire,) = captured(ALIPAY, (KEY,), acknowledgement=YES)
    verdict = verdict_of(official, wire)
    assert verdict.accepted, verdict
    assert (verdict.found["out_trade_no"], verdict.found["total_amount"]) == ("tu_ü", "10.00")
    assert verdict.found["trade_status"] == "TRADE_SUCCESS"


def test_the_packages_accept_refunds(official: Official) -> None:
    _, wire = captured(ALIPAY, (KEY,), lambda provider, payment: provider.refund(payment, 400), acknowledgement=YES)
    verdict = verdict_of(official, wire)
    assert verdict.accepted, verdict
    assert (verdict.found["refund_fee"], verdict.found["trade_status"]) == ("4.00", "TRADE_SUCCESS")


def test_the_packages_refuse_another_key(official: Official) -> None:
    (wire,) = captured(ALIPAY, (KEY,), acknowledgement=YES)
    assert not verdict_of(official, wire, RETIRED).accepted


@pytest.mark.parametrize("name", ["total_amount", "out_trade_no", "trade_status", "passback_params", "notify_time"])
def test_the_packages_refuse_any_change_of_a_field(official: Official, name: str) -> None:
    (wire,) = captured(ALIPAY, (KEY,), acknowledgement=YES)
    value = parse_qs(wire.body.decode())[name][0]
    assert wire.body.count(f"{name}=".encode()) == 1
    changed = wire.body.replace(f"{name}={value[0]}".encode(), f"{name}=9{value[0]}".encode())
    assert changed != wire.body
    assert not verdict_of(official, Wire(wire.headers, changed)).accepted


@pytest.mark.parametrize("forgery", sorted(set(ALIPAY.forgeries) - LENIENT - {"downgraded-algorithm"}))
def test_the_packages_refuse_each_forgery(official: Official, forgery: str) -> None:
    wire = forged(ALIPAY, (KEY,), forgery, YES, retired=(RETIRED,))
    assert not verdict_of(official, wire).accepted


@pytest.mark.parametrize("forgery", sorted(LENIENT))
def test_what_the_packages_let_through_a_receiver_has_to_refuse_itself(official: Official, forgery: str) -> None:
    """They look at no time and no account, take a missing algorithm for the configured one, and see one and the same text
    in fields that were split differently.
    """
    assert verdict_of(official, forged(ALIPAY, (KEY,), forgery, YES)).accepted


def test_resplit_fields_claim_an_amount_that_nobody_signed(official: Official) -> None:
    verdict = verdict_of(official, forged(ALIPAY, (KEY,), "resplit-fields", YES))
    assert verdict.accepted
    assert verdict.found["total_amount"] == "10.00", "what was signed was one cent"


def test_the_message_chooses_the_algorithm_in_node_and_not_in_python(alipay_python: Official, node: Official) -> None:
    wire = forged(ALIPAY, (KEY,), "downgraded-algorithm", YES)
    assert node.ask("alipay", wire, key=ALIPAY.receiver_key(KEY), own_key=MERCHANTS_OWN).accepted
    assert not verdict_of(alipay_python, wire).accepted
