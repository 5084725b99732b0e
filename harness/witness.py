"""What only the database and the provider themselves can say: what tables there are, and who waits for whom.

It asks past every link, so that what it does is neither counted nor disturbed. Waiting is asked of the function that PostgreSQL's
own isolation tester uses (`src/test/isolation/isolationtester.c`): it knows every kind of wait, and also the wait for a
safe snapshot.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import asyncpg

from harness.provider import ProviderControl
from harness.wire.footprint import Reader, Schema
from harness.wire.rows import Key, Reference
from harness.wire.tap import Tap
from harness.wire.turns import Listener

if TYPE_CHECKING:
    from asyncpg.prepared_stmt import PreparedStatement

    Connection = asyncpg.Connection[asyncpg.Record]
    Prepared = PreparedStatement[asyncpg.Record]

TIMEOUT_S = 5.0
IDLE_S = 1.2
"""How long to listen: twice the period of any loop that is quick enough to come between two turns often."""

_TABLES = """
    WITH RECURSIVE whole AS (
        SELECT c.oid, c.relname, c.oid AS top FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid)
        UNION ALL
        SELECT c.oid, c.relname, whole.top FROM pg_inherits i JOIN whole ON whole.oid = i.inhparent
        JOIN pg_class c ON c.oid = i.inhrelid
    )
    SELECT lower(whole.relname) AS name, lower(top.relname) AS called FROM whole JOIN pg_class top ON top.oid = whole.top"""
_REFERENCES = """
    SELECT lower(child.relname) AS child, lower(parent.relname) AS parent,
        ARRAY(SELECT lower(attname) FROM unnest(k.conkey) WITH ORDINALITY AS o(n, at)
              JOIN pg_attribute ON attrelid = k.conrelid AND attnum = o.n ORDER BY at) AS columns,
        ARRAY(SELECT lower(attname) FROM unnest(k.confkey) WITH ORDINALITY AS o(n, at)
              JOIN pg_attribute ON attrelid = k.confrelid AND attnum = o.n ORDER BY at) AS parent_columns
    FROM pg_constraint k JOIN pg_class child ON child.oid = k.conrelid JOIN pg_class parent ON parent.oid = k.confrelid
    WHERE k.contype = 'f'"""
# `whole`: with no expression and no condition. `plain`: of text, compared byte by byte.
_KEYS = """
    SELECT lower(c.relname) AS name, i.indisprimary AS first,
        ARRAY(SELECT lower(coalesce(attname, '?')) FROM unnest(i.indkey) WITH ORDINALITY AS o(n, at)
              LEFT JOIN pg_attribute ON attrelid = c.oid AND attnum = o.n ORDER BY at) AS columns,
        i.indexprs IS NULL AND i.indpred IS NULL AS whole,
        NOT EXISTS (
            SELECT FROM pg_attribute a LEFT JOIN pg_collation l ON l.oid = a.attcollation
            WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
            AND (a.atttypid NOT IN ('text'::regtype, 'varchar'::regtype) OR NOT coalesce(l.collisdeterministic, false))) AS plain
    FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE (i.indisunique OR i.indisexclusion) AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')"""
# Every column of every unique key is one that the database makes: an identity, a sequence, a random identifier.
_FREE = """
    SELECT lower(c.relname) AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND NOT EXISTS (
        SELECT FROM pg_index i WHERE i.indrelid = c.oid AND (i.indisunique OR i.indisexclusion) AND NOT EXISTS (
            SELECT FROM pg_attribute a LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
            AND (a.attidentity <> '' OR pg_get_expr(d.adbin, d.adrelid) ~ 'nextval|gen_random_uuid|uuidv')))"""
_FUNCTIONS = """
    SELECT lower(p.proname) AS name, p.prosrc AS text FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND p.prokind <> 'a'"""
_VIEWS = """
    SELECT lower(c.relname) AS name, pg_get_viewdef(c.oid) AS text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('v', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema')"""
_TRIGGERS = """
    SELECT lower(c.relname) AS name, p.prosrc AS text, t.tgdeferrable AS late FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT lower(tablename), definition, false FROM pg_rules WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"""
_BLOCKED = "SELECT pid FROM unnest($1::int[]) AS pid WHERE pg_isolation_test_session_is_blocked(pid, $1)"


class WitnessError(Exception):
    """The database cannot be watched; the message says why."""


class Eye:
    """A connection of its own to the database under test. Made by `watching`."""

    def __init__(self, blocked: "Prepared", provider: ProviderControl) -> None:
        self._blocked, self._provider = blocked, provider

    async def blocked(self, pids: Sequence[int]) -> frozenset[int]:
        """Which of these backends wait for another of them."""
        return frozenset(row[0] for row in await self._blocked.fetch(list(pids), timeout=TIMEOUT_S))

    async def callbacks_out(self) -> int:
        """How many callbacks the provider has sent that were not answered yet."""
        return (await self._provider.rest()).in_flight


@dataclass(frozen=True, slots=True)
class Watch:
    """What is needed to give turns to a service: somebody who sees its database, and what it does there by the clock."""

    eye: Eye
    reader: Reader
    background: frozenset[str]


@asynccontextmanager
async def watching(url: str, provider: ProviderControl, db: Tap, idle_s: float = IDLE_S) -> AsyncIterator[Watch]:
    """Look at the database at *url*, past the tap *db* on the way to it, and listen for *idle_s* to what a service does there
    while nobody asks anything of it. Raises `WitnessError` when the database cannot be reached.
    """
    try:
        connection = await asyncpg.connect(url, timeout=TIMEOUT_S)
    except (OSError, TimeoutError, asyncpg.PostgresError) as error:
        raise WitnessError(f"the database cannot be watched: {error}") from error
    try:
        reader = Reader(await read_schema(connection))
        eye = Eye(await connection.prepare(_BLOCKED), provider)
        yield Watch(eye, reader, await _background(db, reader, idle_s))
    finally:
        connection.terminate()


async def _background(db: Tap, reader: Reader, idle_s: float) -> frozenset[str]:
    listener = Listener(reader)
    db.gate = listener
    try:
        await asyncio.sleep(idle_s)
    finally:
        db.gate = None
    return frozenset(listener.heard)


async def read_schema(connection: "Connection") -> Schema:
    """What the catalogue says of the tables of this database.

    Policies of row-level security are left out: what they compare, whose a row is, is written with the row and stays. One that
    asks for what changes would be missed.
    """
    tables = {row["name"]: row["called"] for row in await connection.fetch(_TABLES)}
    references: dict[str, list[Reference]] = defaultdict(list)
    for row in await connection.fetch(_REFERENCES):
        parent = tables[row["parent"]]
        references[tables[row["child"]]].append(Reference(tuple(row["columns"]), parent, tuple(row["parent_columns"])))
    bound = set(tables.values()) - {row["name"] for row in await connection.fetch(_FREE)}
    hidden: dict[str, str] = {}
    for row in (*await connection.fetch(_FUNCTIONS), *await connection.fetch(_VIEWS)):
        hidden[row["name"]] = f"{hidden.get(row['name'], '')} {row['text']}"
    at_commit: dict[str, str] = {}
    for row in await connection.fetch(_TRIGGERS):
        texts = at_commit if row["late"] else hidden
        name = tables.get(row["name"], row["name"])
        texts[name] = f"{texts.get(name, '')} {row['text']}"
    return Schema(
        tables=tables,
        keys=_keys([dict(row) for row in await connection.fetch(_KEYS)], tables),
        references=dict(references),
        free=frozenset(tables.values()) - bound,
        hidden=hidden,
        at_commit=at_commit,
    )


def _keys(rows: Sequence[Mapping[str, Any]], tables: Mapping[str, str]) -> dict[str, Key]:
    """Primary keys of text, and beside each the columns of the table's other unique keys.

    None of a table in parts, and of one with a unique key that hangs on more than its columns.
    """
    parts = {whole for part, whole in tables.items() if part != whole} | {
        row["name"] for row in rows if not row["whole"]
    }
    keys = {row["name"]: tuple(row["columns"]) for row in rows if row["first"] and row["plain"]}
    others: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if not row["first"]:
            others[row["name"]] |= set(row["columns"])
    return {
        name: Key(columns, frozenset(others[name] - set(columns)))
        for name, columns in keys.items()
        if name in tables and name not in parts
    }
