"""What came of a gate: each engine's turn, each finding and whether it is new, and the verdict of the whole."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import Enum
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from harness.finding import Finding
from harness.gate.baseline import Accepted
from harness.gate.profile import ProfileError
from harness.guard import Inspection
from harness.verdict import Status

FORMAT = 1
FILE = "gate.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One engine, and what it found. `tried` are the pairs of rule and place that were put to the test, whatever came of it.

    `unknown` says what could not be shown, `notes` what a reader should know and does not weigh. `judged` are invariants
    that gave a verdict somewhere, `unjudged` those that were unknown in some run that is about them. `idle`: it is unknown for
    no other reason than that its plans broke what nothing met, which says nothing of the service.
    """

    engine: str
    name: str
    again: str
    allowed_s: float = 0.0
    took_s: float = 0.0
    folder: Path | None = None
    runs: int = 0
    unknown_runs: int = 0
    payments: Mapping[str, int] = field(default_factory=dict)
    callbacks: int = 0
    findings: Sequence[Finding] = ()
    tried: frozenset[tuple[str, str]] = frozenset()
    judged: frozenset[str] = frozenset()
    unjudged: frozenset[str] = frozenset()
    unknown: Sequence[str] = ()
    notes: Sequence[str] = ()
    idle: bool = False

    @property
    def status(self) -> Status:
        """Broken where anything was found, also what is accepted."""
        return Status.BROKEN if self.findings else Status.UNKNOWN if self.unknown else Status.HOLDS


def both(first: Turn, second: Turn) -> Turn:
    """Two turns of one engine, of which the first was idle: what either found was found, and the second says what was shown."""
    again = [
        each for each in first.findings if each.fingerprint not in {other.fingerprint for other in second.findings}
    ]
    return replace(
        second,
        allowed_s=first.allowed_s + second.allowed_s,
        took_s=first.took_s + second.took_s,
        findings=[*second.findings, *again],
        tried=first.tried | second.tried,
        notes=[*second.notes, f"its second turn; in the first, {first.unknown[0]}"],
    )


class State(Enum):
    """Where a finding stands beside the last gate and the baseline."""

    NEW = "new"
    ONGOING = "ongoing"
    RESOLVED = "resolved"
    NOT_LOOKED_FOR = "not looked for"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classed:
    """A finding, since when it is known (a day, in UTC), and who answers for it. `counts`: it breaks the gate.

    `engine` found it; it is empty for what nobody but the baseline knows of, and the fingerprint is then all that is sure.
    """

    fingerprint: str
    finding: Finding
    state: State
    since: date
    engine: str = ""
    accepted: Accepted | None = None
    expired: bool = False
    lesser: bool = False

    @property
    def seen(self) -> bool:
        return self.state in (State.NEW, State.ONGOING)

    @property
    def counts(self) -> bool:
        return self.seen and not self.lesser and (self.accepted is None or self.expired)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """A whole gate. `missing` are reasons of the gate's own why it is unknown: what had no turn, what was not shown."""

    service: str
    seed: int
    started: datetime
    took_s: float
    budget_s: float
    again: str
    folder: Path
    inspection: Inspection
    turns: Sequence[Turn]
    findings: Sequence[Classed]
    missing: Sequence[str] = ()
    notes: Sequence[str] = ()

    @property
    def counting(self) -> Sequence[Classed]:
        return [each for each in self.findings if each.counts]

    @property
    def unknown(self) -> Sequence[str]:
        """Every reason why not all was shown."""
        return [*self.missing, *(f"{turn.name}: {why}" for turn in self.turns for why in turn.unknown)]

    @property
    def status(self) -> Status:
        """Broken by what counts; unknown where anything was not shown; else it holds."""
        return Status.BROKEN if self.counting else Status.UNKNOWN if self.unknown else Status.HOLDS

    def of(self, state: State) -> Sequence[Classed]:
        return [each for each in self.findings if each.state is state]


# What the next gate is compared with


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A finding that a gate left behind."""

    fingerprint: str
    finding: Finding
    since: date
    engine: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a gate leaves behind for the next, in `gate.json`. Resolved findings are not in it."""

    format: int
    service: str
    status: str
    started: datetime
    findings: Sequence[Known]


_RECORD = TypeAdapter(Record)


def record_of(result: Result) -> str:
    """`gate.json`."""
    known = [
        Known(fingerprint=each.fingerprint, finding=each.finding, since=each.since, engine=each.engine)
        for each in result.findings
        if each.state is not State.RESOLVED and each.engine  # what only the baseline knows stays there
    ]
    record = Record(
        format=FORMAT, service=result.service, status=result.status.word, started=result.started, findings=known
    )
    return _RECORD.dump_json(record, indent=2).decode() + "\n"


def read_record(path: Path) -> Record:
    """Raises `ProfileError` naming the file when there is none, or it is no record of a gate."""
    file = path / FILE if path.is_dir() else path
    try:
        record = _RECORD.validate_json(file.read_bytes())
    except OSError as error:
        raise ProfileError(f"--previous {path}: {file} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ProfileError(f"--previous {path}: {file} is no {FILE}: {where}: {first['msg']}") from None
    if record.format != FORMAT:
        raise ProfileError(f"--previous {path}: its format is {record.format}, and this is written for {FORMAT}")
    return record


def last_record(out: Path, service: str) -> Record | None:
    """The newest of this service under *out*; None where there is none that can be read."""
    for file in sorted(out.glob(f"*-gate*/{FILE}"), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        try:
            record = read_record(file)
        except ProfileError:
            continue
        if record.service == service:
            return record
    return None
