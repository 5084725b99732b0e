"""Which row a statement is about, where its text says so: the one whose primary key it names, by value or by parameter.

Only what is certain counts: one table, named once, with its whole key compared to values and nothing that could widen that; or a
row that is inserted with its key among the values. Anything else is about the whole table. Keys are of text alone, whose
bytes are the same however a client sends them.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

_COMMENT_OR_TEXT = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
_VALUE = r"(?:\$\d+|'(?:[^']|'')*')(?:::\w+)?"
_ABOUT = re.compile(
    r"^\s*(?:select\b(?P<what>.*?)\bfrom|update(?:\s+only)?|delete\s+from)\s+(?P<table>[\w.\"]+)"
    r"(?:\s+(?:as\s+)?(?!set\b|where\b)\w+)?(?:\s+set\s+(?P<set>.*?))?\s+where\s+(?P<where>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_WIDENS = re.compile(r"\b(?:or|not|false|unknown|case|select|join|union|except|intersect|using|with)\b", re.IGNORECASE)
_STOPS = r"(?=\s*(?:$|[;)]|\b(?:and|for|returning|limit|order)\b))"
_INSERT = re.compile(
    r"\binsert\s+into\s+(?P<table>[\w.\"]+)\s*\((?P<columns>[\w\s,\"]+)\)\s*values\s*\(", re.IGNORECASE
)

Operand: TypeAlias = int | str
"""Where a value of a key comes from: the number of a parameter, or the value itself."""
Row: TypeAlias = tuple[Operand, ...]
Values: TypeAlias = Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of a table, if it is of text; and the columns of the table's other unique keys."""

    columns: tuple[str, ...]
    others: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key: its columns, the table that they point into, and the columns that they point at."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


def without_comments(sql: str) -> str:
    return _COMMENT_OR_TEXT.sub(lambda found: found[0] if found[0].startswith("'") else " ", sql)


def about(text: str, keys: Mapping[str, Key]) -> dict[str, Row]:
    """The one row of the one table that a SELECT, an UPDATE or a DELETE is about; nothing where that is not certain."""
    found = _ABOUT.match(text)
    if found is None or _WIDENS.search(_no_text(text)):
        return {}
    table = bare(found["table"])
    key = keys.get(table)
    if key is None or assigned(found["set"] or "") & {*key.columns, *key.others}:
        return {}
    values = [_compared(column, found["where"]) for column in key.columns]
    row = tuple(value for value in values if value is not None)
    return {table: row} if len(row) == len(values) else {}


def inserted(text: str) -> Iterator[tuple[str, dict[str, Operand]]]:
    """The tables that a statement inserts one row of values into, and which column comes from where, as far as that is plain."""
    for found in _INSERT.finditer(text):
        values, rest = _tuple(text[found.end() :])
        columns = [bare(column.strip()) for column in found["columns"].split(",")]
        if len(values) == len(columns) and not rest.lstrip().startswith(","):
            operands = {column: _operand(value) for column, value in zip(columns, values, strict=True)}
            yield bare(found["table"]), {column: value for column, value in operands.items() if value is not None}


def assigned(clause: str) -> set[str]:
    """The columns that a SET clause names, whether it assigns them or not."""
    return {word.lower() for word in re.findall(r"\w+", clause)}


def name_of_row(table: str, row: Row, values: Values) -> str:
    """A name for the row, the same for the same key; the table's own where a value is not known."""
    found = [_value(operand, values) for operand in row]
    if not found or any(value is None for value in found):
        return table
    digest = blake2b("\x1f".join(str(value) for value in found).encode("utf-8", "replace"), digest_size=5)
    return f"{table}/{digest.hexdigest()}"


def bare(name: str) -> str:
    return name.replace('"', "").rpartition(".")[2].lower()


def _value(operand: Operand, values: Values) -> str | None:
    if isinstance(operand, str):
        return operand
    return values[operand - 1] if 0 < operand <= len(values) else None


def _compared(column: str, where: str) -> Operand | None:
    found = re.search(rf"(?<![\w<>!])(?:\w+\.)?{re.escape(column)}\s*=\s*({_VALUE}){_STOPS}", where, re.IGNORECASE)
    return _operand(found[1]) if found else None


def _operand(value: str) -> Operand | None:
    text = re.sub(r"::\w+$", "", value.strip())
    if re.fullmatch(r"\$\d+", text):
        return int(text[1:])
    return text[1:-1].replace("''", "'") if re.fullmatch(r"'(?:[^']|'')*'", text) else None


def _tuple(text: str) -> tuple[list[str], str]:
    """The parts of a list in brackets, whose opening one is just before *text*; and what follows it."""
    parts, depth, start, at = list[str](), 0, 0, 0
    while at < len(text):
        letter = text[at]
        if letter == "'":
            literal = _COMMENT_OR_TEXT.match(text, at)
            at = literal.end() - 1 if literal else len(text)
        elif letter == "(":
            depth += 1
        elif letter == ")" and depth == 0:
            return [*parts, text[start:at]], text[at + 1 :]
        elif letter == ")":
            depth -= 1
        elif letter == "," and depth == 0:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [], ""


def _no_text(sql: str) -> str:
    """Without its literals, and without the verb that it begins with."""
    return re.sub(r"^\s*\w+", "", _COMMENT_OR_TEXT.sub(" ", sql))
