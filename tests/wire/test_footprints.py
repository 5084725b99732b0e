"""Footprints against PostgreSQL itself: what is said not to meet must not meet, whichever of the two is first."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import TYPE_CHECKING

import asyncpg
import pytest

from harness.wire.footprint import Footprint, Reader, Transaction
from harness.witness import read_schema

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

TABLES = """
CREATE TABLE accounts (account text PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE claims (payment text PRIMARY KEY);
CREATE TABLE entries (entry bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account text NOT NULL REFERENCES accounts ON DELETE CASCADE, amount bigint);
CREATE TABLE audit (line bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, about text);
CREATE VIEW rich AS SELECT account FROM accounts WHERE balance > 100;
CREATE FUNCTION pay(who text) RETURNS void LANGUAGE sql AS $$ UPDATE accounts SET balance = balance + 7 WHERE account = who $$;
CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN INSERT INTO claims VALUES ('noted ' || NEW.account) ON CONFLICT DO NOTHING; RETURN NEW; END $$;
CREATE TRIGGER noted AFTER INSERT ON entries FOR EACH ROW EXECUTE FUNCTION note();
"""
EMPTY = "DELETE FROM entries; DELETE FROM accounts; DELETE FROM claims; DELETE FROM audit;"
ROWS = "INSERT INTO accounts VALUES ('a', 100), ('b', 5); INSERT INTO claims VALUES ('old')"

SAMPLE = 5
"""One in so many of the pairs that do meet is tried: whether the comparison can tell two orders apart at all."""
# Not the numbers that the database makes up: rows that are added in another order have other ones.
LEFT = """SELECT array_agg(line ORDER BY line)::text FROM (
    SELECT 'account ' || account || balance AS line FROM accounts UNION ALL SELECT 'claim ' || payment FROM claims
    UNION ALL SELECT 'entry ' || account || amount FROM entries UNION ALL SELECT 'audit ' || about FROM audit) everything"""

STATEMENTS = (
    "SELECT balance FROM accounts WHERE account = 'a'",
    "SELECT balance FROM accounts WHERE account = 'a' FOR UPDATE",
    "SELECT count(*) FROM entries JOIN accounts USING (account)",
    "SELECT account FROM rich",
    "SELECT pay('a')",
    "UPDATE accounts SET balance = balance + 1 WHERE account = 'a'",
    "UPDATE accounts SET balance = balance * 2 WHERE balance > 100",
    "DELETE FROM accounts WHERE account = 'b'",
    "INSERT INTO claims VALUES ('p1') ON CONFLICT DO NOTHING RETURNING payment",
    "INSERT INTO claims VALUES ('p1')",
    "SELECT count(*) FROM claims",
    "INSERT INTO entries (account, amount) VALUES ('a', 1)",
    "INSERT INTO entries (account, amount) VALUES ('b', 1)",
    "INSERT INTO audit (about) VALUES ('x')",
    "SELECT count(*) FROM audit",
    "WITH gone AS (DELETE FROM claims RETURNING payment) INSERT INTO audit (about) SELECT payment FROM gone",
    "SELECT pg_advisory_xact_lock(7)",
    "SELECT 1",
    "SELECT balance FROM accounts WHERE account = 'b'",
    "SELECT balance FROM accounts AS mine WHERE mine.account = 'b' AND balance > 0 FOR UPDATE",
    "SELECT balance FROM accounts WHERE account = 'b' OR balance > 50",
    "UPDATE accounts SET balance = balance + 3 WHERE account = 'b'",
    "UPDATE accounts SET account = 'z' WHERE account = 'b'",
    "INSERT INTO accounts (account, balance) VALUES ('c', 7)",
    "INSERT INTO accounts (account, balance) VALUES ('a', 7) ON CONFLICT (account) DO UPDATE SET balance = 8",
    "INSERT INTO claims (payment) VALUES ('p2')",
    "INSERT INTO claims (payment) VALUES ('p3') ON CONFLICT DO NOTHING",
    "DELETE FROM claims WHERE payment = 'old'",
)


@dataclass(frozen=True)
class Side:
    """What one connection has done in its transaction, and what it is about to do."""

    done: tuple[str, ...]
    turn: str

    def footprint(self, reader: Reader) -> Footprint:
        transaction = Transaction(reader)
        for sql in ("BEGIN", *self.done):
            transaction.done(sql)
        return transaction.next(self.turn)


SIDES = [Side((), sql) for sql in STATEMENTS] + [Side((sql,), "COMMIT") for sql in STATEMENTS]


class Seat:
    """One connection, whose turn may have to wait for the other's."""

    def __init__(self, connection: "Connection", probe: "Connection") -> None:
        self.connection, self._probe = connection, probe
        self.running: asyncio.Task[object] | None = None

    async def begin(self, side: Side) -> None:
        await self.connection.execute("BEGIN")
        for sql in side.done:
            await self._do(sql)

    async def turn(self, sql: str) -> object:
        """What the statement answers; `waits` if it waits for somebody's lock."""
        self.running = asyncio.ensure_future(self._do(sql))
        while not self.running.done():
            await asyncio.wait([self.running], timeout=0.002)
            if not self.running.done() and await self._probe.fetchval(
                "SELECT cardinality(pg_blocking_pids($1)) > 0", self.connection.get_server_pid()
            ):
                return "waits"
        return self.running.result()

    async def end(self) -> object:
        """What the statement answered at last, once it need not wait any more; then whatever is open is committed."""
        assert self.running is not None
        answer = await self.running
        await self.connection.execute("COMMIT")
        return answer

    async def _do(self, sql: str) -> object:
        try:
            return sorted(tuple(row) for row in await self.connection.fetch(sql))  # nobody was promised an order
        except asyncpg.PostgresError as error:
            return error.sqlstate


async def told(seats: tuple[Seat, Seat], sides: tuple[Side, Side], first: int) -> object:
    """All that anybody could tell when the side numbered *first* takes its turn before the other."""
    probe = seats[0]._probe
    await probe.execute(EMPTY + ROWS)
    for seat, side in zip(seats, sides, strict=True):
        await seat.begin(side)
    said: dict[int, object] = {}
    for number in (first, 1 - first):
        said[number] = await seats[number].turn(sides[number].turn)
    for number in sorted(said, key=lambda each: said[each] == "waits"):
        said[number] = (said[number], await seats[number].end())
    return said[0], said[1], await probe.fetchval(LEFT)


@pytest.fixture
def tables(database_url: str) -> str:
    async def make() -> None:
        connection = await asyncpg.connect(database_url)
        await connection.execute(TABLES)
        await connection.close()

    asyncio.run(make())
    return database_url


def test_what_does_not_meet_cannot_be_told_apart(tables: str) -> None:
    """Every pair of turns, in both orders, on a real server."""
    apart, noticed = asyncio.run(compare(tables))

    assert apart > 400, "most of what is independent is seen to be"
    assert noticed > 10, "the comparison can tell orders apart"


async def compare(url: str) -> tuple[int, int]:
    async with AsyncExitStack() as stack:
        connections = [await asyncpg.connect(url) for _ in range(3)]
        for connection in connections:
            stack.push_async_callback(connection.close, timeout=5)
        return await _compared(connections)


async def _compared(connections: "Sequence[Connection]") -> tuple[int, int]:
    probe = connections[2]
    reader = Reader(await read_schema(probe))
    seats = (Seat(connections[0], probe), Seat(connections[1], probe))
    apart = noticed = pairs = 0
    for one, other in combinations_with_replacement(SIDES, 2):
        meets = one.footprint(reader).meets(other.footprint(reader))
        if _never_at_once(reader, one, other):
            continue
        pairs += meets
        if meets and pairs % SAMPLE:
            continue
        first, second = await told(seats, (one, other), 0), await told(seats, (one, other), 1)
        assert meets or first == second, f"{one} and {other}:\n{first}\n{second}"
        apart += not meets
        noticed += first != second
    return apart, noticed


def _never_at_once(reader: Reader, one: Side, other: Side) -> bool:
    """The pasts of the two cannot stand beside each other: the second would wait for the first before it gets there."""
    return any(
        Transaction(reader).next(mine).meets(Transaction(reader).next(theirs))
        for mine in one.done
        for theirs in other.done
    )
