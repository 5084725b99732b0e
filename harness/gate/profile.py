"""What a release has to stand: the profile of the gate, from `topup-chaos.toml` or `pyproject.toml`.

An engine has its turn when its table is there, and in the order of this file's classes; `[gate.suite]` alone, with nothing in
it, is the whole suite.
"""

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from fake_provider.dialects import find as find_dialect
from harness.engines.fuzz.catalogue import catalogue_names
from harness.engines.fuzz.generated import GENERATED
from harness.engines.sweep import FAILURES, LINKS
from harness.flow import FLOWS
from harness.gate.budget import TURN_MIN_S
from harness.meeting import MEETINGS
from harness.registry import Registry
from harness.scenario import SCENARIOS
from harness.verdict import INVARIANTS

OWN, SHARED = "topup-chaos.toml", "pyproject.toml"
BASELINE = "topup-chaos-baseline.toml"
Level: TypeAlias = Literal["error", "warning"]


class ProfileError(ValueError):
    """A profile that cannot be used; the message names the file, the field and the remedy."""


def _among(kind: str, there_are: Sequence[str]) -> AfterValidator:
    def check(names: list[str]) -> list[str]:
        for name in names:
            if name not in there_are:
                raise ValueError(f"there is no {kind} {name!r}: there are {', '.join(there_are)}")
        return names

    return AfterValidator(check)


def _registered(registry: Registry[Any]) -> AfterValidator:
    def check(names: list[str]) -> list[str]:
        for name in names:
            try:
                registry[name]
            except LookupError as unknown:
                raise ValueError(f"{unknown} `topup-chaos list` names them all") from None
        return names

    return AfterValidator(check)


def _spoken(names: list[str]) -> list[str]:
    for name in names:
        try:
            find_dialect(name)
        except LookupError as unknown:
            raise ValueError(str(unknown)) from None
    return names


def _attacks(names: list[str]) -> list[str]:
    known = (*catalogue_names(), *GENERATED)
    for name in names:
        if not any(each == name or each.startswith(f"{name}/") for each in known):
            families = dict.fromkeys(each.partition("/")[0] for each in known)
            raise ValueError(f"there is no attack {name!r}: the families are {', '.join(families)}")
    return names


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Engine(_Model):
    """One engine's turn. `share` is its part of the time beside the others'; `time_budget_s` bounds it in seconds (of hostile
    callbacks, in each dialect).

    So many runs as `unknown_runs_max` may be unknown; more make the gate unknown.
    """

    name: ClassVar[str]

    share: float = Field(default=1.0, gt=0)
    time_budget_s: float | None = Field(default=None, ge=TURN_MIN_S)
    unknown_runs_max: int = Field(default=0, ge=0)


class Suite(Engine):
    name = "suite"
    scenarios: Annotated[list[str], _registered(SCENARIOS)] = Field(default_factory=list)


class Fuzz(Engine):
    name = "fuzz"
    generated: int = Field(default=1000, ge=0)
    attacks: Annotated[list[str], AfterValidator(_attacks)] = Field(default_factory=list)


class Interleave(Engine):
    name = "interleave"
    meetings: Annotated[list[str], _registered(MEETINGS)] = Field(default_factory=list)
    preemptions: int | None = Field(default=None, ge=0)


class Sweep(Engine):
    name = "sweep"
    flows: Annotated[list[str], _registered(FLOWS)] = Field(default_factory=list)
    links: Annotated[list[str], _among("link", LINKS)] = Field(default_factory=list)
    faults: Annotated[list[str], _among("fault", tuple(FAILURES))] = Field(default_factory=list)
    workers: int | None = Field(default=None, ge=1)
    allow_unreached: bool = False


class Load(Engine):
    name = "load"
    users: int = Field(default=20, ge=1)
    spawn_rate: float = Field(default=10.0, ge=0.1)
    time_s: int = Field(default=20, ge=5)


class Explore(Engine):
    """Stories until `time_s` seconds are over, or `examples` are told; until its share of the time is over without both."""

    name = "explore"
    time_s: float | None = Field(default=None, ge=1)
    examples: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)


class Profile(_Model):
    """A release profile. Paths are relative to the file that it stands in.

    `never_unknown` are invariants that must have been put to the test somewhere, and unknown nowhere. `payments_min` and
    `callbacks_min`: with fewer judged payments, or hostile callbacks, nothing was shown. Findings below `fail_on` are listed
    and do not count. `seed` is drawn when it is left out.
    """

    target: Path | None = None
    seed: int | None = None
    dialects: Annotated[list[str], AfterValidator(_spoken)] = Field(default_factory=list)
    time_budget_s: float = Field(default=900.0, ge=45)
    baseline: Path = Path(BASELINE)
    fail_on: Level = "warning"
    never_unknown: Annotated[list[str], _registered(INVARIANTS)] = Field(default_factory=list)
    payments_min: int = Field(default=1, ge=0)
    callbacks_min: int = Field(default=1, ge=0)
    suite: Suite | None = None
    fuzz: Fuzz | None = None
    interleave: Interleave | None = None
    sweep: Sweep | None = None
    load: Load | None = None
    explore: Explore | None = None

    @model_validator(mode="after")
    def _has_an_engine(self) -> "Profile":
        if not list(self.engines()):
            raise ValueError(
                f"no engine has its turn: add a table of one, such as [gate.suite]; there are {', '.join(NAMES)}"
            )
        return self

    def engines(self) -> Iterator[Engine]:
        """Those that have their turn, in order: what is decisive and short comes first."""
        for name in NAMES:
            engine: Engine | None = getattr(self, name)
            if engine is not None:
                yield engine

    def only(self, names: Sequence[str]) -> "Profile":
        """With these engines alone. Raises `ProfileError` naming one that has no turn in this profile."""
        there_are = [engine.name for engine in self.engines()]
        for name in names:
            if name not in there_are:
                raise ProfileError(f"--only {name}: the profile gives a turn to {', '.join(there_are)}")
        return self.model_copy(update={name: None for name in NAMES if names and name not in names})


NAMES = ("suite", "fuzz", "interleave", "sweep", "load", "explore")

MONEY = ("credited-at-most-once", "every-payment-is-credited", "only-real-payments-credit", "credit-matches-payment")
DEFAULT = {
    "never_unknown": list(MONEY),
    "suite": {"share": 3},
    "fuzz": {"generated": 400, "share": 2},
    "interleave": {"meetings": ["duplicate-callbacks"], "share": 2},
    "sweep": {"flows": ["top-up-paid"], "links": ["hook"], "allow_unreached": True, "share": 4},
    "load": {"users": 10, "time_s": 15},
    "explore": {"time_s": 60},
}
"""What a gate is that nobody has described: every engine, a quarter of an hour at most."""


def default() -> Profile:
    return Profile.model_validate(DEFAULT)


def read_profile(path: Path | None, folder: Path) -> tuple[Profile, Path | None]:
    """The profile in *path*, else in the first of the two files in *folder* that has one, else the default and no file.

    Raises `ProfileError` naming file, field and remedy.
    """
    for file in (path,) if path is not None else (folder / OWN, folder / SHARED):
        table = _table(file) if path is not None or file.exists() else None
        if table is not None:
            return _validated(table, file), file
    if path is not None:
        raise ProfileError(
            f"{path} has no profile: it begins with {_heading(path)}; `topup-chaos gate --init` writes one"
        )
    return default(), None


def _heading(path: Path) -> str:
    return "[tool.topup-chaos.gate]" if path.name == SHARED else "[gate]"


def _table(path: Path) -> Mapping[str, Any] | None:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(f"{path} cannot be read: {error.strerror}; name a profile with --profile") from None
    except UnicodeDecodeError as error:
        raise ProfileError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise ProfileError(f"{path} is not TOML: {error}") from None
    if path.name == SHARED:
        data = data.get("tool", {}).get("topup-chaos", {})
    found = data.get("gate")
    if found is not None and not isinstance(found, dict):
        raise ProfileError(f"{path}: {_heading(path)} is to be a table")
    return found


def explained(error: ValidationError, under: str = "") -> str:
    """A line for each field that is wrong, with what is to be done about it."""
    lines = []
    for each in error.errors():
        field = ".".join(map(str, (*filter(None, [under]), *each["loc"])))
        wrong, value = each["msg"].removeprefix("Value error, "), each["input"]
        if each["type"] == "extra_forbidden":
            wrong = "there is no such field: `topup-chaos gate --init` writes a profile that shows them all"
        elif isinstance(value, str | int | float):
            wrong += f", and this is {value!r}"
        lines.append(f"  {field}: {wrong}")
    return "\n".join(lines)


def _validated(table: Mapping[str, Any], path: Path) -> Profile:
    try:
        profile = Profile.model_validate(table)
    except ValidationError as error:
        problems = explained(error, _heading(path).strip("[]"))
        raise ProfileError(f"{path} does not describe a gate:\n{problems}") from None
    beside = path.parent
    target = None if profile.target is None else beside / profile.target
    return profile.model_copy(update={"target": target, "baseline": beside / profile.baseline})
