"""A run: what was planned, what happened, and what the judge says of it. What a report renders and what `replay` takes.

On disk, one folder for each command (`reports/runs/<when>-<what>/`): `run.json` holds every run of that command without
its history, `history.jsonl` the events of all of them, in order, each run's beginning with its `plan` event.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from harness.history import Event, History, HistoryError, read
from harness.plan import Plan, PlanError, decode, encode
from harness.verdict import Status, Verdict

FORMAT = 1
PLANS_OWN = frozenset({"faults-bite", "operations-are-done"})
"""Rules of honesty that speak of the plan and not of the service."""


@dataclass(frozen=True, slots=True)
class PaymentVerdict:
    """What became of one payment, in one word, from three independent books."""

    payment: str
    account: str
    amount_minor: int
    currency: str
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One plan carried out once. `again` is the command that repeats it."""

    plan: Plan
    target: str
    mutant: str | None
    proxies: str
    versions: Mapping[str, str]
    started: datetime
    took_s: float
    history: History
    verdicts: tuple[Verdict, ...]
    payments: tuple[PaymentVerdict, ...]
    again: str
    dialect: str = ""
    """How callbacks were written; empty in runs that were recorded before there was a choice."""
    tries: int = 1
    """How often the plan was carried out until its faults met what they should break; this is the last time."""

    def __hash__(self) -> int:
        return hash((self.plan.name, self.started))

    @property
    def status(self) -> Status:
        return max((verdict.status for verdict in self.verdicts if verdict.weighs), default=Status.UNKNOWN)

    @property
    def unreached(self) -> bool:
        """Nothing speaks against the run but that a fault met nothing to break."""
        weighing = [each for each in self.verdicts if each.weighs and each.status is not Status.HOLDS]
        return [each.invariant for each in weighing] == ["faults-bite"]

    @property
    def unproved(self) -> bool:
        """Unknown for no other reason than that the plan broke what nothing met, or tried what could not be done."""
        unknown = {each.invariant for each in self.verdicts if each.weighs and each.status is Status.UNKNOWN}
        return self.status is Status.UNKNOWN and unknown <= PLANS_OWN

    @property
    def broken(self) -> frozenset[str]:
        return frozenset(verdict.invariant for verdict in self.verdicts if verdict.status is Status.BROKEN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """All runs of one command. `folder` is where they are written.

    `left` counts the runs that were asked for and not made: then the whole is unknown at best. `left_out` says which runs
    there cannot be, and why: they do not weigh. `searched` says how far a search went, a line for each thing searched.

    Where plans were `drawn` by chance, those that proved nothing do not weigh, as long as others held and some fault bit.
    """

    name: str
    started: datetime
    took_s: float
    runs: tuple[Run, ...]
    folder: Path
    again: str
    left: int = 0
    left_out: tuple[str, ...] = ()
    searched: tuple[str, ...] = ()
    drawn: bool = False

    @property
    def weighing(self) -> Sequence[Run]:
        """The runs that say something of the service."""
        return [run for run in self.runs if not (self.drawn and run.unproved)]

    @property
    def status(self) -> Status:
        made = max((run.status for run in self.weighing), default=Status.UNKNOWN)
        if self.drawn and not any(ended["touched"] for run in self.runs for ended in run.history.of("fault-ended")):
            made = max(made, Status.UNKNOWN)
        return max(made, Status.UNKNOWN) if self.left else made


def to_json(suite: Suite) -> dict[str, Any]:
    """`run.json`, as `reports/run.schema.json` describes it."""
    return {
        "format": FORMAT,
        "name": suite.name,
        "status": suite.status.word,
        "started": suite.started.isoformat(),
        "took_s": round(suite.took_s, 3),
        "again": suite.again,
        "left": suite.left,
        "left_out": list(suite.left_out),
        "searched": list(suite.searched),
        "runs": [_run_to_json(run) for run in suite.runs],
    }


def _run_to_json(run: Run) -> dict[str, Any]:
    return {
        "plan": encode(run.plan),
        "status": run.status.word,
        "target": run.target,
        "dialect": run.dialect,
        "mutant": run.mutant,
        "proxies": run.proxies,
        "versions": dict(run.versions),
        "started": run.started.isoformat(),
        "took_s": round(run.took_s, 3),
        "again": run.again,
        "tries": run.tries,
        "events": len(run.history),
        "verdicts": [
            {
                "invariant": verdict.invariant,
                "promise": verdict.promise,
                "status": verdict.status.word,
                "because": verdict.because,
                "weighs": verdict.weighs,
                "violations": [
                    {
                        "says": found.says,
                        "payment": found.payment,
                        "verdict": found.verdict,
                        "evidence": [round(event.at, 6) for event in found.evidence],
                    }
                    for found in verdict.violations
                ],
            }
            for verdict in run.verdicts
        ],
        "payments": [
            {
                "payment": each.payment,
                "account": each.account,
                "amount_minor": each.amount_minor,
                "currency": each.currency,
                "verdict": each.verdict,
            }
            for each in run.payments
        ],
    }


@dataclass(frozen=True, slots=True)
class Recorded:
    """What `replay` and `shrink` need of an earlier run: its plan, which service it was carried out on, what was broken."""

    plan: Plan
    status: str
    target: str
    mutant: str | None
    broken: tuple[str, ...] = ()
    dialect: str | None = None


def recorded(folder: Path) -> Sequence[Recorded]:
    """The runs of an earlier command, read from its folder or its `run.json`.

    Raises `PlanError` naming file and field when they cannot be read.
    """
    path = folder / "run.json" if folder.is_dir() else folder
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PlanError(f"{path} does not exist: name a folder under reports/runs/, or a run.json") from None
    except ValueError as error:
        raise PlanError(f"{path} is not JSON: {error}") from None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise PlanError(f"{path}: `format` is not {FORMAT}: it was not written by this version of topup-chaos")
    try:
        return [
            Recorded(
                decode(run["plan"]),
                str(run["status"]),
                str(run["target"]),
                run["mutant"],
                _broken(run),
                run.get("dialect") or None,
            )
            for run in data["runs"]
        ]
    except KeyError as missing:
        raise PlanError(f"{path} has no {missing} where there should be one") from None
    except (PlanError, TypeError) as error:
        raise PlanError(f"{path}: {error}") from None


def _broken(run: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(str(each["invariant"]) for each in run["verdicts"] if each["status"] == Status.BROKEN.word)


def histories(path: Path) -> Sequence[History]:
    """The histories in one `history.jsonl` (or the folder that holds it), one for each `plan` event.

    Raises `HistoryError` naming file and line.
    """
    path = path / "history.jsonl" if path.is_dir() else path
    try:
        events: Iterable[Event] = read(path)
    except OSError as error:
        why = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
        raise HistoryError(f"{path} {why}: name a history.jsonl, or a folder under reports/runs/") from None
    runs: list[list[Event]] = []
    for event in events:
        if event.kind == "plan":
            runs.append([])
        if not runs:
            raise HistoryError(f"{path}: the first event is not a plan: this is not the beginning of a history")
        runs[-1].append(event)
    return [History.merged(run) for run in runs]
