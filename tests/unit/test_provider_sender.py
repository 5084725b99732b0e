"""What the sender puts on the wire, and what it makes of everything that a receiver can do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from provider_world import TIMEOUT_S, Receiver, run, until, world

from fake_provider.dialects import Answer, Wire
from fake_provider.manner import PLAIN, Manner
from fake_provider.sender import Address, LoopbackSender

WIRE = Wire((("content-type", b"application/json"), ("webhook-id", b"msg_1")), b'{"a": 1}')


async def post(port: int, copies: int = 1, wire: Wire = WIRE, manner: Manner = PLAIN) -> dict[int, Answer]:
    answers: dict[int, Answer] = {}
    sender = LoopbackSender(Address.of(f"http://127.0.0.1:{port}/x?y=1"), TIMEOUT_S)
    await sender.send(wire, copies, answers.__setitem__, manner)
    return answers


@asynccontextmanager
async def served(receiver: Receiver) -> AsyncIterator[int]:
    """The receiver on a port, until all its connections are over."""
    server = await asyncio.start_server(receiver, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await server.wait_closed()
        await until(lambda: not getattr(receiver, "open", 0))


async def post_to(receiver: Receiver, copies: int = 1, wire: Wire = WIRE, manner: Manner = PLAIN) -> dict[int, Answer]:
    async with served(receiver) as port:
        return await post(port, copies, wire, manner)


def test_an_answer_is_its_status_and_its_body():
    answers = run(post_to(Receiver([201], body=b"success")))
    assert (answers[0].status, answers[0].because, answers[0].body) == (201, "201", b"success")
    assert 0 < answers[0].took_s < TIMEOUT_S


@pytest.mark.parametrize(
    ("does", "because"),
    [
        ("hang", "timed out after 0.2 s"),
        ("reset", "connection reset"),
        ("close", "connection closed before the answer"),
        ("garbage", "not an HTTP answer"),
    ],
)
def test_what_a_receiver_does_instead_is_an_answer_that_never_came(does, because):
    answers = run(post_to(Receiver([does])))
    assert answers[0].status is None
    assert answers[0].because.startswith(because)


def test_a_refused_connection_is_an_answer_that_never_came():
    async def story():
        server = await asyncio.start_server(Receiver(), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return await post(port)

    assert run(story())[0].because == "connection refused"


def test_one_connection_for_each_attempt():
    receiver = Receiver()
    run(post_to(receiver))
    assert receiver.arrivals[0].headers["connection"] == b"close"
    assert receiver.arrivals[0].body == WIRE.body


def test_a_connection_is_kept_where_that_is_asked_for():
    async def story():
        receiver = Receiver(keeps=True)
        async with served(receiver) as port:
            sender = LoopbackSender(Address.of(f"http://127.0.0.1:{port}/"), TIMEOUT_S, keep=True)
            heard: list[Answer] = []
            for _ in range(3):
                await sender.send(WIRE, 1, lambda _, answer: heard.append(answer))
            await sender.send(WIRE, 2, lambda _, answer: heard.append(answer))
            assert [answer.status for answer in heard] == [204] * 5
            assert (len(receiver.arrivals), receiver.connections) == (5, 3), "copies have connections of their own"
            assert "connection" not in receiver.arrivals[0].headers
            sender.close()

    run(story())


def test_a_kept_connection_that_was_closed_meanwhile_is_not_used():
    async def story():
        receiver = Receiver(keeps=True)
        async with served(receiver) as port:
            sender = LoopbackSender(Address.of(f"http://127.0.0.1:{port}/"), TIMEOUT_S, keep=True)
            heard: list[Answer] = []
            await sender.send(WIRE, 1, lambda _, answer: heard.append(answer))
            receiver.hang_up()
            await until(lambda: not sender._kept[0].is_idle)
            await sender.send(WIRE, 1, lambda _, answer: heard.append(answer))
            assert [answer.status for answer in heard] == [204, 204]
            sender.close()

    run(story())


def test_what_a_receiver_says_unasked_on_a_kept_connection_is_no_answer():
    """A server that closes an idle connection may say 408 first: that is not about the callback which comes next."""

    async def story():
        receiver = Receiver(keeps=True)
        async with served(receiver) as port:
            sender = LoopbackSender(Address.of(f"http://127.0.0.1:{port}/"), TIMEOUT_S, keep=True)
            heard: list[Answer] = []
            await sender.send(WIRE, 1, lambda _, answer: heard.append(answer))
            receiver.say(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            await until(lambda: not sender._kept[0].is_idle)
            await sender.send(WIRE, 1, lambda _, answer: heard.append(answer))
            assert [answer.status for answer in heard] == [204, 204]
            sender.close()

    run(story())


def test_a_message_that_is_cut_ends_in_the_middle_and_is_never_answered():
    receiver = Receiver()
    answers = run(post_to(receiver, manner=Manner(cut_percent=50)))
    assert (answers[0].status, answers[0].because) == (None, "broken off in the middle, after 50 % of the body")
    assert receiver.arrivals == []
    assert receiver.broken_off[0].endswith(b"\r\n\r\n" + WIRE.body[: len(WIRE.body) // 2])


@pytest.mark.parametrize("percent", [0, 100])
def test_a_message_that_is_cut_is_never_whole(percent):
    receiver = Receiver()
    run(post_to(receiver, manner=Manner(cut_percent=percent)))
    assert receiver.arrivals == []


def test_a_slow_message_arrives_whole_and_in_pieces():
    receiver = Receiver()
    answers = run(post_to(receiver, manner=Manner(over_s=0.05, pieces=5)))
    assert answers[0].status == 204
    assert answers[0].took_s >= 0.05
    assert receiver.reads > 3
    assert receiver.arrivals[0].body == WIRE.body


def test_who_has_no_patience_does_not_hear_the_answer():
    receiver = Receiver()
    answers = run(post_to(receiver, manner=Manner(patience_s=0)))
    assert (answers[0].status, answers[0].because) == (None, "hung up after 0 s without an answer")
    assert len(receiver.arrivals) == 1, "the receiver has it all the same"


def test_bytes_outside_ascii_reach_the_receiver_untouched():
    receiver = Receiver()
    run(post_to(receiver, wire=WIRE.with_headers(webhook_signature=b"v1 \xe9\xff")))
    assert receiver.arrivals[0].headers["webhook-signature"] == b"v1 \xe9\xff"


def test_copies_are_at_the_door_but_for_one_byte_before_any_is_complete():
    receiver = Receiver()
    answers = run(post_to(receiver, copies=8))
    kinds = [kind for kind, _ in receiver.seen]
    assert kinds[:8] == ["open"] * 8, "every connection is open before the first request is complete"
    whole = max(receiver.received.values())
    assert len(receiver.at_first_complete) == 8
    assert set(receiver.at_first_complete.values()) <= {whole - 1, whole}, "each lacked at most its last byte"
    assert [answers[number].status for number in range(8)] == [204] * 8
    assert len({arrival.body for arrival in receiver.arrivals}) == 1


def test_a_receiver_that_needs_all_copies_before_it_answers_gets_them():
    """Copies sent one after the other would run into the timeout here."""

    async def story():
        gathered = asyncio.Barrier(4)

        async def receive(reader, writer):
            await reader.readuntil(WIRE.body)
            await gathered.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        return await post_to(receive, copies=4)

    assert {answer.status for answer in run(story()).values()} == {200}


def test_an_endless_answer_is_cut_off():
    async def story():
        over = asyncio.Event()

        async def receive(reader, writer):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10000000\r\n\r\n" + b"x" * 200_000)
            with suppress(ConnectionError):
                await reader.read()
            writer.close()
            over.set()

        answers = await post_to(receive)
        await over.wait()
        return answers

    answer = run(story())[0]
    assert answer.status == 200
    assert len(answer.body) == 64 * 1024


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.1/", "http://example.com/", "http://127.evil.example/", "http://10.0.0.1/", "http:///x", "x"],
)
def test_only_this_machine_is_called(url):
    with pytest.raises(ValueError, match=r"http://|this machine"):
        Address.of(url)


def test_addresses():
    assert Address.of("http://[::1]:81/a?b=c").authority == "[::1]:81"
    assert Address.of("http://localhost").target == "/"


def test_an_unanswered_attempt_is_tried_again_on_schedule():
    async def story():
        async with world("reset", "close", "hang", 503, 204) as here:
            await here.create()
            await here.landed()
            for _ in range(4):
                await here.next_attempt()
            told = [(answer["status"], answer["acknowledged"]) for answer in here.journal("answer")]
            assert told == [(None, False), (None, False), (None, False), (503, False), (204, True)]
            assert len({arrival.webhook_id for arrival in here.receiver.arrivals}) == 1

    run(story())
