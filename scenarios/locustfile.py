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

from harness.outcomes import Outcome, of_status
from harness.target import Operation, facts, fill, read

TARGET = read(Path(os.environ["TOPUP_CHAOS_TARGET"]))
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
            said = {"operation": kind, "id": id, "attempt": attempt}
            write("invoked", **said, **asked(values))
            outcome, status, because, told = self.ask(operation, kind, values)
            said_word = told.pop("word", None)
            word = {"word": TARGET.words[said_word]} if said_word in TARGET.words else {}
            known = asked(values) | told | word
            write("answered", **said, outcome=outcome.value, status=status, because=because, **known)
            if outcome is not Outcome.UNKNOWN or told.get("top_up"):
                return told
        return {}

    def ask(
        self, operation: Operation, kind: str, values: dict[str, Any]
    ) -> tuple[Outcome, int | None, str, dict[str, Any]]:
        method, _, path = operation.request.partition(" ")
        headers = fill(operation.headers, values)
        body = fill(operation.json_body, values)
        request = self.client.request(
            method, fill(path, values), headers=headers, json=body, name=kind, catch_response=True
        )
        with request as answer:
            if not answer.status_code:
                return Outcome.UNKNOWN, None, f"no answer: {answer.error}", {}
            outcome, because = of_status(answer.status_code)
            if outcome is Outcome.DONE:
                answer.success()
            told = facts(operation, answer.json()) if answer.status_code < 400 and answer.text else {}
            return outcome, answer.status_code, because, told


def asked(values: dict[str, Any]) -> dict[str, Any]:
    wanted = ("account", "customer", "amount_minor", "currency", "key", "method", "top_up")
    return {name: values[name] for name in wanted if values.get(name)}


def write(kind: str, **facts: Any) -> None:
    _book.write(json.dumps({"at": time.time(), "actor": "client", "kind": kind, **facts}) + "\n")
