"""What a statement touches, as far as its text and the schema can tell: which pairs of statements could notice their order.

Two statements whose footprints do not meet may be swapped, and nobody can tell: not PostgreSQL, not the service. That is what
an engine that tries every order leaves out. So a footprint may be too large, which costs time, but never too small: what
is not understood touches everything.

Under READ COMMITTED (PostgreSQL documentation, "Transaction Isolation" and "Explicit Locking") a plain read sees what was
committed before it began, and neither waits nor makes anybody wait. So it meets the COMMIT of a transaction that wrote what
it reads, and not the writing itself.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.wire.rows import (
    Key,
    Reference,
    Row,
    Values,
    about,
    assigned,
    bare,
    inserted,
    name_of_row,
    without_comments,
)

Names = frozenset[str]
NOTHING: Names = frozenset()
EVERYTHING: Names = frozenset({"*"})
ADVISORY = "advisory locks"

_NOISE = re.compile(r"'(?:[^']|'')*'|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_][\w$]*")
_CALL = re.compile(r"([A-Za-z_][\w$]*)\s*\(")
_TARGET = re.compile(
    r"\b(insert|merge)\s+into\s+(?:only\s+)?([\w.\"]+)|\b(update)\s+(?:only\s+)?([\w.\"]+)|\b(delete)\s+from\s+(?:only\s+)?([\w.\"]+)",
    re.IGNORECASE,
)
LOCKING = re.compile(r"\bfor\s+(?:update|no\s+key\s+update|share|key\s+share)\b", re.IGNORECASE)
_SET = re.compile(r"\bset\s+(.*?)(?:\bwhere\b|$)", re.IGNORECASE | re.DOTALL)
_CONFLICT = re.compile(r"\bon\s+conflict\b", re.IGNORECASE)
_ADVISORY = re.compile(r"\bpg_(?:try_)?advisory_(?:xact_)?(?:lock|unlock)(?:_shared)?\s*\(", re.IGNORECASE)

_READS = {"SELECT", "WITH", "VALUES", "TABLE"}
_WRITES = {"INSERT", "UPDATE", "DELETE", "MERGE"}
_OPENS = {"BEGIN", "START"}
_ENDS = {"COMMIT", "END", "ROLLBACK", "ABORT", "PREPARE"}
# Of the connection alone, or of nothing: no other connection can see them.
_OWN = {"SET", "SHOW", "RESET", "SAVEPOINT", "RELEASE", "DEALLOCATE", "DISCARD", "CLOSE", "UNLISTEN", "LISTEN"}


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a statement touches, by what it does to it. A name is a table (`accounts`), a row of one (`accounts/5f2c…`) or `*`.

    `reads` what was committed; `appends` rows that can be in nobody's way; `adds` rows that may be, by a unique key; `shares`
    rows, so that nobody may remove them (foreign keys); `locks` rows, to change them or to keep others from that; `seals` those
    that nobody may share either. At the end of a transaction `publishes` is what others then see or may have, `settles` the
    part of it that foreign keys ask for, and `frees` what was only shared.
    """

    reads: Names = NOTHING
    appends: Names = NOTHING
    adds: Names = NOTHING
    shares: Names = NOTHING
    locks: Names = NOTHING
    seals: Names = NOTHING
    publishes: Names = NOTHING
    settles: Names = NOTHING
    frees: Names = NOTHING

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__slots__)

    def __or__(self, other: "Footprint") -> "Footprint":
        return Footprint(*(getattr(self, name) | getattr(other, name) for name in self.__slots__))

    def meets(self, other: "Footprint") -> bool:
        """Could anybody notice in which order these two were done?"""
        return self._before(other) or other._before(self)

    def _before(self, other: "Footprint") -> bool:
        return (
            _common(self.publishes, other.reads | other.locks | other.adds)
            or _common(self.settles, other.shares)
            or _common(self.frees, other.seals)
            or _common(self.locks, other.locks)
            or _common(self.seals, other.shares | other.adds)
            or _common(self.adds, other.adds)
        )

    def encode(self) -> dict[str, list[str]]:
        """Only what is not empty, for the history."""
        return {name: sorted(names) for name in self.__slots__ if (names := getattr(self, name))}

    @classmethod
    def decode(cls, data: Mapping[str, Any]) -> "Footprint":
        return cls(**{name: frozenset(names) for name, names in data.items()})


def _common(one: Names, other: Names) -> bool:
    """Is anything in both: the same name, or a row of one whose table is in the other?"""
    if not one or not other:
        return False
    if one & other or "*" in one or "*" in other:
        return True
    return bool(_tables(one) & other or one & _tables(other))


def _tables(names: Names) -> Names:
    """The tables that these rows are of."""
    return frozenset(name.partition("/")[0] for name in names if "/" in name)


@dataclass(frozen=True, slots=True)
class Schema:
    """What the catalogue says of a database, as far as footprints need it.

    `tables` are its tables, each with the name that it goes by here: a partition goes by the name of the whole. `keys` are
    their primary keys, of those that are of text; `references` their foreign keys. `free` are the tables to which rows can
    be added in any order: all their unique keys are made by the database. `hidden` is the text of what runs when a name is
    used: of functions and views by their own name, of triggers and rules by their table's; `at_commit` that of a table's
    deferred constraint triggers.
    """

    tables: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    references: Mapping[str, Sequence[Reference]] = field(default_factory=dict)
    free: Names = NOTHING
    hidden: Mapping[str, str] = field(default_factory=dict)
    at_commit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Shape:
    """What a text touches, whatever its parameters are, and where the keys of single rows stand in it."""

    footprint: Footprint
    rows: Mapping[str, Row]
    shared: Mapping[str, Row]

    def of(self, values: Values) -> Footprint:
        rows = {table: name_of_row(table, row, values) for table, row in self.rows.items()}
        shared = {table: name_of_row(table, row, values) for table, row in self.shared.items()}
        named = {
            name: frozenset((shared if name == "shares" else rows).get(each, each) for each in names)
            for name in Footprint.__slots__
            if (names := getattr(self.footprint, name))
        }
        return Footprint(**named)


class Reader:
    """Footprints of the statements of one database, each text read once."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._shapes: dict[str, Shape] = {}

    def of(self, sql: str, values: Values = ()) -> Footprint:
        """What the statement touches by itself; the ends of transactions touch nothing here: see `Transaction`."""
        if sql not in self._shapes:
            self._shapes[sql] = self._shape(sql)
        return self._shapes[sql].of(values)

    def at_commit(self, touched: Footprint) -> Footprint:
        """What the deferred triggers of the tables that a transaction wrote read at its end."""
        wrote = {name.partition("/")[0] for name in touched.appends | touched.adds | touched.locks}
        return Footprint(reads=_union(self._mentioned(self._schema.at_commit.get(name, "")) for name in wrote))

    def _shape(self, sql: str) -> Shape:
        footprint = Footprint()
        for statement in _NOISE.sub(" ", sql).split(";"):
            footprint |= self._one(statement)
        text = without_comments(sql)
        rows, shared = self._rows(text), self._shared(text)
        return Shape(footprint, rows, {table: row for table, row in shared.items() if table in footprint.shares})

    def _rows(self, text: str) -> dict[str, Row]:
        """Tables that the statement touches in one row alone. One that is named twice, or has triggers that name it, is not."""
        rows = about(text, self._schema.keys)
        for table, columns in inserted(text):
            key = self._schema.keys.get(table)
            if key and not key.others and set(key.columns) <= columns.keys():
                rows[table] = tuple(columns[column] for column in key.columns)
        words = [word.lower() for word in _WORD.findall(_NOISE.sub(" ", text))]
        return {
            table: row
            for table, row in rows.items()
            if words.count(table) == 1 and table not in self._mentioned(self._schema.hidden.get(table, ""))
        }

    def _shared(self, text: str) -> dict[str, Row]:
        """Rows that foreign keys of an inserted row point at, of tables that only one of them points into."""
        rows: dict[str, list[Row]] = {}
        for table, columns in inserted(text):
            for reference in self._schema.references.get(table, ()):
                key = self._schema.keys.get(reference.parent)
                points = dict(zip(reference.parent_columns, reference.columns, strict=True))
                operands = [columns.get(points.get(column, "")) for column in key.columns] if key else [None]
                rows.setdefault(reference.parent, []).append(tuple(each for each in operands if each is not None))
        tables = len(_targets(_NOISE.sub(" ", text)))
        return {
            parent: found[0]
            for parent, found in rows.items()
            if tables == 1 and len(set(found)) == 1 and len(found[0]) == len(self._schema.keys[parent].columns)
        }

    def _one(self, text: str) -> Footprint:
        verb = _first(text)
        if not verb or verb in _OPENS | _ENDS | _OWN:
            return Footprint()
        if verb not in _READS | _WRITES:
            return Footprint(locks=EVERYTHING, seals=EVERYTHING, publishes=EVERYTHING, settles=EVERYTHING)
        schema = self._schema
        mentioned = self._mentioned(text)
        advisory = Footprint(locks=frozenset({ADVISORY}) if _ADVISORY.search(text) else NOTHING)
        named = {name.lower() for name in _CALL.findall(text)} | {name for name, _ in _targets(text)}
        if LOCKING.search(text) or named & schema.hidden.keys() - schema.tables.keys():
            # Rows are locked by hand, or a function or a view is used: it may write whatever it mentions.
            return Footprint(reads=mentioned, locks=mentioned, seals=mentioned) | advisory
        targets = [(schema.tables[name], verb) for name, verb in _targets(text) if name in schema.tables]
        own = Footprint(reads=mentioned - {name for name, _ in targets}) | advisory
        for name, does in targets:
            own |= self._written(name, does, text)
        return own

    def _written(self, table: str, does: str, text: str) -> Footprint:
        """What one written table brings with it: the rows themselves, foreign keys, triggers."""
        schema, itself = self._schema, frozenset({table})
        by_triggers = self._mentioned(schema.hidden.get(table, ""))
        changed = assigned(" ".join(_SET.findall(text)))
        own = Footprint(
            locks=by_triggers,
            seals=by_triggers,
            shares=frozenset(
                reference.parent
                for reference in schema.references.get(table, ())
                if does != "update" or changed & set(reference.columns)
            ),
        )
        if does == "insert" and not _CONFLICT.search(text):
            return own | (Footprint(appends=itself) if table in schema.free else Footprint(adds=itself))
        if does == "insert":  # it may meet a row that is there already, and looks; DO UPDATE changes it
            return own | Footprint(reads=itself, adds=itself, locks=itself if changed else NOTHING)
        children = frozenset(
            child for child, found in schema.references.items() if any(each.parent == table for each in found)
        )
        if does == "update" and self._keeps_keys(table, changed):
            return own | Footprint(reads=itself, locks=itself)
        return own | Footprint(reads=itself, locks=children | itself, seals=children | itself)

    def _keeps_keys(self, table: str, changed: set[str]) -> bool:
        """Nothing is changed that another row may forbid, or a foreign key may ask for; as far as that is known."""
        key = self._schema.keys.get(table)
        references = [each for found in self._schema.references.values() for each in found if each.parent == table]
        referred = {column for each in references for column in each.parent_columns}
        return key is not None and not changed & {*key.columns, *key.others, *referred}

    def _mentioned(self, text: str, seen: Names = NOTHING) -> Names:
        """The tables that a text names, also by way of the functions and views that it names."""
        words = {word.lower() for word in _WORD.findall(_NOISE.sub(" ", text))}
        found = frozenset(self._schema.tables[word] for word in words & self._schema.tables.keys())
        behind = (words & self._schema.hidden.keys()) - self._schema.tables.keys() - seen
        return found | _union(self._mentioned(self._schema.hidden[name], seen | {name}) for name in behind)


def _union(sets: Iterable[Names]) -> Names:
    return frozenset().union(*sets)


def _targets(text: str) -> list[tuple[str, str]]:
    """The tables that a statement writes by name, and what it does to each: insert, update, delete or merge."""
    found = []
    for match in _TARGET.finditer(text):
        verb, name = (part for part in match.groups() if part)
        found.append((bare(name), verb.lower()))
    return found


def still_asleep(asleep: Iterable[int], could: Mapping[int, Footprint], goes: int) -> frozenset[int]:
    """Of the lanes asleep, those that do not notice that *goes* takes its turn. *could* is what each lane is about to do.

    A lane that is not among them sleeps no more: what it will do next is not known.
    """
    turn = could[goes]
    return frozenset(lane for lane in asleep if lane != goes and lane in could and not turn.meets(could[lane]))


class Transaction:
    """What one connection has touched since its transaction began, and so what the end of it publishes."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.touched = Footprint()
        self.open = False

    def next(self, sql: str, values: Values = (), *, strict: bool = False) -> Footprint:
        """The footprint of *sql* as the next statement of this connection; *strict* where a snapshot is kept.

        Under REPEATABLE READ and SERIALIZABLE what a statement sees, and whether it is refused, hangs on every commit.
        """
        if _ends(sql):
            return self._published(self.touched)
        own = self._reader.of(sql, values)
        if strict and _first(sql) not in _OPENS | _OWN:
            own |= Footprint(reads=EVERYTHING)
        return own if self.open or not own else own | self._published(own)

    def done(self, sql: str, values: Values = ()) -> None:
        """The statement was let go."""
        if _ends(sql):
            self.open, self.touched = False, Footprint()
        elif _first(sql) in _OPENS:
            self.open, self.touched = True, Footprint()
        elif self.open:
            self.touched |= self._reader.of(sql, values)

    def _published(self, touched: Footprint) -> Footprint:
        """What others see or have from here on: what was written, and every lock."""
        written = touched.appends | touched.adds | touched.locks
        if not written | touched.shares:
            return Footprint()
        ended = Footprint(
            publishes=written, settles=touched.adds | touched.appends | touched.seals, frees=touched.shares
        )
        return ended | self._reader.at_commit(touched)


def _ends(sql: str) -> bool:
    """Back to a savepoint is no end; what was locked since is let go, but a footprint may be too large."""
    return _first(sql) in _ENDS and not re.search(r"\bto\b", sql, re.IGNORECASE)


def _first(sql: str) -> str:
    found = _WORD.search(_NOISE.sub(" ", sql))
    return found[0].upper() if found else ""
