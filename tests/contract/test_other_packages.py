"""The other providers' packages, and ours as it comes off a real socket: what they accept, refuse, and let through.

A row is a dialect, the environment in which the package lives, and the forgeries that the package accepts: what it does not
look at, its user has to look at. These stand here so that nobody takes a package's yes for the whole answer.
"""

from dataclasses import dataclass
from random import Random

import pytest
from arrivals import captured, forged
from official_packages import Official, Verdict

from fake_provider.dialects import Wire, find
from fake_provider.moods import make
from fake_provider.provider import Provider

pytestmark = pytest.mark.contract

KEYS = {
    name: (find(name).draw_key(Random(1)), find(name).draw_key(Random(2)))
    for name in ("adyen", "github", "paddle", "paypal", "square", "wechat-pay")
}


@dataclass(frozen=True)
class Subject:
    """One package, the verifier in it, and what it accepts though a receiver should not."""

    dialect: str
    environment: str
    accepts: frozenset[str]

    @property
    def verifier(self) -> str:
        return self.dialect.replace("-", "_")


UNDATED = frozenset({"stale-timestamp", "future-timestamp", "millisecond-timestamp"})
UNBOUNDED = frozenset({"future-timestamp", "millisecond-timestamp", "timestamp-no-number"})
# What a package verifies and does not parse, its user parses: keys that are there twice, lists in lists without end.
UNPARSED = frozenset({"repeated-key", "deeply-nested"})

SUBJECTS = [
    # verifies the first item of a batch only; the borders between signed fields are not in what is signed
    Subject(
        "adyen",
        "core",
        frozenset({"second-item-unsigned", "resplit-fields", "other-mode", "cross-account", "repeated-key"}),
    ),
    Subject("github", "core", UNPARSED | {"fresh-delivery-id", "cross-account", "other-mode", "not-utf-8"}),
    Subject("github", "node", UNPARSED | {"fresh-delivery-id", "cross-account", "other-mode"}),
    # take a time as a number, and a number has many spellings
    Subject("paddle", "core", UNPARSED | {"malleable-timestamp", "cross-account", "other-mode"}),
    # bounds the past and not the future
    Subject("paddle", "node", UNPARSED | UNBOUNDED | {"malleable-timestamp", "cross-account", "other-mode"}),
    # looks at no time, takes the algorithm from the message, and sees nothing of the body but its checksum
    Subject(
        "paypal",
        "paypal",
        UNPARSED | {"stale-timestamp", "future-timestamp", "downgraded-algorithm", "crc-collision", "cross-account"},
    ),
    Subject("square", "core", UNPARSED | {"other-mode", "cross-account"}),
    # look at the signature and not at the time in it
    Subject("wechat-pay", "core", UNDATED | {"cross-account", "repeated-key"}),
    Subject("wechat-pay", "node", UNDATED | UNPARSED | {"cross-account"}),
]


def named(subject: Subject) -> str:
    return f"{subject.dialect}-{subject.environment}"


each_subject = pytest.mark.parametrize("subject", SUBJECTS, ids=named)
each_forgery = pytest.mark.parametrize(
    ("subject", "forgery"),
    [(subject, forgery) for subject in SUBJECTS for forgery in find(subject.dialect).forgeries],
    ids=lambda value: value if isinstance(value, str) else named(value),
)


def verdict_of(request: pytest.FixtureRequest, subject: Subject, wire: Wire, key: str = "") -> Verdict:
    official: Official = request.getfixturevalue(subject.environment)
    dialect = find(subject.dialect)
    receiver = dialect.receiver_key(key or KEYS[subject.dialect][0])
    return official.ask(subject.verifier, wire, key=receiver, merchant="m")


@pytest.fixture(autouse=True)
def imported(request: pytest.FixtureRequest) -> None:
    """A package is imported when it is asked for the first time, which takes longer than some tolerate a signature's age."""
    if "subject" in request.fixturenames:
        verdict_of(request, request.getfixturevalue("subject"), Wire((), b"{}", "http://127.0.0.1/"))


@each_subject
def test_the_package_accepts_what_we_send(request: pytest.FixtureRequest, subject: Subject) -> None:
    (wire,) = captured(find(subject.dialect), KEYS[subject.dialect][:1])
    verdict = verdict_of(request, subject, wire)
    assert verdict.accepted, verdict


@each_subject
def test_the_package_accepts_refunds(request: pytest.FixtureRequest, subject: Subject) -> None:
    def refund(provider: Provider, payment: str) -> None:
        provider.refund(payment, 400)

    _, wire = captured(find(subject.dialect), KEYS[subject.dialect][:1], refund)
    verdict = verdict_of(request, subject, wire)
    assert verdict.accepted, verdict


@each_subject
def test_the_package_refuses_another_key(request: pytest.FixtureRequest, subject: Subject) -> None:
    (wire,) = captured(find(subject.dialect), KEYS[subject.dialect][:1])
    assert not verdict_of(request, subject, wire, KEYS[subject.dialect][1]).accepted


@each_subject
def test_the_package_refuses_a_changed_body(request: pytest.FixtureRequest, subject: Subject) -> None:
    (wire,) = captured(find(subject.dialect), KEYS[subject.dialect][:1])
    changed = wire.body.replace(b"1000", b"9000") if b"1000" in wire.body else wire.body.replace(b'"id"', b'"iD"')
    assert changed != wire.body
    assert not verdict_of(request, subject, Wire(wire.headers, changed, wire.url)).accepted


@each_forgery
def test_what_the_package_says_to_each_forgery(request: pytest.FixtureRequest, subject: Subject, forgery: str) -> None:
    dialect, (key, retired) = find(subject.dialect), KEYS[subject.dialect]
    verdict = verdict_of(request, subject, forged(dialect, (key,), forgery, retired=(retired,)))
    assert verdict.accepted == (forgery in subject.accepts), verdict


def test_adyen_s_package_accepts_each_item_of_a_batch(core: Official) -> None:
    """A batch with an unsigned item at its end it accepts as a whole, and that item alone it does not."""

    def second(provider: Provider, payment: str) -> None:
        provider.put_on(make("event-batch", {}))
        provider.refund(payment, 400)
        provider.refund(payment, 500)

    key = KEYS["adyen"][0]
    _, batch = captured(find("adyen"), (key,), second)
    assert core.ask("adyen_each", batch, key=key).found == [True, True]
    assert core.ask("adyen", forged(find("adyen"), (key,), "second-item-unsigned"), key=key).accepted
    alone = core.ask("adyen_each", forged(find("adyen"), (key,), "second-item-unsigned"), key=key)
    assert (alone.accepted, alone.raised) == (False, "KeyError"), "it falls over an item without a signature"


def test_wechat_pay_s_resource_is_opened_by_the_packages(core: Official, node: Official) -> None:
    key = KEYS["wechat-pay"][0]
    (wire,) = captured(find("wechat-pay"), (key,))
    receiver = find("wechat-pay").receiver_key(key)
    opened = core.ask("wechat_pay", wire, key=receiver, merchant="m").found["resource"]
    assert (opened["out_trade_no"], opened["amount"]["total"]) == ("tu_ü", 1000)
    assert node.ask("wechat_pay", wire, key=receiver).found == opened


def test_one_node_package_does_not_look_at_the_seal(node: Official) -> None:
    """`wechatpay-node-v3` never finishes the decryption, which is when the tag is compared: it reads what nobody wrote."""
    wire = forged(find("wechat-pay"), KEYS["wechat-pay"][:1], "flipped-ciphertext")
    receiver = find("wechat-pay").receiver_key(KEYS["wechat-pay"][0])
    assert not node.ask("wechat_pay", wire, key=receiver).accepted
    assert node.ask("wechat_pay_decrypts", wire, key=receiver).found["amount"]["total"] == 9000


def test_paddle_s_node_package_reads_the_last_of_several_signatures_only(core: Official, node: Official) -> None:
    new, old = KEYS["paddle"]
    (wire,) = captured(find("paddle"), (new, old))
    said = [(package.ask("paddle", wire, key=key).accepted) for package in (core, node) for key in (new, old)]
    assert said == [True, True, False, True]


def test_paypal_s_package_asks_for_the_certificate_wherever_it_is_told_to(paypal: Official) -> None:
    key = KEYS["paypal"][0]
    verdict = paypal.ask(
        "paypal", forged(find("paypal"), (key,), "own-certificate"), key=find("paypal").receiver_key(key)
    )
    assert not verdict.accepted
    assert verdict.found[0].startswith("https://mallory.invalid/")


def test_github_s_older_signature_passes_where_it_is_handed_over(core: Official, node: Official) -> None:
    """One verifier takes both kinds through one door: which header it is given is then the whole choice."""
    key = KEYS["github"][0]
    wire = forged(find("github"), (key,), "downgraded-algorithm")
    assert core.ask("github", wire, key=key, header="x-hub-signature").accepted
    assert not node.ask("github", wire, key=key, header="x-hub-signature").accepted
