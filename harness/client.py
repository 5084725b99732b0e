"""The clients: they carry out operations on the target over the `edge` link and write down what they were told."""

import json
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from harness.history import Recorder
from harness.outcomes import Outcome, of_failure, of_status
from harness.target import Operation, Target, TargetError, facts, owed, request, rows
from harness.transport import Loopback

KEPT_S = 2.0
"""How long a connection to the books may rest: servers close one after some seconds, and who asks just then hears nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one attempt. `facts` are those that `target.toml` says are in the answer."""

    outcome: Outcome
    status: int | None
    because: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()


class Client:
    """Talks to one target, in plain HTTP.

    What it performs has a connection for each request: a kept one would hide what a new caller sees. What it asks for the
    books goes over connections that are kept, straight to *books_url*: who reads books is none of the service's clients, and
    what he asks is no part of the story.
    """

    def __init__(
        self, target: Target, base_url: str, recorder: Recorder, timeout_s: float, *, books_url: str | None = None
    ) -> None:
        self._target, self._base_url, self._recorder = target, base_url, recorder
        self._books_url = books_url or base_url
        self._timeout_s = timeout_s
        self._signed: dict[str, httpx.Request] = {}
        self._http, self._reader = (
            httpx.AsyncClient(transport=Loopback(kept_s), trust_env=False) for kept_s in (0.0, KEPT_S)
        )

    def with_patience(self, timeout_s: float) -> "Client":
        """The same client, that waits so long for an answer."""
        other = copy(self)
        other._timeout_s = timeout_s
        return other

    async def close(self) -> None:
        await self._http.aclose()
        await self._reader.aclose()

    async def perform(
        self, kind: str, id: str, attempt: int, values: Mapping[str, Any], principal: str = "default", **more: Any
    ) -> Answer:
        """Carry out one attempt, as that principal, and record it: `invoked` before, `answered` after."""
        operation = self._target.operations.named(kind)
        if operation is None:
            raise TargetError(f"{self._target.name} has no [operations.{kind}], and the plan asks for it")
        said = {"operation": kind, "id": id, "attempt": attempt, **more}
        if principal != "default":
            said["asked_by"] = principal
        self._recorder.record("client", "invoked", **said, **asked(values))
        asking = request(operation, self._base_url, values, self._target.asked_by(principal))
        if (signer := self._target.signer(principal)) is not None:
            signer.sign(asking, datetime.fromtimestamp(self._recorder.ago(0.0), UTC), f"{values['run']}-{id}-{attempt}")
            self._signed[id] = asking
        (answer,) = await self._send(self._http, asking, (operation,))
        told, unexplained = told_by(self._target, answer)
        if answer.outcome is Outcome.DONE:
            told |= owed(self._target, kind, {**values, **answer.facts}, principal)
        if unexplained:
            self._recorder.record("harness", "book-unread", **unexplained)
        self._recorder.record(
            "client",
            "answered",
            **said,
            outcome=answer.outcome.value,
            status=answer.status,
            because=answer.because,
            **(asked(values) | told),
        )
        return answer

    async def ask(self, operations: Sequence[Operation], values: Mapping[str, Any]) -> list[Answer]:
        """Carry out one attempt of what are one and the same request, unrecorded; what its answer means to each of them."""
        asking = request(operations[0], self._books_url, values, self._target.asked_by())
        return await self._send(self._reader, asking, operations)

    async def send_again(self, overheard: str, kind: str, id: str) -> None:
        """Send what was signed and sent last for the operation *overheard*, the same to the byte, and record what came of it."""
        operation, asking = self._target.operations.named(kind), self._signed.get(overheard)
        said = {"operation": "send_again", "id": id, "attempt": 1, "asked_by": "eavesdropper", "overheard": overheard}
        self._recorder.record("client", "invoked", **said)
        answer = Answer(Outcome.UNKNOWN, None, "nothing was signed and sent that could be overheard")
        if operation is not None and asking is not None:
            (answer,) = await self._send(self._http, asking, (operation,))
        outcome = answer.outcome.value
        self._recorder.record(
            "client", "answered", **said, outcome=outcome, status=answer.status, because=answer.because
        )

    async def _send(
        self, http: httpx.AsyncClient, asking: httpx.Request, operations: Sequence[Operation]
    ) -> list[Answer]:
        try:
            asking.extensions["timeout"] = httpx.Timeout(self._timeout_s).as_dict()
            answer = await http.send(asking)
        except httpx.HTTPError as error:
            outcome, because = of_failure(error)
            return [Answer(outcome, None, because) for _ in operations]
        return [answer_of(operation, answer.status_code, answer.content) for operation in operations]


def answer_of(operation: Operation, status: int, content: bytes) -> Answer:
    """What an answer that arrived means. Whatever the target answers, it is never an exception."""
    outcome, because = of_status(status)
    success = 200 <= status < 300
    try:
        body = read_figures(content) if operation.text == "prometheus" else json.loads(content) if content else {}
    except ValueError:
        if success:  # an error page may be anything; a success must be what was promised
            written = "Prometheus' text" if operation.text == "prometheus" else "JSON"
            return Answer(Outcome.UNKNOWN, status, f"the answer is not {written}, or ends too soon")
        return Answer(outcome, status, because)
    if operation.list_at and success:
        try:
            return Answer(outcome, status, because, rows=tuple(rows(operation, body)))
        except TargetError as error:
            return Answer(Outcome.UNKNOWN, status, str(error))
    return Answer(outcome, status, because, facts(operation, body))


def read_figures(content: bytes) -> dict[str, float]:
    """The value of each series in Prometheus' text, by its name and labels. Raises `ValueError` for anything else."""
    from prometheus_client.parser import text_string_to_metric_families  # seldom needed, and slow to load

    return {
        sample.name + _labels(sample.labels): sample.value
        for family in text_string_to_metric_families(content.decode("utf-8"))
        for sample in family.samples
    }


def _labels(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in sorted(labels.items())) + "}" if labels else ""


def told_by(target: Target, answer: Answer) -> tuple[dict[str, Any], dict[str, str]]:
    """The facts of an answer, its status word as the target explains it; and what to say of a word that it does not."""
    told = dict(answer.facts)
    word = told.pop("word", None)
    if word in target.words:
        return told | {"word": target.words[word]}, {}
    if word is None or not target.words:
        return told, {}
    because = f"{word!r} is not in the target's [words]: say there what it means"
    return told, {"book": f"the word {word!r}", "because": because}


def asked(values: Mapping[str, Any]) -> dict[str, Any]:
    """What of an operation's values the history keeps."""
    wanted = ("account", "customer", "amount_minor", "currency", "key", "method", "top_up", "payment", "by", "finding")
    return {name: values[name] for name in wanted if values.get(name)}
