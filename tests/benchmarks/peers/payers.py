"""Locust's payers with status checks: what a load test of such a service looks like where somebody took care.

Each opens an account, tops it up by card, asks again under the same key, and waits for the words "Credit applied". An answer
that is not what it should be is a failure, and a failure makes Locust's exit code 1.
"""

import os
from uuid import uuid4

from locust import FastHttpUser, between, task

ASKED_AT_MOST = 50
ASKED = (201, 202)
"""Made, or not known yet."""


class Payer(FastHttpUser):
    wait_time = between(0.05, 0.2)
    connection_timeout = network_timeout = 5.0

    def on_start(self) -> None:
        self.account, self.who = (
            f"load-{uuid4().hex}",
            {
                "X-Customer": f"payer-{uuid4().hex}",
                "Authorization": os.environ["AUTHORIZATION"],
            },
        )
        self.expect("POST", "/v1/accounts", (201,), json={"account": self.account, "currency": "EUR"})

    def expect(
        self, method: str, path: str, status: tuple[int, ...], *, name: str = "", word: str = "", **more: object
    ) -> dict:
        headers = {**self.who, **more.pop("headers", {})}
        with self.rest(method, path, name=name or path, headers=headers, **more) as answer:
            told = answer.js or {}
            if answer.status_code not in status:
                answer.failure(f"{answer.status_code}, and not {' or '.join(map(str, status))}")
            elif word and told.get("status") != word:
                answer.failure(f"{told.get('status')} instead of {word}")
            else:
                answer.success()
            return told

    @task(5)
    def pays(self) -> None:
        key = {"Idempotency-Key": uuid4().hex}
        body = {"account": self.account, "amount_minor": 500, "currency": "EUR", "method": "card"}
        told = self.expect("POST", "/v1/top-ups", ASKED, json=body, headers=key, name="top up")
        for asked in range(ASKED_AT_MOST):
            last = "" if asked < ASKED_AT_MOST - 1 else "Credit applied"
            path = f"/v1/top-ups/{told.get('top_up')}"
            if self.expect("GET", path, (200,), name="status", word=last).get("status") == "Credit applied":
                break
        self.expect("POST", "/v1/top-ups", ASKED, json=body, headers=key, name="top up again")

    @task(1)
    def is_declined(self) -> None:
        body = {"account": self.account, "amount_minor": 500, "currency": "EUR", "method": "bad-card"}
        key = {"Idempotency-Key": uuid4().hex}
        self.expect("POST", "/v1/top-ups", (402,), json=body, headers=key, name="declined", word="Payment failed")

    @task(2)
    def looks(self) -> None:
        self.expect("GET", f"/v1/accounts/{self.account}/balance", (200,), name="balance")
