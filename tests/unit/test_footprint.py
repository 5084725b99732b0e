"""Footprints of statements as services write them; that they are large enough is shown against PostgreSQL, in tests/wire."""

import pytest

from harness.wire.footprint import Footprint, Reader, Schema, Transaction
from harness.wire.rows import Key, Reference

SCHEMA = Schema(
    tables={name: name for name in ("accounts", "claims", "entries", "audit")},
    keys={"accounts": Key(("account",)), "claims": Key(("payment", "effect"))},
    references={"entries": (Reference(("account",), "accounts", ("account",)),)},
    free=frozenset({"entries", "audit"}),
    hidden={"post": "INSERT INTO entries SELECT * FROM claims"},
)
READER = Reader(SCHEMA)
LOCK = "SELECT balance FROM accounts WHERE account = $1 FOR UPDATE"
MOVE = "UPDATE accounts SET balance = balance + $2 WHERE account = $1"
CLAIM = "INSERT INTO claims (payment, effect, at) VALUES ($1, 'captured', now()) ON CONFLICT DO NOTHING RETURNING true"


@pytest.mark.parametrize("sql", ["BEGIN", "SELECT 1", "SET search_path = x", "SHOW all", "", "SAVEPOINT a"])
def test_what_nobody_else_can_see_touches_nothing(sql: str) -> None:
    assert not READER.of(sql)


@pytest.mark.parametrize("sql", ["COPY accounts FROM STDIN", "CALL settle()", "LOCK accounts", "CREATE TABLE x ()"])
def test_what_is_not_understood_meets_everything(sql: str) -> None:
    assert READER.of(sql).meets(READER.of("SELECT about FROM audit"))


def test_a_plain_read_meets_the_commit_of_a_writer_and_not_the_writing() -> None:
    writer = Transaction(READER)
    writer.done("BEGIN")
    write = writer.next(MOVE, ("a", "5"))
    writer.done(MOVE, ("a", "5"))
    read = READER.of("SELECT balance FROM accounts WHERE account = $1", ("a",))

    assert not read.meets(write)
    assert read.meets(writer.next("COMMIT"))


def test_a_statement_alone_is_its_own_commit() -> None:
    assert Transaction(READER).next(MOVE, ("a", "5")).meets(READER.of("SELECT balance FROM accounts"))


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ((LOCK, ("a",)), (LOCK, ("a",)), True),
        ((LOCK, ("a",)), (LOCK, ("b",)), False),
        ((LOCK, ("a",)), (LOCK, (None,)), True),
        ((LOCK, ("a",)), (MOVE, ("a", "5")), True),
        ((LOCK, ("a",)), ("SELECT balance FROM accounts FOR UPDATE", ()), True),
        ((CLAIM, ("p1",)), (CLAIM, ("p1",)), True),
        ((CLAIM, ("p1",)), (CLAIM, ("p2",)), False),
        ((CLAIM, ("p1",)), ("SELECT post()", ()), True),
        (("INSERT INTO audit VALUES ('x')", ()), ("INSERT INTO audit VALUES ('y')", ()), False),
        (("INSERT INTO entries (account) VALUES ('a')", ()), (MOVE, ("a", "5")), False),
        (("INSERT INTO entries (account) VALUES ('a')", ()), (LOCK, ("a",)), True),
        (("INSERT INTO entries (account) VALUES ('a')", ()), (LOCK, ("b",)), False),
        (("SELECT account FROM accounts WHERE account = $1 OR true", ("a",)), (LOCK, ("b",)), False),
        (("UPDATE accounts SET x = 1 WHERE account = $1 || 'b'", ("a",)), (LOCK, ("ab",)), True),
        (("UPDATE accounts SET x = 1 WHERE account = 'a' /* or */", ()), (LOCK, ("b",)), False),
        (("UPDATE accounts SET x = 1 WHERE account = 'a' OR x > 1", ()), (LOCK, ("b",)), True),
        (("UPDATE accounts SET x = 'it''s' WHERE account = 'b'", ()), (LOCK, ("b",)), True),
    ],
)
def test_two_meet_where_their_order_could_be_told(
    one: tuple[str, tuple[str | None, ...]], other: tuple[str, tuple[str | None, ...]], meets: bool
) -> None:
    assert READER.of(*one).meets(READER.of(*other)) is meets
    assert READER.of(*other).meets(READER.of(*one)) is meets


def test_under_a_kept_snapshot_every_statement_meets_every_commit() -> None:
    strict = Transaction(READER)
    strict.done("BEGIN")
    other = Transaction(READER)
    other.done("BEGIN")
    other.done("INSERT INTO audit VALUES ('x')")

    assert strict.next("SELECT balance FROM accounts", strict=True).meets(other.next("COMMIT"))


def test_going_back_to_a_savepoint_ends_nothing() -> None:
    transaction = Transaction(READER)
    for sql in ("BEGIN", "SAVEPOINT a"):
        transaction.done(sql)
    transaction.done(LOCK, ("a",))
    transaction.done("ROLLBACK TO SAVEPOINT a")

    assert transaction.open
    assert transaction.next("ROLLBACK").meets(READER.of(LOCK, ("a",)))


def test_a_footprint_survives_the_history() -> None:
    found = READER.of(CLAIM, ("p1",))

    assert Footprint.decode(found.encode()) == found
