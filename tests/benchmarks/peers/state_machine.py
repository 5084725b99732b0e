"""A plain Hypothesis state machine over HTTP, as a careful engineer writes one beside a service: no faults, a model, assertions.

It knows what such an engineer knows: the API, the callback secret, and that a callback may come again. `SERVICE_URL`,
`AUTHORIZATION`, `CALLBACK_URL`, `CALLBACK_SECRET`, `SEED` and `SECONDS` come from the environment. Exits 1 when an assertion
fails, 0 when the time is up.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from uuid import uuid4

import httpx
from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.errors import FlakyStrategyDefinition, HypothesisException
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from hypothesis.strategies import integers, sampled_from
from standardwebhooks.webhooks import Webhook

WHO = {"Authorization": os.environ["AUTHORIZATION"]}
HTTP = httpx.Client(base_url=os.environ["SERVICE_URL"], headers=WHO, timeout=15, trust_env=False)
CALLBACK_URL, SECRET = os.environ["CALLBACK_URL"], os.environ["CALLBACK_SECRET"]
DEADLINE = time.monotonic() + float(os.environ["SECONDS"])
MINE = Random(int(os.environ["SEED"]))
SETTLES_S = 10.0
AMOUNTS = integers(100, 30_000_000)
FAILED: list[Exception] = []
"""What went wrong in a story. Hypothesis tells it again before it believes it, and has all the time for that."""


class TimeIsUp(BaseException):
    """Ends the search; no `Exception`, which Hypothesis would take for a failure."""


def until(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLES_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {SETTLES_S:g} s for: {what}"


class Wallet(RuleBasedStateMachine):
    """Accounts with what should be on them."""

    accounts: Bundle[str] = Bundle("accounts")
    paid: Bundle[dict] = Bundle("paid")

    def __init__(self) -> None:
        super().__init__()
        self.balances: dict[str, int] = {}
        self.owner: dict[str, dict[str, str]] = {}
        self.currency: dict[str, str] = {}

    def teardown(self) -> None:
        ended_by = sys.exception()
        if isinstance(ended_by, Exception) and not isinstance(ended_by, HypothesisException):
            FAILED.append(ended_by)

    @rule(target=accounts, currency=sampled_from(["EUR", "JPY", "KWD"]))
    def open_account(self, currency: str) -> str:
        if time.monotonic() > DEADLINE and not FAILED:
            raise TimeIsUp
        account, who = f"acc-{uuid4().hex}", {"X-Customer": f"cus-{uuid4().hex}"}
        answer = HTTP.post("/v1/accounts", json={"account": account, "currency": currency}, headers=who)
        assert answer.status_code == 201
        self.balances[account], self.owner[account], self.currency[account] = 0, who, currency
        return account

    def ask(self, account: str, amount: int, key: str, method: str = "card") -> httpx.Response:
        body = {"account": account, "amount_minor": amount, "currency": self.currency[account], "method": method}
        return HTTP.post("/v1/top-ups", json=body, headers=self.owner[account] | {"Idempotency-Key": key})

    @rule(target=paid, account=accounts, amount=AMOUNTS)
    def pay_by_card(self, account: str, amount: int) -> dict:
        """Credited once, after the callback; sent again under its key, it is the same top-up."""
        key = uuid4().hex
        answer = self.ask(account, amount, key)
        assert answer.status_code in (201, 202), answer.text
        top_up = answer.json()
        who = self.owner[account]
        assert top_up["status"] != "Credit applied" or self.balance(account) == self.balances[account] + amount
        until(
            "the credit",
            lambda: HTTP.get(f"/v1/top-ups/{top_up['top_up']}", headers=who).json()["status"] == "Credit applied",
        )
        self.balances[account] += amount
        again = self.ask(account, amount, key)
        assert again.status_code == answer.status_code
        assert again.json()["top_up"] == top_up["top_up"]
        assert self.ask(account, amount + 1, key).status_code == 422
        return HTTP.get(f"/v1/top-ups/{top_up['top_up']}", headers=who).json() | {"left": amount}

    @rule(account=accounts, other=accounts, amount=AMOUNTS)
    def two_customers_use_one_key(self, account: str, other: str, amount: int) -> None:
        """Each has a top-up of their own, which nobody pays."""
        key = uuid4().hex
        first, second = (self.ask(each, amount, key, "redirect") for each in (account, other))
        assert first.status_code in (201, 202)
        if account != other:
            assert second.status_code in (201, 202)
            assert first.json()["top_up"] != second.json()["top_up"]

    @rule(account=accounts, amount=AMOUNTS)
    def a_card_is_declined(self, account: str, amount: int) -> None:
        answer = self.ask(account, amount, uuid4().hex, "bad-card")
        assert answer.status_code in (402, 202)
        assert answer.json()["status"] in ("Payment failed", "Processing")

    @rule(top_up=paid, part=integers(1, 100))
    def refund(self, top_up: dict, part: int) -> None:
        amount = max(1, top_up["left"] * part // 100)
        if not top_up["left"]:
            return
        answer = HTTP.post(
            f"/v1/top-ups/{top_up['top_up']}/refunds",
            json={"amount_minor": amount},
            headers=self.owner[top_up["account"]] | {"Idempotency-Key": uuid4().hex},
        )
        assert answer.status_code in (201, 202), answer.text
        top_up["left"] -= amount
        self.balances[top_up["account"]] -= amount
        until("the refund", lambda: self.balance(top_up["account"]) <= self.balances[top_up["account"]])

    def callback(self, top_up: dict, secret: str, **more: object) -> httpx.Response:
        data = {
            "payment": top_up["payment"],
            "reference": top_up["top_up"],
            "amount_minor": top_up["amount_minor"],
            "currency": top_up["currency"],
            "account": top_up["account"],
            "merchant": os.environ["MERCHANT"],
            "environment": os.environ["ENVIRONMENT"],
        }
        body = json.dumps({"type": "payment.captured", "data": data | more})
        id, now = f"msg_{uuid4().hex}", datetime.now(UTC)
        headers = {"webhook-id": id, "webhook-timestamp": str(int(now.timestamp())), "Content-Type": "application/json"}
        if secret:
            headers["webhook-signature"] = Webhook(secret).sign(id, now, body)
        return HTTP.post(CALLBACK_URL, content=body, headers=headers)

    @rule(top_up=paid)
    def the_callback_comes_again(self, top_up: dict) -> None:
        """Under a new id, and rightly signed."""
        assert self.callback(top_up, SECRET).is_success

    @rule(top_up=paid)
    def somebody_forges(self, top_up: dict) -> None:
        """Without a signature, and with another key, about a payment that nobody made."""
        for secret in ("", "whsec_" + "A" * 32):
            assert self.callback(top_up, secret, payment=f"pay_{uuid4().hex}").status_code in (400, 401, 403)

    @rule(account=accounts)
    def reconcile(self, account: str) -> None:
        assert HTTP.post("/admin/reconcile").status_code == 200

    def balance(self, account: str) -> int:
        return HTTP.get(f"/v1/accounts/{account}/balance", headers=self.owner[account]).json()["balance_minor"]

    @invariant()
    def balances_are_what_was_paid(self) -> None:
        """And the sum of their entries."""
        for account, expected in self.balances.items():
            assert self.balance(account) == expected
            legs = HTTP.get(f"/v1/accounts/{account}/entries", headers=self.owner[account]).json()["entries"]
            assert sum(leg["amount_minor"] for leg in legs if leg["account"] == account) == expected


def main() -> None:
    chosen = settings(
        max_examples=1_000_000,
        stateful_step_count=12,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
    try:
        run_state_machine_as_test(seed(MINE.getrandbits(64))(Wallet), settings=chosen)
    except TimeIsUp:
        return
    except FlakyStrategyDefinition:
        if FAILED or time.monotonic() < DEADLINE:
            raise
        # the time was up in the middle of what had been drawn before, and to Hypothesis that is another story


if __name__ == "__main__":
    main()
