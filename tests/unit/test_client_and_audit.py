"""What the clients write down of every answer that there is, and what the auditor does with books that do not open."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import quote

import pytest

from harness.audit import ATTEMPTS, Account, Auditor
from harness.client import Answer, Client, answer_of
from harness.history import Event, History, Recorder
from harness.outcomes import Outcome
from harness.stack import Stack
from harness.stacks.ports import LOOPBACK, free_port
from harness.target import Operation, Target, TargetError

PATIENCE_S = 0.3
OPERATIONS: dict[str, Any] = {
    "top_up": {
        "request": "POST /top-ups",
        "headers": {"Idempotency-Key": "{key}"},
        "json": {"amount_minor": "{amount_minor}"},
        "answer": {"top_up": "id", "state": "state", "word": "status"},
    },
    "balance": {"request": "GET /balances/{account}", "answer": {"balance_minor": "balance", "currency": "currency"}},
}
ENTRIES = {
    "request": "GET /entries/{account}",
    "list": "entries",
    "answer": {"account": "account", "entry": "id", "amount_minor": "cents", "currency": "currency"},
}
ANNS = Account("a1", "r1-a1", "ann", "EUR")

Reply = Callable[[asyncio.StreamWriter], Awaitable[None]]


def run(story: Coroutine[Any, Any, None]) -> None:
    async def guarded() -> None:
        async with asyncio.timeout(20):
            await story

    asyncio.run(guarded())


def target(**operations: Any) -> Target:
    described = {
        "name": "till",
        "environment": "test",
        "start": {"command": ["true"]},
        "callbacks": {"path": "/"},
        "operations": OPERATIONS | operations,
        "words": {"Credit applied": "credited", "declined": "failed"},
    }
    return Target.model_validate(described)


def says(status: int, body: Any, more: str = "", cut: int = 0) -> Reply:
    """An answer; with *cut*, so many bytes of it are missing at the end."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\n{more}\r\n".encode()

    async def reply(writer: asyncio.StreamWriter) -> None:
        writer.write((head + content)[: -cut or None])
        await writer.drain()
        writer.close()

    return reply


async def silence(writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def hangs_up(writer: asyncio.StreamWriter) -> None:
    writer.close()


async def resets(writer: asyncio.StreamWriter) -> None:
    end = writer.get_extra_info("socket")
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


@dataclass
class Till:
    """A service whose every answer is given; it counts what it is asked."""

    replies: Mapping[str, Reply]
    asked: list[str] = field(default_factory=list)
    url: str = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split()[1].decode()
            self.asked.append(path)
            reply = next(reply for start, reply in self.replies.items() if path.startswith(start))
            await reply(writer)
            await writer.wait_closed()
        writer.transport.abort()


@asynccontextmanager
async def till(**replies: Reply) -> AsyncIterator[Till]:
    service = Till({f"/{path.replace('_', '-')}": reply for path, reply in replies.items()})
    handlers: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        handlers.add(task)
        await service.handle(reader, writer)

    server = await asyncio.start_server(handle, LOOPBACK, 0)
    host, port = server.sockets[0].getsockname()[:2]
    service.url = f"http://{host}:{port}"
    try:
        yield service
    finally:
        server.close()
        for handler in handlers:
            handler.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)


def recorder() -> Recorder:
    ticks = count(1)
    return Recorder(lambda: float(next(ticks)))


@asynccontextmanager
async def client_of(url: str, record: Recorder, of: Target | None = None) -> AsyncIterator[Client]:
    client = Client(of or target(), url, record, PATIENCE_S)
    try:
        yield client
    finally:
        await client.close()


WANTED = {"account": "r1-a1", "amount_minor": 500, "currency": "EUR", "key": "k1", "method": "card"}


async def top_up(url: str) -> tuple[Answer, History]:
    record = recorder()
    async with client_of(url, record) as client:
        answer = await client.perform("top_up", "t1", 1, WANTED)
    return answer, record.history()


@pytest.mark.parametrize(
    ("reply", "outcome", "status", "because"),
    [
        (says(201, {"id": "tu_1"}), "done", 201, "201"),
        (says(202, {"id": "tu_1"}), "unknown", 202, "not yet decided"),
        (says(402, {"id": "tu_1", "status": "declined"}), "not-done", 402, "refused with 402"),
        (says(408, {}), "unknown", 408, "may have been carried out"),
        (says(409, {}), "unknown", 409, "another attempt"),
        (says(307, b"", "Location: /elsewhere\r\n"), "unknown", 307, "307"),
        (says(500, b"<h1>oops</h1>"), "unknown", 500, "500 may come after the deed"),
        (says(422, b"no JSON here"), "not-done", 422, "refused with 422"),
        (says(201, b"{'id': tu_1"), "unknown", 201, "not JSON"),
        (says(201, b"\xff\xfe\xfa"), "unknown", 201, "not JSON"),
        (says(201, {"id": "tu_1"}, cut=4), "unknown", None, "the connection broke"),
        (says(200, b"not gzip", "Content-Encoding: gzip\r\n"), "unknown", None, ""),
        (silence, "unknown", None, "no answer in time"),
        (hangs_up, "unknown", None, "the connection broke"),
        (resets, "unknown", None, "the connection broke"),
    ],
)
def test_every_answer_is_written_down_for_what_it_means(
    reply: Reply, outcome: str, status: int | None, because: str
) -> None:
    """What is not definite is never called so; what was asked stands beside what was told."""

    async def story() -> None:
        async with till(top_ups=reply) as service:
            answer, history = await top_up(service.url)
        invoked, answered = history
        assert (invoked.kind, answered.kind, service.asked) == ("invoked", "answered", ["/top-ups"])
        assert {name: invoked[name] for name in WANTED} == WANTED
        assert (invoked["operation"], invoked["id"], invoked["attempt"]) == ("top_up", "t1", 1)
        assert (answered["outcome"], answered["status"]) == (outcome, status)
        assert because in answered["because"]
        assert answered["key"] == "k1"
        assert answer.outcome.value == outcome

    run(story())


def test_a_refused_connection_is_not_done() -> None:
    """Nothing was sent, so nothing can have been carried out."""

    async def story() -> None:
        answer, _ = await top_up(f"http://{LOOPBACK}:{free_port()}")
        assert (answer.outcome, answer.status) == (Outcome.NOT_DONE, None)

    run(story())


def test_facts_are_read_and_words_translated() -> None:
    """Also out of a refusal with a body. A word that the target does not explain is no word: it says so, and where to."""

    async def story() -> None:
        async with till(top_ups=says(201, {"id": "tu_1", "state": "Credited", "status": "Credit applied"})) as service:
            _, (_, answered) = await top_up(service.url)
        assert (answered["top_up"], answered["state"], answered["word"]) == ("tu_1", "Credited", "credited")
        async with till(top_ups=says(402, {"id": "tu_2", "status": "Nope"})) as service:
            answer, (_, unread, answered) = await top_up(service.url)
        assert (answered["top_up"], answered.get("word"), answer.facts["top_up"]) == ("tu_2", None, "tu_2")
        assert (unread.kind, unread["book"]) == ("book-unread", "the word 'Nope'")
        assert "[words]" in unread["because"]
        async with till(top_ups=says(201, ["no", "object"])) as service:
            answer, _ = await top_up(service.url)
        assert (answer.outcome, dict(answer.facts)) == (Outcome.DONE, {})

    run(story())


def test_figures_are_read_by_their_series() -> None:
    """Labels in the order of their names; what is no such text is an answer that nobody can read."""
    series = 'seen_total{a="1",b="2"}'
    operation = Operation(request="GET /metrics", text="prometheus", answer={"duplicates": series, "up": "up"})
    read = answer_of(operation, 200, b'# TYPE seen_total counter\nseen_total{b="2",a="1"} 3.0\nup 1\n')
    assert (read.outcome, read.facts) == (Outcome.DONE, {"duplicates": 3.0, "up": 1.0})
    for nonsense in (b"seen_total three", b"\xff"):
        assert answer_of(operation, 200, nonsense).outcome is Outcome.UNKNOWN


def test_an_operation_that_the_target_has_not_is_refused_before_it_is_recorded() -> None:
    async def story() -> None:
        record = recorder()
        async with client_of("http://127.0.0.1:1", record) as client:
            with pytest.raises(TargetError, match=r"till has no \[operations.reconcile\]"):
                await client.perform("reconcile", "r1", 1, {})
        assert not record.history()

    run(story())


# The auditor


def test_each_client_waits_as_long_as_it_is_patient() -> None:
    """An answer that takes longer is no answer to the one, and an answer to the other."""

    async def story() -> None:
        async def late(writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.15)
            await says(200, {"balance": 1})(writer)

        async with till(balances=late) as service:
            client = Client(target(), service.url, recorder(), 5.0)
            values = {"account": "r1-a1"}
            assert (await client.with_patience(0.05).perform("balance", "b", 1, values)).outcome is Outcome.UNKNOWN
            assert (await client.perform("balance", "b", 2, values)).outcome is Outcome.DONE
            await client.close()

    run(story())


@dataclass
class Journal:
    """The provider's book, as far as an auditor reads it."""

    events: list[Event] = field(default_factory=list)
    heard: int = 0

    async def journal(self, after: int) -> tuple[list[Event], int]:
        return self.events[after:], len(self.events)


@dataclass
class Bench:
    """An auditor with a service of a few lines, a provider's journal, and logs."""

    auditor: Auditor
    record: Recorder
    journal: Journal
    logs: dict[str, list[str]]

    def kinds(self, kind: str) -> list[Event]:
        return list(self.record.history().of(kind))


@asynccontextmanager
async def bench(of: Target, url: str) -> AsyncIterator[Bench]:
    record, journal, logs = recorder(), Journal(), dict[str, list[str]]()

    def log_lines() -> dict[str, list[str]]:
        taken = dict(logs)
        logs.clear()
        return taken

    secrets = {"api key": "chaos-key-77"}
    stack = SimpleNamespace(
        target=of, provider=journal, secrets=secrets, log_lines=log_lines, named={"tu_of_an_earlier_plan"}
    )
    async with client_of(url, record, of) as client:
        yield Bench(Auditor(cast(Stack, stack), client, record), record, journal, logs)


def paid(payment: str, amount_minor: int) -> Event:
    facts = {"reference": payment.replace("pay", "tu"), "account": ANNS.account, "currency": "EUR", "state": "captured"}
    amounts = {"amount_minor": amount_minor, "captured_minor": amount_minor}
    return Event(at=0.5, actor="provider", kind="payment", facts={"payment": payment} | facts | amounts)


def test_a_payment_of_an_earlier_plan_is_not_of_this_run() -> None:
    """A service that made it only now left it over; here it would look lost, since its account is not this plan's."""

    async def story() -> None:
        async with till() as service, bench(target(), service.url) as desk:
            desk.journal.events = [paid("pay_1", 100), paid("pay_of_an_earlier_plan", 200), paid("pay_2", 300)]
            told = Event(at=0.6, actor="provider", kind="delivery", facts={"payment": "pay_of_an_earlier_plan"})
            desk.journal.events.append(told)
            await desk.auditor.provider()
            assert [event["payment"] for event in desk.kinds("payment")] == ["pay_1", "pay_2"]
            assert [event["payment"] for event in desk.kinds("left-over")] == ["pay_of_an_earlier_plan"]
            assert not desk.kinds("delivery")

    run(story())


@pytest.mark.parametrize(
    "reply",
    [
        says(500, {}),
        hangs_up,
        says(200, b"<html>"),
        says(200, {}),
        says(200, {"balance": "much"}),
        says(200, {"balance": None}),
    ],
    ids=["500", "hangs up", "no JSON", "no balance", "no number", "null"],
)
def test_a_book_that_cannot_be_read_is_said_so(reply: Reply) -> None:
    """After a bounded number of attempts, by name and with the reason; the audit of the others goes on."""

    async def story() -> None:
        async with till(balances=reply) as service, bench(target(), service.url) as desk:
            await desk.auditor.accounts("final", [ANNS])
            (unread,) = desk.kinds("book-unread")
            assert unread["book"] == "service balance r1-a1"
            assert unread["because"]
            assert len(service.asked) <= ATTEMPTS
            assert not desk.kinds("entry")

    run(story())


@pytest.mark.parametrize("body", [{}, {"entries": None}, {"entries": [{"id": "e1"}]}, {"entries": ["e1"]}])
def test_a_ledger_of_another_shape_is_an_unread_book(body: Any) -> None:
    """A service may answer anything: that is the history's, and never an exception."""

    async def story() -> None:
        of = target(entries=ENTRIES)
        replies = {"balances": says(200, {"balance": 0}), "entries": says(200, body)}
        async with till(**replies) as service, bench(of, service.url) as desk:
            await desk.auditor.accounts("final", [ANNS])
            (unread,) = desk.kinds("book-unread")
            assert unread["book"] == "service entries r1-a1"

    run(story())


@pytest.mark.parametrize(
    ("balance", "credited"),
    [
        (0, []),
        (100, [("pay_1", 100)]),
        (550, [("pay_1", 100), ("pay_2", 450)]),
        (650, [("pay_1", 100), ("pay_1", 100), ("pay_2", 450)]),
        (777, [(None, 777)]),
    ],
)
def test_credits_are_inferred_from_a_bare_balance(balance: int, credited: list[tuple[str | None, int]]) -> None:
    """Where the target lists no entries: exact, doubled, and what no sum of payments explains."""

    async def story() -> None:
        async with till(balances=says(200, {"balance": balance})) as service, bench(target(), service.url) as desk:
            desk.journal.events += [paid("pay_1", 100), paid("pay_2", 450)]
            await desk.auditor.provider()
            await desk.auditor.accounts("final", [ANNS])
            entries = desk.kinds("entry")
            found = [(entry["payment"], entry["amount_minor"]) for entry in entries]
            assert sorted(found, key=str) == sorted(credited, key=str)
            assert all(entry["own"] and entry["inferred"] and entry["currency"] == "EUR" for entry in entries)

    run(story())


def went_back(reversal: str, news: str, amount_minor: int) -> Event:
    facts = {"reversal": reversal, "payment": "pay_2", "reference": "tu_2", "news": news, "key": ""}
    money = {"account": ANNS.account, "currency": "EUR", "amount_minor": amount_minor}
    return Event(at=0.6, actor="provider", kind="reversal", facts=facts | money)


@pytest.mark.parametrize(
    ("balance", "reversed_"),
    [
        (450, [("re_1", -100)]),
        (550, []),
        (350, [("re_1", -100), ("re_1", -100)]),
        (123, [(None, 123)]),
    ],
)
def test_what_went_back_is_inferred_from_a_bare_balance(balance: int, reversed_: list[tuple[str | None, int]]) -> None:
    """A part: there, forgotten, twice, and what nothing explains. A dispute that was won leaves no trace, and is believed."""

    async def story() -> None:
        async with till(balances=says(200, {"balance": balance})) as service, bench(target(), service.url) as desk:
            desk.journal.events += [paid("pay_2", 550), went_back("re_1", "refunded", 100)]
            desk.journal.events += [went_back("dp_1", "opened", 450), went_back("dp_1", "won", 450)]
            await desk.auditor.provider()
            await desk.auditor.accounts("final", [ANNS])
            entries = desk.kinds("entry")
            assert sum(entry["amount_minor"] for entry in entries) == balance
            found = [(entry.get("reversal"), entry["amount_minor"]) for entry in entries]
            explained = [] if balance == 123 else [(None, 550), ("dp_1", -450), ("dp_1", 450)]
            assert sorted(found, key=str) == sorted([*reversed_, *explained], key=str)

    run(story())


def test_entries_are_read_where_there_are_some_and_strangers_marked() -> None:
    amount = {"cents": 5, "currency": "EUR"}
    rows = [{"id": "e1", "account": ANNS.account, **amount}, {"id": "e2", "account": "somebody", **amount}]

    async def story() -> None:
        replies = {"balances": says(200, {"balance": 5}), "entries": says(200, {"entries": rows})}
        async with till(**replies) as service, bench(target(entries=ENTRIES), service.url) as desk:
            await desk.auditor.accounts("final", [ANNS])
            assert [(entry["entry"], entry["own"]) for entry in desk.kinds("entry")] == [("e1", True), ("e2", False)]
            assert not desk.kinds("book-unread")

    run(story())


def test_what_is_one_request_is_asked_once() -> None:
    """And each operation reads its own part of the answer; one that asks otherwise is asked by itself."""
    one = {"request": "GET /statements/{account}"}
    amiss = {"list": "amiss", "answer": {"payment": "payment"}}
    operations = {
        "statement": one | {"answer": {"balance_minor": "balance"}},
        "entries": ENTRIES | one,
        "discrepancies": one | amiss,
    }
    row = {"id": "e1", "account": ANNS.account, "cents": 5, "currency": "EUR"}
    body = {"balance": 5, "entries": [row], "amiss": [{"payment": "pay_1"}]}

    async def story() -> None:
        async with till(statements=says(200, body)) as service:
            async with bench(target(**operations), service.url) as desk:
                await desk.auditor.accounts("final", [ANNS])
                assert [balance["balance_minor"] for balance in desk.kinds("balance")] == [5]
                assert [entry["entry"] for entry in desk.kinds("entry")] == ["e1"]
                assert [found["payment"] for found in desk.kinds("discrepancy")] == ["pay_1"]
                assert service.asked == [f"/statements/{ANNS.account}"]
            operations["entries"] = operations["entries"] | {"query": {"all": "yes"}}
            async with bench(target(**operations), service.url) as desk:
                await desk.auditor.accounts("final", [ANNS])
                assert len(service.asked) == 3

    run(story())


def test_one_part_of_an_answer_that_cannot_be_read_is_one_book_unread() -> None:
    one = {"request": "GET /statements/{account}"}
    operations = {"statement": one | {"answer": {"balance_minor": "balance"}}, "entries": ENTRIES | one}

    async def story() -> None:
        replies = {"statements": says(200, {"balance": 5})}
        async with till(**replies) as service, bench(target(**operations), service.url) as desk:
            await desk.auditor.accounts("final", [ANNS])
            assert [balance["balance_minor"] for balance in desk.kinds("balance")] == [5]
            assert [unread["book"] for unread in desk.kinds("book-unread")] == [f"service entries {ANNS.account}"]

    run(story())


def test_secrets_and_signatures_are_found_in_logs() -> None:
    """By name and by line, and never repeated: a history is shown to people."""
    signature = "bm90IGEgc2VjcmV0IGJ1dCBsb25n+/=="
    delivery = {"delivery": "d1", "payment": "pay_1", "signature": f"short {signature}"}

    async def story() -> None:
        async with bench(target(), "http://127.0.0.1:1") as desk:
            desk.journal.events.append(Event(at=0.5, actor="provider", kind="delivery", facts=delivery))
            await desk.auditor.provider()
            lines = [
                "all is well",
                "calling with chaos-key-77",
                f"got {signature}",
                "v1,short",
                f"sign={quote(signature, safe='')}",
            ]
            desk.logs["service"], desk.logs["provider"] = lines, ["nothing"]
            desk.auditor.logs()
            found = [(event["node"], event["line"], event["secret"]) for event in desk.kinds("secret-in-log")]
            assert found == [
                ("service", 2, "api key"),
                ("service", 3, "signature of d1"),
                ("service", 5, "signature of d1, encoded"),
            ]
            scanned = {event["node"]: event["lines"] for event in desk.kinds("log-scanned")}
            assert scanned == {"service": 5, "provider": 1}
            assert "chaos-key-77" not in "".join(event.to_json() for event in desk.record.history())

    run(story())


def test_what_was_written_before_the_run_is_not_of_it() -> None:
    """Neither in the journal nor in the logs."""

    async def story() -> None:
        async with bench(target(), "http://127.0.0.1:1") as desk:
            desk.journal.events.append(paid("pay_0", 1))
            desk.logs["service"] = ["chaos-key-77"]
            await desk.auditor.begin()
            desk.journal.events.append(paid("pay_1", 2))
            await desk.auditor.provider()
            desk.auditor.logs()
            assert [event["payment"] for event in desk.kinds("payment")] == ["pay_1"]
            assert not desk.kinds("secret-in-log")

    run(story())
