"""`topup-chaos fuzz` against receivers that none of us wrote: each verifies as its provider's package does, and believes it.

Such a receiver catches what the package's documentation says that it raises, and answers 400 to that; what else it raises is a 500,
as in any framework. It keeps no books, so it is judged by its answers alone. What is found is no fault of a package's:
it is what somebody who uses it has to look at himself.
"""

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from official_packages import Official

from fake_provider.dialects import Wire, find
from harness import cli
from tests.unit.receivers import receiving

pytestmark = [pytest.mark.contract, pytest.mark.timeout(300)]

ATTACKS = ("doors", "generated/signature")
NOT_ASKED = "deeply-nested"
"""A forgery that the process which answers for the packages cannot tell of: its own line of JSON would be as deep."""
OK, REFUSED = (200, b"success"), (400, b"refused")
OWN = find("alipay").draw_key(Random(9))

Found = Mapping[str, str]
"""By the name of a rule, how it was broken."""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One endpoint: the package that verifies, what that documents as its refusal, and what is found. `needs` is a header that
    its documentation has looked for first.
    """

    dialect: str
    environment: str
    raises: frozenset[str]
    found: Found
    refusal: tuple[int, bytes] = REFUSED
    needs: str = ""

    @property
    def name(self) -> str:
        return f"{self.dialect}-{self.environment}"


def found(acknowledged: str, crashed: str) -> Found:
    """Names behind `forged/` where nothing else is said."""
    kinds = {"acknowledged": acknowledged, "crashed": crashed}
    return {name if "/" in name else f"forged/{name}": kind for kind, names in kinds.items() for name in names.split()}


UNBOUNDED = "future-timestamp millisecond-timestamp"
NO_BASE64 = "doors/signature-of-nothing doors/signature-like-a-number"
STRANGE_SERIAL = (
    "doors/said-to-be-local doors/switches-in-headers doors/switches-in-the-query doors/key-in-a-header "
    f"doors/signature-true doors/headers-twice {NO_BASE64}"
)

RECEIVERS = [
    Receiver(
        "stripe",
        "core",
        frozenset({"ValueError", "UnicodeDecodeError", "JSONDecodeError", "SignatureVerificationError"}),
        found(f"{UNBOUNDED} malleable-timestamp", "generated/signature"),
    ),
    Receiver(
        "stripe",
        "node",
        frozenset({"StripeSignatureVerificationError"}),
        found(
            f"{UNBOUNDED} malleable-timestamp timestamp-no-number",
            "malformed-signature generated/signature",
        ),
    ),
    Receiver(
        "standard-webhooks",
        "core",
        frozenset({"WebhookVerificationError"}),
        found("malleable-timestamp", f"malformed-signature not-utf-8 generated/signature {NO_BASE64}"),
    ),
    Receiver(
        "alipay",
        "alipay",
        frozenset(),
        found(
            "stale-timestamp future-timestamp missing-sign-type resplit-fields",
            f"unsigned empty-key downgraded-algorithm cross-provider generated/signature {NO_BASE64}",
        ),
        (200, b"fail"),
    ),
    Receiver(
        "alipay",
        "node",
        frozenset(),
        found("stale-timestamp future-timestamp missing-sign-type resplit-fields downgraded-algorithm", "empty-key"),
        (200, b"fail"),
    ),
    Receiver(
        "adyen",
        "core",
        frozenset(),
        found("second-item-unsigned resplit-fields", "unsigned malformed-signature not-utf-8"),
    ),
    Receiver("square", "core", frozenset(), found("", "unsigned downgraded-algorithm cross-provider not-utf-8")),
    Receiver(
        "paddle",
        "core",
        frozenset(),
        found("malleable-timestamp", "malformed-signature not-utf-8 timestamp-no-number generated/signature"),
    ),
    Receiver(
        "github",
        "core",
        frozenset({"ValidationFailure"}),
        found("", "malformed-signature generated/signature"),
        needs="x-hub-signature-256",
    ),
    Receiver(
        "wechat-pay",
        "core",
        frozenset(),
        found(
            f"{UNBOUNDED} stale-timestamp",
            f"wrong-key other-tenant-key downgraded-algorithm cross-provider not-utf-8 {STRANGE_SERIAL}",
        ),
    ),
]


def judged(receiver: Receiver, official: Official, key: str, url: Callable[[], str]) -> Any:
    """The endpoint's one function: ask the package, answer as its documentation shows."""
    one_at_a_time = threading.Lock()
    dialect = find(receiver.dialect)
    given = {"key": dialect.receiver_key(key), "merchant": "chaos-merchant", "own_key": OWN}

    def judge(headers: list[tuple[bytes, bytes]], body: bytes) -> tuple[int, bytes]:
        wire = Wire(tuple((name.decode("latin-1"), value) for name, value in headers), body, url())
        if receiver.needs and wire.header(receiver.needs) is None:
            return receiver.refusal
        with one_at_a_time:
            verdict = official.ask(receiver.dialect.replace("-", "_"), wire, **given)
        if verdict.raised is not None and verdict.raised not in receiver.raises:
            return 500, b"internal server error"
        return OK if verdict.accepted else receiver.refusal

    return judge


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda each: each.name)
def test_what_a_receiver_that_believes_its_package_lets_through(
    receiver: Receiver, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Exactly this is found, by the command that a reviewer types."""
    fixture = {"alipay": "alipay_python"}.get(receiver.environment, receiver.environment)
    official: Official = request.getfixturevalue(fixture)
    key = find(receiver.dialect).draw_key(Random("the receiver's own"))
    monkeypatch.setenv("KEY_OF_THE_TEST", key)
    monkeypatch.chdir(tmp_path)
    forgeries = [f"forged/{name}" for name in find(receiver.dialect).forgeries if name != NOT_ASKED]
    attacks = (*forgeries, *ATTACKS)
    at = ["http://127.0.0.1:1/"]
    judge = judged(receiver, official, key, lambda: at[-1])
    judge([], b"{}")  # a package that is loaded by the first callback would be too slow for it
    with receiving(judge) as url:
        at.append(url)
        words = [url, "--dialect", receiver.dialect, "--secret-env", "KEY_OF_THE_TEST", "--generated", "100"]
        words += ["--status-only", "--seed", "1", *(word for each in attacks for word in ("--attack", each))]
        monkeypatch.setattr("sys.argv", ["topup-chaos", "fuzz", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()

    (sarif,) = tmp_path.glob("reports/runs/*-fuzz/findings.sarif")
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    kinds = {each["ruleId"]: each["properties"]["kind"] for each in results}
    assert {
        rule: kind for rule, kind in kinds.items() if kind != "slow"
    } == receiver.found  # how fast is this machine's
    assert end.value.code == (1 if receiver.found else 0)
