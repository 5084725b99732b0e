"""Framings read along and change nothing: what comes out is what went in, however it was sliced, and messages have names."""

import struct
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.wire.framing import Crossing, Direction, Framing, Opaque
from harness.wire.http import Http
from harness.wire.postgres import CANCEL_REQUEST, GSS_REQUEST, MESSAGE_MAX, SSL_REQUEST, Postgres, label_of

Said = tuple[Direction, bytes]
Name = tuple[Direction, str]

FRAMINGS = (Http, Postgres, Opaque)


# PostgreSQL's words


def message(kind: bytes, body: bytes = b"") -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


def opening(code: int, body: bytes = b"") -> bytes:
    """The first message of a connection has no type byte."""
    return struct.pack("!II", 8 + len(body), code) + body


STARTUP = opening(3 << 16, b"user\0chaos\0database\0topups\0\0")
READY = message(b"Z", b"I")
SYNC = message(b"S")


def query(sql: str) -> bytes:
    return message(b"Q", sql.encode() + b"\0")


def parse(statement: str, sql: str) -> bytes:
    return message(b"P", statement.encode() + b"\0" + sql.encode() + b"\0" + b"\0\0")


def bind(portal: str, statement: str) -> bytes:
    return message(b"B", portal.encode() + b"\0" + statement.encode() + b"\0" + b"\0\0" * 3)


def execute(portal: str) -> bytes:
    return message(b"E", portal.encode() + b"\0" + b"\0\0\0\0")


def complete(tag: str) -> bytes:
    return message(b"C", tag.encode() + b"\0")


def error(code: str, says: str) -> bytes:
    return message(b"E", b"SERROR\0C" + code.encode() + b"\0M" + says.encode() + b"\0\0")


# What comes out


def through(framing: Framing, said: Sequence[Said]) -> list[Crossing]:
    """Everything that *said* becomes. Fails where a byte was changed, dropped, or came out before it went in."""
    came: dict[Direction, bytes] = {">": b"", "<": b""}
    went: dict[Direction, bytes] = {">": b"", "<": b""}
    crossings = []
    for direction, data in said:
        went[direction] += data
        for crossing in framing.feed(direction, data):
            assert crossing.direction == direction
            came[direction] += crossing.data
            crossings.append(crossing)
        assert went[direction].startswith(came[direction])
    for direction in came:
        came[direction] += framing.flush(direction)
        assert framing.flush(direction) == b"", "what was given back once is not held any more"
    assert came == went
    return crossings


def names(framing: Framing, said: Sequence[Said]) -> list[Name]:
    return [(each.direction, each.label) for each in through(framing, said) if each.label is not None]


def writing(said: Sequence[bytes]) -> list[str]:
    """The labels of a client's messages that write, or end a transaction that wrote."""
    crossings = through(Postgres(), [(">", STARTUP), *((">", each) for each in said)])
    return [crossing.label or "" for crossing in crossings if crossing.facts.get("writes")]


@st.composite
def sliced(draw: st.DrawFn, said: Sequence[Said]) -> list[Said]:
    """The same bytes as another network would deliver them: runs of one direction cut anywhere, but not reordered."""
    runs: list[Said] = []
    for direction, data in said:
        if runs and runs[-1][0] == direction:
            runs[-1] = (direction, runs[-1][1] + data)
        else:
            runs.append((direction, data))
    pieces: list[Said] = []
    for direction, data in runs:
        cuts = draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
        edges = [0, *cuts, len(data)]
        whole = ((direction, data[start:end]) for start, end in pairwise(edges))
        pieces.extend(piece for piece in whole if piece[1])
    return pieces


# Conversations, each with the names that a person would give its messages

SQL = {
    "BEGIN": "BEGIN;",
    "COMMIT": "COMMIT",
    "INSERT claims": "INSERT INTO claims (id) VALUES ($1)",
    "UPDATE accounts": "UPDATE accounts SET balance = $1",
    "DELETE outbox": "delete from outbox where id = $1",
    "SELECT topups": "SELECT id, state FROM topups WHERE id = $1",
    "ROLLBACK": "ROLLBACK",
}
words = st.text("abcdefghij_", min_size=1, max_size=8)


@st.composite
def database_talk(draw: st.DrawFn) -> tuple[list[Said], list[Name]]:
    said: list[Said] = []
    named: list[Name] = []
    for code, label in draw(st.sampled_from([(), ((SSL_REQUEST, "SSL request"),), ((GSS_REQUEST, "GSS request"),)])):
        said += [(">", opening(code)), ("<", b"N")]
        named.append((">", label))
    said += [(">", STARTUP), ("<", message(b"R", b"\0\0\0\0") + message(b"S", b"server_version\x0016\0") + READY)]
    named.append((">", "startup"))
    for label in draw(st.lists(st.sampled_from(sorted(SQL)), max_size=6)):
        statement, portal = draw(st.sampled_from(["", "s1"])), draw(st.sampled_from(["", "p1"]))
        asked = (
            query(SQL[label])
            if draw(st.booleans())
            else parse(statement, SQL[label]) + bind(portal, statement) + execute(portal) + SYNC
        )
        row = message(b"D", struct.pack("!HI", 1, 9) + draw(st.binary(min_size=9, max_size=9)))
        refused = draw(st.booleans())
        answer = error("23505", "taken") if refused else row + complete(label.split()[0])
        said += [(">", asked), ("<", answer + READY)]
        named += [(">", label), ("<", "ERROR 23505" if refused else label.split()[0])]
    said.append((">", message(b"X")))
    return said, [*named, (">", "terminate")]


def chunked(body: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (1, body[at : at + 1]) for at in range(len(body))) + b"0\r\n\r\n"


@st.composite
def http_talk(draw: st.DrawFn) -> tuple[list[Said], list[Name]]:
    """Requests and answers that take turns on one connection, as keep-alive has it."""
    said: list[Said] = []
    named: list[Name] = []
    for _ in range(draw(st.integers(1, 4))):
        method = draw(st.sampled_from(["GET", "HEAD", "POST", "DELETE"]))
        path, body, answer = draw(words), draw(st.binary(max_size=6)), draw(st.binary(max_size=6))
        head = f"{method} /{path}?q=1 HTTP/1.1\r\nHost: x\r\n".encode()
        named.append((">", f"{method} /{path}"))
        if method == "POST" and draw(st.booleans()):
            said += [(">", head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))]
            if body:
                said += [("<", b"HTTP/1.1 100 Continue\r\n\r\n")]
            said += [(">", body)]
        elif method == "POST" and draw(st.booleans()):
            said.append((">", head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(body)))
        else:
            said.append((">", head + b"Content-Length: %d\r\n\r\n" % len(body) + body))
        status = draw(st.sampled_from([200, 201, 204, 304, 402, 500]))
        empty = method == "HEAD" or status in (204, 304)
        if status != 204 and draw(st.booleans()):
            framed = b"Transfer-Encoding: chunked\r\n\r\n" + (b"" if empty else chunked(answer))
        else:
            length = 0 if status == 204 else len(answer)
            framed = b"Content-Length: %d\r\n\r\n" % length + (b"" if empty else answer)
        said.append(("<", b"HTTP/1.1 %d X\r\n" % status + framed))
        named.append(("<", str(status)))
    return [piece for piece in said if piece[1]], named


garbage = st.lists(st.tuples(st.sampled_from([">", "<"]), st.binary(min_size=1, max_size=40)), max_size=20)


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_a_database_conversation_passes_unchanged_and_by_name(data: st.DataObject) -> None:
    """However the network slices it, every byte passes and every message has the same name."""
    said, named = data.draw(database_talk())
    assert names(Postgres(), data.draw(sliced(said))) == named


@given(st.data())
@settings(deadline=None, max_examples=150)
def test_an_http_conversation_passes_unchanged_and_by_name(data: st.DataObject) -> None:
    """Keep-alive, chunks, HEAD, 100-continue: however sliced, every byte passes and every message has the same name."""
    said, named = data.draw(http_talk())
    assert names(Http(), data.draw(sliced(said))) == named


@pytest.mark.parametrize("framing", FRAMINGS)
@given(said=garbage)
@example(said=[(">", b"\0\0\0\7\0\0\0\0")])
@example(said=[("<", b"Z\0\0\0\3"), ("<", b"Z")])
@example(said=[(">", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ("<", b"HTTP/1.1 101 X\r\n\r\n"), (">", b"\0")])
@settings(deadline=None, max_examples=200)
def test_garbage_passes_unchanged(framing: Any, said: list[Said]) -> None:
    """Bytes that are no protocol at all still pass, all of them, and nothing is raised."""
    through(framing(), said)


@pytest.mark.parametrize("framing", FRAMINGS)
@given(data=st.data())
@settings(deadline=None, max_examples=200)
def test_a_damaged_conversation_passes_unchanged(framing: Any, data: st.DataObject) -> None:
    """A real conversation with a part of it overwritten is followed as far as it can be, and passes to the end."""
    said, _ = data.draw(st.one_of(database_talk(), http_talk()))
    at = data.draw(st.integers(0, len(said) - 1))
    direction, whole = said[at]
    place, wrong = data.draw(st.integers(0, len(whole))), data.draw(st.binary(min_size=1, max_size=8))
    said[at] = (direction, whole[:place] + wrong + whole[place + len(wrong) :])
    through(framing(), data.draw(sliced(said)))


# PostgreSQL, message by message


def test_an_ssl_request_that_is_refused_is_followed_by_a_startup() -> None:
    """The client asks, the server says no with one byte, and the connection goes on in the clear."""
    said: list[Said] = [(">", opening(SSL_REQUEST)), ("<", b"N"), (">", STARTUP), (">", query("BEGIN"))]
    assert names(Postgres(), said) == [(">", "SSL request"), (">", "startup"), (">", "BEGIN")]


def test_an_encrypted_connection_passes_unnamed() -> None:
    """After a yes, everything is ciphertext, even where it happens to look like messages."""
    said: list[Said] = [(">", opening(SSL_REQUEST)), ("<", b"S"), (">", STARTUP), (">", query("COMMIT"))]
    assert names(Postgres(), said) == [(">", "SSL request")]


def test_a_cancel_request_is_named() -> None:
    assert names(Postgres(), [(">", opening(CANCEL_REQUEST, b"\0" * 8))]) == [(">", "cancel request")]


@pytest.mark.parametrize(
    ("sql", "label"),
    [
        ("begin", "BEGIN"),
        ("START TRANSACTION ISOLATION LEVEL SERIALIZABLE", "BEGIN"),
        ("COMMIT;", "COMMIT"),
        ("END", "COMMIT"),
        ("ROLLBACK", "ROLLBACK"),
        ("  insert\n into ledger.entries (a) VALUES (1)", "INSERT ledger.entries"),
        ('UPDATE "accounts" SET a = 1', 'UPDATE "accounts"'),
        ("DELETE FROM outbox", "DELETE outbox"),
        ("SELECT 1 AS one, two\nFROM topups t WHERE x", "SELECT topups"),
        ("SELECT pg_advisory_lock(1)", "SELECT pg_advisory_lock(1)"),
        ("WITH due AS (SELECT 1) INSERT INTO claims SELECT 1", "INSERT claims"),
        ("WITH due AS (SELECT 1) UPDATE accounts SET a = 1", "UPDATE accounts"),
        ("SET TIME ZONE 'UTC'", "SET TIME ZONE"),
        (" ; ", "empty statement"),
        ("", "empty statement"),
    ],
)
def test_statements_have_the_names_that_people_give_them(sql: str, label: str) -> None:
    assert label_of(sql) == label


def test_a_named_statement_is_named_at_every_execution() -> None:
    """Parsed once, bound and executed often, and other statements in between."""
    asked = [
        parse("s1", SQL["INSERT claims"]),
        parse("", SQL["SELECT topups"]),
        *(bind("", "s1"), execute(""), bind("", ""), execute(""), bind("p", "s1"), execute("p")),
    ]
    found = names(Postgres(), [(">", STARTUP), *((">", each) for each in asked)])
    assert [label for _, label in found] == ["startup", "INSERT claims", "SELECT topups", "INSERT claims"]


def test_a_commit_writes_only_after_a_write_in_its_own_transaction() -> None:
    """Reading does not count, nor does what an earlier transaction wrote."""
    read = [query("BEGIN"), query("SELECT a FROM topups FOR UPDATE"), query("COMMIT")]
    wrote = [query("BEGIN"), query(SQL["UPDATE accounts"]), query("COMMIT")]
    assert writing(read) == []
    assert writing(wrote) == ["UPDATE accounts", "COMMIT"]
    assert writing([*wrote, *read]) == ["UPDATE accounts", "COMMIT"]
    undone = [query("BEGIN"), query(SQL["DELETE outbox"]), query("ROLLBACK")]
    assert writing([*undone, *read]) == ["DELETE outbox"]


def test_a_transaction_is_named_by_what_it_writes_first() -> None:
    """Until then by what it reads first; so that of two at once, the COMMITs can be told apart. Outside of any: no name."""
    asked = [
        *(
            "SELECT a FROM outbox",
            "BEGIN",
            "SELECT a FROM topups FOR UPDATE",
            SQL["INSERT claims"],
            SQL["UPDATE accounts"],
        ),
        *("COMMIT", SQL["UPDATE accounts"], "BEGIN", SQL["DELETE outbox"], "ROLLBACK", "BEGIN", "COMMIT"),
    ]
    framing = Postgres()
    framing.feed(">", STARTUP)
    found = [crossing for sql in asked for crossing in framing.feed(">", query(sql))]

    assert [(each.label, each.facts.get("of")) for each in found] == [
        ("SELECT outbox", None),
        ("BEGIN", None),
        ("SELECT topups", None),
        ("INSERT claims", "topups"),
        ("UPDATE accounts", "claims"),
        ("COMMIT", "claims"),
        ("UPDATE accounts", None),
        ("BEGIN", None),
        ("DELETE outbox", None),
        ("ROLLBACK", "outbox"),
        ("BEGIN", None),
        ("COMMIT", None),
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO claims VALUES (1)",
        'insert into "claims" values (1)',
        "UPDATE accounts SET balance = 1",
        'UPDATE "accounts" SET "balance" = 1',
        "UPDATE ledger.accounts SET balance = 1",
        "UPDATE ONLY accounts AS a SET balance = 1",
        "update accounts a\nset balance = 1",
        'DELETE FROM "outbox"',
        "WITH gone AS (DELETE FROM outbox RETURNING id) SELECT id FROM gone",
    ],
)
def test_what_writes_is_recognised_however_it_is_spelled(sql: str) -> None:
    """Quoted, qualified, aliased: libraries write SQL in many hands."""
    assert len(writing([query("BEGIN"), query(sql), query("COMMIT")])) == 2
    extended = [parse("", sql), bind("", ""), execute(""), SYNC]
    assert len(writing([query("BEGIN"), *extended, query("COMMIT")])) == 2


@pytest.mark.parametrize("sql", ["SELECT a FROM accounts FOR UPDATE", "SELECT last_update FROM settings", "SET x = 1"])
def test_what_does_not_write_is_not_taken_for_it(sql: str) -> None:
    assert writing([query("BEGIN"), query(sql), query("COMMIT")]) == []


def test_errors_are_named_by_their_code() -> None:
    """The severity and the message come before and after; the code is what a person looks up."""
    said: list[Said] = [(">", STARTUP), ("<", error("40001", "could not serialize")), ("<", message(b"E", b"\0"))]
    assert names(Postgres(), said)[1:] == [("<", "ERROR 40001"), ("<", "ERROR ?")]


def test_a_very_long_message_passes_in_pieces_and_what_follows_is_named() -> None:
    """Nothing of it is held back, so that a COPY does not fill the memory of a tap."""
    framing = Postgres()
    through_now = list(framing.feed(">", STARTUP))
    head = b"d" + struct.pack("!I", MESSAGE_MAX + 5)
    through_now += framing.feed(">", head)
    body = b"x" * (MESSAGE_MAX + 1)
    for at in range(0, len(body), 1 << 16):
        piece = body[at : at + (1 << 16)]
        came = framing.feed(">", piece)
        assert b"".join(each.data for each in came) == piece
        assert [each.label for each in came] == [None]
    (commit,) = framing.feed(">", query("COMMIT"))
    assert commit.label == "COMMIT"
    assert b"".join(each.data for each in through_now) == STARTUP + head


def test_the_directions_are_held_apart() -> None:
    """Half a question and half an answer do not make a message."""
    framing = Postgres()
    framing.feed(">", STARTUP)
    commit, done = query("COMMIT"), complete("COMMIT")
    assert not framing.feed(">", commit[:6])
    assert not framing.feed("<", done[:6])
    assert [each.data for each in framing.feed(">", commit[6:])] == [commit]
    assert framing.flush(">") == b""
    assert framing.flush("<") == done[:6]


# HTTP, case by case

GET = b"GET /balance HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /top-ups HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k1\r\nContent-Length: 4\r\n\r\nbody"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


def test_a_request_carries_its_key() -> None:
    """So that a plan can tell one intent from another, on the wire."""
    (crossing,) = Http().feed(">", POST)
    assert (crossing.label, dict(crossing.facts)) == ("POST /top-ups", {"key": "k1"})


def test_the_name_stands_on_the_first_bytes_that_complete_the_head() -> None:
    """What comes before the whole head, and the body after it, pass at once and unnamed."""
    framing = Http()
    pieces = [POST[:10], POST[10:-2], POST[-2:]]
    found = [crossing for piece in pieces for crossing in framing.feed(">", piece)]
    assert [crossing.data for crossing in found] == pieces
    assert [crossing.label for crossing in found] == [None, "POST /top-ups", None]


def test_pipelined_requests_pass_and_the_connection_is_still_followed() -> None:
    """Two questions in one packet: the bytes pass at once, the answers are named, and so is what is asked later."""
    said: list[Said] = [(">", GET + POST), ("<", OK), ("<", OK), (">", GET), ("<", OK)]
    assert [label for direction, label in names(Http(), said) if direction == "<"] == ["200", "200", "200"]
    asked = [label for direction, label in names(Http(), said) if direction == ">"]
    assert asked == ["GET /balance", "POST /top-ups", "GET /balance"]


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_pipelined_requests_are_named_before_any_is_answered(data: st.DataObject) -> None:
    """All questions first, then all answers, cut anywhere: a surgery must find the second question as it passes."""
    said, named = data.draw(http_talk())
    asked: list[Said] = [(">", b"".join(each for direction, each in said if direction == ">"))]
    answers: list[Said] = [("<", b"".join(each for direction, each in said if direction == "<"))]
    found = names(Http(), data.draw(sliced(asked + answers)))
    assert found == sorted(named, key=lambda name: name[0], reverse=True)


def test_an_answer_before_the_question_has_ended() -> None:
    """The server refuses early; the rest of the body still passes, and the next request is named."""
    said: list[Said] = [(">", POST[:-2]), ("<", OK), (">", POST[-2:]), (">", GET), ("<", OK)]
    assert names(Http(), said) == [(">", "POST /top-ups"), ("<", "200"), (">", "GET /balance"), ("<", "200")]


def test_an_answer_to_head_has_no_body() -> None:
    """Its Content-Length is that of the answer to GET; the next answer begins right after the head."""
    head = b"HEAD /balance HTTP/1.1\r\nHost: x\r\n\r\n"
    said: list[Said] = [(">", head), ("<", OK[:-2]), (">", GET), ("<", OK)]
    assert [label for _, label in names(Http(), said)] == ["HEAD /balance", "200", "GET /balance", "200"]


def test_a_direction_that_is_not_http_passes_unnamed_from_there_on() -> None:
    """Nobody knows where a message would begin again; what the other end says of it still has its name."""
    refused = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
    said: list[Said] = [(">", b"\x16\x03\x01\x02\x00 hello\r\n\r\n"), (">", GET), ("<", refused)]
    assert names(Http(), said) == [("<", "400")]
    assert names(Http(), [(">", GET), ("<", b"220 mail.example\r\n\r\n"), ("<", OK)]) == [(">", "GET /balance")]


def test_opaque_names_nothing_and_holds_nothing() -> None:
    assert names(Opaque(), [(">", GET), ("<", OK)]) == []
