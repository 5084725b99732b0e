"""Gates written by hand: findings, turns and results of a few words."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from harness.finding import Finding, Rule
from harness.gate.baseline import Accepted, Baseline
from harness.gate.result import Known, Record, Result, Turn
from harness.guard import Inspection, Pointed

TODAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
SHOP = "shop (stripe)"


def finding(
    rule: str = "credited-at-most-once", where: str = f"{SHOP}, suite: duplicate-callbacks", **facts: Any
) -> Finding:
    broken = Rule(id=rule, what="A payment credits its account once.", correct="it does", cwe=(837,))
    plain = Finding(
        rule=broken,
        kind="broken",
        grave=True,
        where=where,
        cwe=(837,),
        says="pay_1 was credited 2 times",
        again="topup-chaos run",
    )
    return replace(plain, **facts)


def turn(*findings: Finding, tried: Sequence[tuple[str, str]] = (), **facts: Any) -> Turn:
    pairs = {*tried, *((each.rule.id, each.where) for each in findings)}
    plain = Turn(
        engine="suite", name="suite", again="topup-chaos run", allowed_s=60, took_s=9, runs=2, payments={"exact": 5}
    )
    return replace(plain, findings=findings, tried=frozenset(pairs), **facts)


def known(*findings: Finding, since: date = date(2026, 11, 1)) -> Record:
    each = [Known(fingerprint=one.fingerprint, finding=one, since=since, engine="suite") for one in findings]
    return Record(format=1, service="shop", status="broken", started=NOON, findings=each)


def accepted(*findings: Finding, until: date = date(2027, 1, 31)) -> Baseline:
    entries = [
        Accepted(
            fingerprint=each.fingerprint, rule=each.rule.id, where=each.where, owner="jo", reason="known", until=until
        )
        for each in findings
    ]
    return Baseline(Path("topup-chaos-baseline.toml"), {each.fingerprint: each for each in entries})


NOTHING = Baseline(Path("topup-chaos-baseline.toml"), {})


def result(folder: Path, turns: Sequence[Turn], findings: Sequence[Any] = (), **facts: Any) -> Result:
    plain = Result(
        service="shop",
        seed=1,
        started=NOON,
        took_s=30,
        budget_s=60,
        again="topup-chaos gate --seed 1",
        folder=folder,
        inspection=Inspection((Pointed("target.toml [start.env] DATABASE_URL", "database", "{db}", "here"),)),
        turns=turns,
        findings=findings,
    )
    return replace(plain, **facts)
