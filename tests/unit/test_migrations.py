"""Migrations expand: what the version before reads and writes stays as it knows it, so that both can run side by side."""

import re
from pathlib import Path

import pytest

from reference_impl.callbacks import CallbackIntake
from reference_impl.following import FollowingIntake, following
from reference_impl.migrate import FOLDER, Schema
from reference_impl.mutants import catalogue
from reference_impl.parts import Parts

FILES = sorted(FOLDER.glob("*.sql"))
CONTRACTS = {
    "takes away what the version before reads": r"DROP\s+(TABLE|COLUMN|VIEW|TYPE|SCHEMA|FUNCTION|SEQUENCE)",
    "is called otherwise by the version before": r"\bRENAME\b",
    "is another type to the version before": r"ALTER\s+(COLUMN\s+)?\w+\s+(SET\s+DATA\s+)?TYPE",
    "is not written by the version before": r"SET\s+NOT\s+NULL|DROP\s+DEFAULT",
    "is needed, and unknown to the version before": (
        r"ADD\s+(COLUMN\s+)?(IF\s+NOT\s+EXISTS\s+)?\w+\s+\w+(?=[^,;]*\bNOT\s+NULL\b)(?![^,;]*\bDEFAULT\b)"
    ),
    "loses what was written": r"\bTRUNCATE\s+(TABLE\s+)?\w+\s*[;,]|\bDELETE\s+FROM\b",
}  # fmt: skip


def contracts(sql: str) -> list[str]:
    """What in a migration would break the version before it, or lose what it wrote; comments say nothing."""
    bare = re.sub(r"--[^\n]*|'[^']*'", "", sql)
    return [why for why, pattern in CONTRACTS.items() if re.search(pattern, bare, re.IGNORECASE)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_a_migration_only_adds(file: Path) -> None:
    """What is no longer used goes in a later release, in a file that is named here, with its reason."""
    assert contracts(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("DROP TABLE claims;", "takes away what the version before reads"),
        ("ALTER TABLE top_ups DROP COLUMN method;", "takes away what the version before reads"),
        ("ALTER TABLE top_ups RENAME COLUMN method TO way;", "is called otherwise by the version before"),
        ("ALTER TABLE top_ups ALTER COLUMN amount_minor TYPE numeric;", "is another type to the version before"),
        ("ALTER TABLE top_ups ALTER amount_minor SET DATA TYPE numeric;", "is another type to the version before"),
        ("ALTER TABLE top_ups ALTER COLUMN payment SET NOT NULL;", "is not written by the version before"),
        ("ALTER TABLE top_ups ALTER COLUMN tenant DROP DEFAULT;", "is not written by the version before"),
        ("ALTER TABLE top_ups ADD COLUMN way text NOT NULL;", "is needed, and unknown to the version before"),
        (
            "ALTER TABLE top_ups ADD way text CHECK (way <> '') NOT NULL;",
            "is needed, and unknown to the version before",
        ),
        ("DELETE FROM outbox WHERE sent_at IS NOT NULL;", "loses what was written"),
        ("TRUNCATE reading;", "loses what was written"),
    ],
)
def test_what_contracts_is_refused(sql: str, why: str) -> None:
    assert contracts(sql) == [why]


@pytest.mark.parametrize(
    "sql",
    [
        "ALTER TABLE top_ups ADD COLUMN way text;",
        "ALTER TABLE top_ups ADD COLUMN way text NOT NULL DEFAULT '';",
        "ALTER TABLE postings DROP CONSTRAINT postings_kind_check;",
        "DROP INDEX top_ups_open; -- DROP TABLE top_ups;",
        "CREATE TABLE flags (flag text PRIMARY KEY, is_on boolean NOT NULL);",
        "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON flags FOR EACH STATEMENT EXECUTE FUNCTION f();",
    ],
)
def test_what_expands_is_not(sql: str) -> None:
    assert contracts(sql) == []


def test_the_version_that_follows_migrates_further_and_writes_what_this_one_does_not() -> None:
    """By a migration that is held to the same rule; the planted bug's is not."""
    later = following(Parts())
    [(_, added)] = later.schema().further()
    assert contracts(added) == []
    assert Schema().further() == []
    assert FollowingIntake.REMEMBER != CallbackIntake.REMEMBER
    assert later.callbacks is FollowingIntake

    [(_, needed)] = following(catalogue()["adds-a-column-that-is-needed"].parts).schema().further()
    assert "is not written by the version before" in contracts(needed)
