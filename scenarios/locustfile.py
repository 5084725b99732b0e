"""Many payers at once, as Locust drives them: each opens an account, tops it up by card, and looks what became of it.

Run by `topup-chaos load` in a process of its own, because importing Locust patches sockets. It talks to the target as
`target.toml` says, and writes what its payers were told to a file: the clients' book, which the same invariants judge
afterwards. Locust's own statistics say how fast; they say nothing about money.
"""

import itertools
import json
import os
import time
from pathlib import Path
from random import Random
from typing import Any

from locust import FastHttpUser, constant_throughput, task

from harness.client import Answer, answer_of, asked, told_by
from harness.outcomes import Outcome
from harness.target import Operation, fill, keys_in, read

TARGET = read(Path(os.environ["TOPUP_CHAOS_TARGET"])).knowing(keys_in(os.environ))
RUN = os.environ["TOPUP_CHAOS_RUN"]
SEED = int(os.environ["TOPUP_CHAOS_SEED"])
BOOK = Path(os.environ["TOPUP_CHAOS_BOOK"]) / f"{os.getpid()}.jsonl"
ATTEMPTS, TIMEOUT_S = 6, 3.0

_book = BOOK.open("a", encoding="utf-8", buffering=1)
_numbers = itertools.count(1)


class Payer(FastHttpUser):
    """One customer with one account. At most two operations a second: people are not machines, but there are many."""

    wait_time = constant_throughput(2)
    connection_timeout = TIMEOUT_S
    network_timeout = TIMEOUT_S

    def on_start(self) -> None:
        number = f"{os.getpid()}-{next(_numbers)}"
        self.rng = Random(f"{SEED}-{number}")
        self.values: dict[str, Any] = {
            "run": RUN,
            "account": f"{RUN}-load-{number}",
            "customer": f"{RUN}-payer-{number}",
            "currency": "EUR",
        }
        self.count = 0
        self.top_ups: list[str] = []
        if TARGET.operations.open_account is not None:
            self.perform("open_account", f"open {number}", self.values)

    @task(3)
    def top_up(self) -> None:
        """Ask; where the answer does not come, ask again with the same key, as an honest client does."""
        self.count += 1
        key = f"{self.values['account']}-{self.count}"
        values = self.values | {"key": key, "amount_minor": self.rng.randrange(100, 100_000), "method": "card"}
        told = self.perform("top_up", key, values)
        if told.get("top_up"):
            self.top_ups.append(told["top_up"])

    @task(1)
    def status(self) -> None:
        if self.top_ups and TARGET.operations.status is not None:
            top_up = self.rng.choice(self.top_ups)
            self.perform("status", f"look {next(_numbers)}", self.values | {"top_up": top_up}, attempts=1)

    def perform(self, kind: str, id: str, values: dict[str, Any], attempts: int = ATTEMPTS) -> dict[str, Any]:
        operation = TARGET.operations.named(kind)
        assert operation is not None
        for attempt in range(1, attempts + 1):
            said: dict[str, Any] = {"operation": kind, "id": id, "attempt": attempt}
            write("invoked", **said, **asked(values))
            answer = self.ask(operation, kind, values)
            told, unexplained = told_by(TARGET, answer)
            if unexplained:
                write("book-unread", actor="harness", **unexplained)
            known = asked(values) | told
            outcome = answer.outcome.value
            write("answered", **said, outcome=outcome, status=answer.status, because=answer.because, **known)
            if answer.outcome is not Outcome.UNKNOWN or told.get("top_up"):
                return told
        return {}

    def ask(self, operation: Operation, kind: str, values: dict[str, Any]) -> Answer:
        method, _, path = operation.request.partition(" ")
        headers = {**TARGET.asked_by(), **fill(operation.headers, values)}
        body = fill(operation.json_body, values)
        request = self.client.request(
            method, fill(path, values), headers=headers, json=body, name=kind, catch_response=True
        )
        with request as response:
            if not response.status_code:
                return Answer(Outcome.UNKNOWN, None, f"no answer: {response.error}")
            answer = answer_of(operation, response.status_code, response.content or b"")
            if answer.outcome is Outcome.DONE:
                response.success()
            return answer


def write(kind: str, /, *, actor: str = "client", **facts: Any) -> None:
    _book.write(json.dumps({"at": time.time(), "actor": actor, "kind": kind, **facts}) + "\n")
