"""What an engine left in its folder, read as findings: `run.json` of those that make plans, `examination.json` of the fuzzer."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from harness.finding import Examination, Finding, Rule
from harness.gate.profile import Engine, Sweep
from harness.gate.result import Turn
from harness.run import PLANS_OWN
from harness.verdict import Status

EXAMINATION = "examination.json"
HOLDS, BROKEN, UNKNOWN = (status.word for status in (Status.HOLDS, Status.BROKEN, Status.UNKNOWN))
SAID_MAX = 3

# The nearest weakness of a promise that is broken, where there is one in the Common Weakness Enumeration: 837 a single action is
# done twice, 345 something is believed that was not proved, 532 secrets in a log, 362 order, 841 a step of a workflow is skipped.
CWE: Mapping[str, tuple[int, ...]] = {
    "credited-at-most-once": (837,),
    "captured-at-most-once": (837,),
    "refunded-at-most-once": (837,),
    "reversed-once": (837,),
    "same-key-same-answer": (837,),
    "only-real-payments-credit": (345,),
    "credit-matches-payment": (345,),
    "hostile-input-is-refused": (345,),
    "no-secret-in-logs": (532,),
    "transitions-are-legal": (841,),
    "status-never-goes-back": (841,),
}


class Unreadable(ValueError):
    """What an engine left cannot be read; the message says what is wrong with it."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class _Violation(_Model):
    says: str


class _Verdict(_Model):
    invariant: str
    promise: str
    status: str
    because: str
    weighs: bool
    violations: list[_Violation]


class _Plan(_Model):
    name: str
    steps: list[dict[str, Any]]


class _Payment(_Model):
    verdict: str


class _Run(_Model):
    plan: _Plan
    status: str
    target: str
    dialect: str
    mutant: str | None
    again: str
    verdicts: list[_Verdict]
    payments: list[_Payment]

    @property
    def where(self) -> str:
        return service(self.target, self.mutant) + (f" ({self.dialect})" if self.dialect else "")

    @property
    def doubts(self) -> Sequence[_Verdict]:
        """Verdicts that weigh and are unknown."""
        return [each for each in self.verdicts if each.weighs and each.status == UNKNOWN]


class _Suite(_Model):
    status: str
    left: int
    left_out: list[str]
    runs: list[_Run]


_EXAMINATION = TypeAdapter(Examination)


def service(target: str, mutant: str | None) -> str:
    """How findings name the service that they are of: one with a planted bug is another service."""
    return f"{target}.{mutant}" if mutant else target


def read_left(turn: Turn, folder: Path, engine: Engine) -> Turn:
    """The turn, with what *engine* left in *folder*.

    Raises `Unreadable` when there is nothing, or nothing that can be understood.
    """
    try:
        if (file := folder / EXAMINATION).exists():
            return _of_examination(turn, _EXAMINATION.validate_json(file.read_bytes()))
        file = folder / "run.json"
        return _of_suite(turn, _Suite.model_validate_json(file.read_bytes()), engine)
    except FileNotFoundError:
        raise Unreadable(f"it left no report in {folder}") from None
    except ValidationError as error:
        first = error.errors()[0]
        raise Unreadable(f"{file} cannot be read: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


def _of_examination(turn: Turn, found: Examination) -> Turn:
    whole = not found.unknown
    return replace(
        turn,
        callbacks=found.sent,
        findings=found.findings,
        # what was not examined to the end may hold what is not found
        tried=frozenset((rule.id, found.where) for rule in found.rules if whole and found.counts.get(rule.id)),
        unknown=[*turn.unknown, *found.unknown],
        notes=[*(f"not seen: {each}" for each in found.unseen), *(f"not sent: {each}" for each in found.left_out)],
    )


def _of_suite(turn: Turn, suite: _Suite, engine: Engine) -> Turn:
    weighing = [run for run in suite.runs if not _proves_nothing(run, engine)]
    doubtful = [run for run in weighing if run.doubts or not any(each.weighs for each in run.verdicts)]
    forgiven = [run for run in doubtful if isinstance(engine, Sweep) and engine.allow_unreached and _unreached(run)]
    counted = [run for run in doubtful if run not in forgiven]
    unknown = [f"{count} were asked for and not made"] if (count := _runs(suite.left)) else []
    if len(counted) > engine.unknown_runs_max:
        unknown += [_doubt(run) for run in counted]
    if not weighing:
        unknown.append("no run proved anything")
    elif suite.status == UNKNOWN and not (unknown or doubtful):
        unknown.append("the engine says unknown: its report has the reason")
    notes = [f"left out: {why}" for why in suite.left_out]
    notes += [f"{_runs(len(forgiven))} met nothing to break, which the profile allows"] if forgiven else []
    if 0 < len(counted) <= engine.unknown_runs_max:
        notes.append(f"{_runs(len(counted))} unknown, and the profile allows {engine.unknown_runs_max}")
    searches = engine.name in ("interleave", "explore")  # half a search has not looked everywhere
    return replace(
        turn,
        runs=len(suite.runs),
        unknown_runs=len(counted),
        payments=Counter(payment.verdict for run in suite.runs for payment in run.payments),
        findings=_findings(suite.runs, engine.name),
        tried=frozenset(() if searches and suite.left else _tried(suite.runs, engine.name)),
        judged=frozenset(each.invariant for run in weighing for each in run.verdicts if each.status != UNKNOWN),
        unjudged=frozenset(each.invariant for run in weighing for each in run.doubts),
        unknown=[*turn.unknown, *unknown],
        notes=notes,
        idle=bool(counted) and not (turn.unknown or suite.left) and all(_is_idle(run) for run in counted),
    )


def _runs(number: int) -> str:
    return "" if not number else "1 run" if number == 1 else f"{number} runs"


def _proves_nothing(run: _Run, engine: Engine) -> bool:
    """A story of chance that says nothing of the service."""
    return engine.name == "explore" and run.status == UNKNOWN and _is_idle(run)


def _is_idle(run: _Run) -> bool:
    """Its plan broke what nothing met, or tried what could not be done, and no other doubt is left."""
    doubts = {each.invariant for each in run.doubts}
    return bool(doubts) and doubts <= PLANS_OWN


def _unreached(run: _Run) -> bool:
    return [each.invariant for each in run.verdicts if each.weighs and each.status != HOLDS] == ["faults-bite"]


def _doubt(run: _Run) -> str:
    first = next(iter(run.doubts), None)
    because = (
        f"{first.invariant}: {(first.because.splitlines() or ['no reason given'])[0]}" if first else "nothing weighs"
    )
    return f"{run.plan.name}: {because}"


def _findings(runs: Sequence[_Run], engine: str) -> Sequence[Finding]:
    """One for each promise and place. Of several runs of a place, the last: what an engine tells again is shorter."""
    found: dict[str, Finding] = {}
    for run in runs:
        for verdict in run.verdicts:
            if verdict.status == BROKEN:
                finding = _finding(run, verdict, engine)
                found[finding.fingerprint] = finding
    return list(found.values())


def _finding(run: _Run, verdict: _Verdict, engine: str) -> Finding:
    cwe = CWE.get(verdict.invariant, ())
    said = [each.says for each in verdict.violations]
    more = f" (and {len(said) - SAID_MAX} more)" if len(said) > SAID_MAX else ""
    return Finding(
        rule=Rule(id=verdict.invariant, what=verdict.promise, correct="the promise is kept whatever breaks", cwe=cwe),
        kind="broken",
        grave=True,
        where=_place(run, engine),
        cwe=cwe,
        says="; ".join(said[:SAID_MAX]) + more or "broken",
        again=run.again,
    )


def _tried(runs: Sequence[_Run], engine: str) -> Iterator[tuple[str, str]]:
    for run in runs:
        for verdict in run.verdicts:
            if verdict.status != UNKNOWN:
                yield verdict.invariant, _place(run, engine)


def _place(run: _Run, engine: str) -> str:
    """Where a promise was put to the test, the same in every run: never a number that a seed or the clock has a part in."""
    match engine:
        case "interleave":
            name = run.plan.name.partition(":")[0]  # a meeting; then come orders
        case "explore":
            name = f"a story like {_shape(run.plan)}"
        case _:
            name = run.plan.name
    return f"{run.where}, {engine}: {name}"


def _shape(plan: _Plan) -> str:
    """A story without its ids, amounts and times: what is done, and what is broken."""
    return sha256("\n".join(_words(plan.steps)).encode()).hexdigest()[:8]


def _words(value: object, name: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _words(inner, str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from _words(inner, name)
    elif isinstance(value, str) and name not in ("id", "about", "key", "account", "payment"):
        yield f"{name}={value}"
