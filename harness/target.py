"""Someone's service, described in `target.toml`: how to start it, how to talk to it, what its words mean.

Nothing in the file is code. Placeholders in braces are filled in at run time; a string that is one placeholder takes the
value's own type, so that `amount_minor = "{amount_minor}"` sends a number.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from harness.signing import Signer, derived

# What calls itself one of these is refused (H11): a chaos tool has no business there.
PRODUCTION = re.compile(r"(?<![a-z])(?:prod(?:uction)?|live)(?![a-z])", re.IGNORECASE)

KEYS = "TOPUP_CHAOS_KEYS"
"""The environment variable that says the keys of principals to whoever asks a service that is up."""

# Promises about what customers read, which nobody can judge who does not know what the words mean.
WORDED = ("told-the-truth", "status-never-goes-back")

Word: TypeAlias = Literal["processing", "confirmed", "credited", "failed", "reversed"]


class TargetError(ValueError):
    """A target that cannot be used; the message names the file, the field and the remedy."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Start(_Model):
    """How to start the service; `mutant_command` starts it with one planted bug, where it has such a thing.

    `mutants` names the bugs that there are. A service in Python that is killed often starts faster when the modules in
    `preload` are imported once, and each start is a fork of the process that has them: they must not look at their
    environment, open anything or start a thread when they are imported. `settings` are further environment variables under
    names that the fault `settings` knows them by.

    `mixed` names settings that do not belong together, each as what it changes in `env`: with them it must not start.
    """

    command: list[str]
    mutant_command: list[str] = Field(default_factory=list)
    next_command: list[str] = Field(default_factory=list)
    """Starts the version after this one, for a rolling restart; `{mutant}` is empty for the service itself."""
    preload: list[str] = Field(default_factory=list)
    mutants: list[str] = Field(default_factory=list)
    env: dict[str, str] = Field(default_factory=dict)
    settings: dict[str, dict[str, str]] = Field(default_factory=dict)
    mixed: dict[str, dict[str, str]] = Field(default_factory=dict)
    ready: str = "GET /healthz"
    ready_within_s: float = 20.0

    @field_validator("preload")
    @classmethod
    def _is_a_module(cls, preload: list[str], info: ValidationInfo) -> list[str]:
        commands = [command for name in ("command", "mutant_command") if (command := info.data.get(name))]
        if preload and not all(len(command) > 2 and command[1] == "-m" for command in commands):
            raise ValueError(
                'preload is for what is started by ["{python}", "-m", "some.module", …], without options before -m'
            )
        return preload

    @field_validator("mutants")
    @classmethod
    def _can_be_started(cls, mutants: list[str], info: ValidationInfo) -> list[str]:
        if mutants and not info.data.get("mutant_command"):
            raise ValueError("a target with mutants needs a mutant_command, in which {mutant} is the name of one")
        return mutants


class Backup(_Model):
    """How the service is backed up into `{folder}`, and restored from it into an empty database; as a planted bug does it, too."""

    save: list[str]
    restore: list[str]
    mutant_save: list[str] = Field(default_factory=list)
    mutant_restore: list[str] = Field(default_factory=list)


class Callbacks(_Model):
    path: str
    dialect: str = "standard-webhooks"


class Operation(_Model):
    """One verb: the request, and where in the answer the facts are (dotted paths; `list` names a list of objects)."""

    request: Annotated[str, Field(pattern=r"^(GET|POST|PUT|PATCH|DELETE) /")]
    headers: dict[str, str] = Field(default_factory=dict)
    query: dict[str, str] = Field(default_factory=dict)
    json_body: dict[str, Any] | None = Field(default=None, alias="json")
    form: dict[str, str] | None = None
    list_at: str = Field(default="", alias="list")
    answer: dict[str, str] = Field(default_factory=dict)
    text: Literal["json", "prometheus"] = "json"
    """How the answer is written. In Prometheus' text, a fact is a series: `"requests_total{code=\"200\"}"`."""

    def asks(self, other: "Operation") -> bool:
        """Whether both are one request, of whose answer each reads its own part."""
        parts = ("request", "headers", "query", "json_body", "form")
        return all(getattr(self, part) == getattr(other, part) for part in parts)


class Audited(_Model):
    """What an operation that was done owes the service's audit log: `by` whom, by the name that the log has for them, the deed,
    and what it was done to.

    `subject` may be empty; placeholders are the operation's own, and the facts of its answer.
    """

    by: str
    deed: str
    subject: str = ""
    who: str = "default"
    """Which of the target's principals owes it; what another one does owes nothing."""
    when: dict[str, str] = Field(default_factory=dict)
    """What the answer must say for it to be owed: that it was not done already, by somebody else."""


class Rewrite(_Model):
    """A text in the service's audit log, in SQL's words, and what somebody who owns the database would put in its place."""

    table: str
    column: str
    value: str
    where: str


class Operations(_Model):
    """What the service can be asked. Only `top_up` and `balance` are indispensable."""

    top_up: Operation
    balance: Operation
    statement: Operation | None = None
    """The balance again, in an answer that has more of the books in it: the audit asks it instead."""
    open_account: Operation | None = None
    status: Operation | None = None
    return_from_provider: Operation | None = None
    """The page that a customer comes back to from the provider's, with what the provider has in its query of a success."""
    refund: Operation | None = None
    entries: Operation | None = None
    timeline: Operation | None = None
    discrepancies: Operation | None = None
    reconcile: Operation | None = None
    figures: Operation | None = None
    compare: Operation | None = None
    audit: Operation | None = None
    switch: Operation | None = None
    reviews: Operation | None = None
    findings: Operation | None = None
    correct: Operation | None = None
    approve: Operation | None = None

    def named(self, kind: str) -> Operation | None:
        found: Operation | None = getattr(self, kind, None)
        return found


class Corrections(_Model):
    """How operators correct: one of more minor units than `limit_minor` needs a second person's approval."""

    limit_minor: int = Field(ge=0)


class Principal(_Model):
    """Somebody who asks, and the headers that say so. `{key}` in them is a secret that the harness draws for this one alone,
    and that the service is told of as `{key_NAME}` in `[start.env]`.
    """

    headers: dict[str, str]


class SigningPrincipal(Principal):
    """Somebody who signs each request (ACS3-HMAC-SHA256) instead of sending a key along.

    `id` is the access key's, and `secret` what it signs with: with `derived_for`, what HMAC-SHA256 under `secret` makes of that
    text, in base64url without padding, as a service does that derives a secret for each key from one that it is told.
    """

    headers: dict[str, str] = Field(default_factory=dict)
    id: str
    secret: str = Field(repr=False)
    derived_for: str = ""

    @property
    def signer(self) -> Signer:
        return Signer(self.id, derived(self.secret, self.derived_for))


class Principals(_Model):
    """Who there is. A service that asks nobody who they are has none of them, and is sent nothing."""

    default: Principal | None = None
    """Who asks, wherever nobody else is named."""
    operator: Principal | None = None
    """Who corrects what was found."""
    second: Principal | None = None
    """Another such person, who approves."""
    initiator: Principal | None = None
    """Of the same tenant: may ask for top-ups and look at them, and may not reconcile or compare."""
    stranger: Principal | None = None
    """Of another tenant, where it may do everything."""
    former: Principal | None = None
    """Of the same tenant, with a key that was revoked."""
    signer: SigningPrincipal | None = None
    """Of the same tenant: asks for top-ups, and signs instead of sending a key along."""

    def named(self, name: str) -> Principal | None:
        found: Principal | None = getattr(self, name, None)
        return found


class States(_Model):
    """The state machine that the service claims to follow."""

    final: list[str]
    moves: dict[str, list[str]]


class Target(_Model):
    """A service under test. `allow_hosts` are machines beside this one that it may be pointed at (`harness/guard.py`)."""

    name: str
    environment: str
    allow_hosts: list[str] = Field(default_factory=list)
    start: Start
    callbacks: Callbacks
    operations: Operations
    audited: dict[str, Audited] = Field(default_factory=dict)
    backup: Backup | None = None
    rewrite: Rewrite | None = None
    words: dict[str, Word] = Field(default_factory=dict)
    states: States | None = None
    corrections: Corrections | None = None
    principals: Principals = Principals()

    @field_validator("environment")
    @classmethod
    def _is_not_production(cls, environment: str) -> str:
        if PRODUCTION.search(environment):
            raise ValueError(
                f"{environment!r} looks like production, and is refused: give the stack an environment of its own"
            )
        return environment

    def known_mutant(self, name: str) -> str:
        """*name*, if it is one of `[start] mutants`; raises `TargetError` naming those that there are."""
        if not self.start.mutants:
            raise TargetError(f"{self.name} has no mutant {name!r}: its [start] mutants would name those that it has")
        if name not in self.start.mutants:
            raise TargetError(f"{self.name} has no mutant {name!r}: there are {', '.join(self.start.mutants)}")
        return name

    def knowing(self, keys: Mapping[str, str]) -> "Target":
        """The same service, with each principal's own of *keys* in its headers. Raises `TargetError` where one is missing."""
        filled: dict[str, Principal] = {}
        for name, each in self.principals:
            if each is None:
                continue
            headers = {header: _with_key(text, name, keys) for header, text in each.headers.items()}
            filled[name] = each.model_copy(update={"headers": headers})
            if isinstance(each, SigningPrincipal):
                filled[name] = filled[name].model_copy(update={"secret": _with_key(each.secret, name, keys)})
        return self.model_copy(update={"principals": self.principals.model_copy(update=filled)})

    def asked_by(self, principal: str = "default") -> Mapping[str, str]:
        """The headers with which a principal asks; none where the target names no such one."""
        found = self.principals.named(principal)
        return {} if found is None else found.headers

    def signer(self, principal: str) -> Signer | None:
        """How a principal signs; None where it does not."""
        found = self.principals.named(principal)
        return found.signer if isinstance(found, SigningPrincipal) else None

    def speaking(self, dialect: str | None) -> "Target":
        """The same service, told to take callbacks in another dialect. Raises `TargetError` when it cannot be told."""
        if dialect is None or dialect == self.callbacks.dialect:
            return self
        told = "{dialect}" in self.callbacks.path or any("{dialect}" in value for value in self.start.env.values())
        if not told:
            raise TargetError(
                f"{self.name} cannot be told to speak {dialect}: put {{dialect}} into [callbacks] path or [start.env]"
            )
        return self.model_copy(update={"callbacks": self.callbacks.model_copy(update={"dialect": dialect})})

    @property
    def rotates(self) -> bool:
        """Whether it can be told of a callback secret that was rotated out, and of its end."""
        told = " ".join(self.start.env.values())
        return "{old_secret}" in told and "{old_secret_until}" in told

    def lacks(self, fault: str) -> str:
        """What a fault needs that does not stand in this file; empty where nothing is missing."""
        needed = {
            "rewrite": ("[rewrite]", self.rewrite),
            "restore": ("[backup]", self.backup),
            "roll-out": ("[start] next_command", self.start.next_command or None),
        }
        name, there = needed.get(fault, ("", True))
        return "" if there else name

    def unoffered(self) -> dict[str, str]:
        """Kinds of event that this target cannot yield, or promises that it cannot be held to, and why. Not weighed."""
        operations = {"transition": "timeline", "discrepancy": "discrepancies", "ledger-read": "entries"}
        missing = {
            event: f"it has no [operations.{operation}]"
            for event, operation in operations.items()
            if self.operations.named(operation) is None
        }
        entries, timeline = self.operations.entries, self.operations.timeline
        if entries is not None and "entry" not in entries.answer:
            missing["entries-never-change"] = "its [operations.entries] names no `entry` in the answer"
        if timeline is not None and "correlation" not in timeline.answer:
            missing["timeline-is-complete"] = "its [operations.timeline] names no `correlation` in the answer"
        if self.operations.figures is None:
            missing["duplicates-are-counted"] = "it has no [operations.figures]"
        if self.operations.compare is None:
            missing["reconciliation-finds-all"] = "it has no [operations.compare]"
        if self.operations.audit is None or not self.audited:
            missing["audit-is-complete"] = "it has no [operations.audit], or no [audited]"
        if self.operations.audit is None or self.rewrite is None:
            missing["tampering-is-found"] = "it has no [operations.audit], or no [rewrite]"
        if self.operations.reviews is None:
            missing["odd-is-reviewed"] = "it has no [operations.reviews]"
        if "limited_by" not in self.operations.top_up.answer:
            missing["limits-are-kept"] = "its [operations.top_up] names no `limited_by` in the answer"
        told = {
            **self.start.env,
            **{name: value for each in self.start.settings.values() for name, value in each.items()},
        }
        if not any("{inbox}" in value for value in told.values()):
            missing["told-once"] = "it is not told of {inbox}, where customers' messages would go"
        if self.corrections is None or None in (
            self.operations.findings,
            self.operations.correct,
            self.operations.approve,
        ):
            missing["corrections-are-approved"] = (
                "it has no [corrections], or no operation of findings, correct and approve"
            )
        if self.operations.top_up.json_body is None:
            missing["crafted-requests-are-refused"] = "its [operations.top_up] has no `json`"
        if not self.start.mixed:
            missing["mixed-starts-are-refused"] = "it has no [start.mixed]"
        if not self.rotates:
            missing["rotation-refuses-nobody"] = "its [start.env] has no {old_secret} and {old_secret_until}"
        if not any(self.principals.named(name) for name in ("initiator", "stranger", "former", "signer")):
            missing["access-is-kept"] = "its [principals] name nobody who is to be refused"
        if not self.words:
            missing |= dict.fromkeys(WORDED, "it has no [words]")
        return missing


def read(path: Path) -> Target:
    """Raises `TargetError` naming file, field and remedy."""
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise TargetError(f"{path} does not exist: name a target.toml with --target") from None
    except OSError as error:
        raise TargetError(f"{path} cannot be read: {error.strerror}; name a target.toml with --target") from None
    except UnicodeDecodeError as error:
        raise TargetError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from None
    except tomllib.TOMLDecodeError as error:
        raise TargetError(f"{path} is not TOML: {error}") from None
    try:
        return Target.model_validate(data)
    except ValidationError as error:
        problems = "\n".join(f"  {'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise TargetError(f"{path} does not describe a target:\n{problems}") from None


_ONE = re.compile(r"^\{(\w+)\}$")
_ANY = re.compile(r"\{(\w+)\}")


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """*template* with its placeholders filled in; raises `TargetError` naming a placeholder that nothing fills."""
    if isinstance(template, str):
        whole = _ONE.match(template)
        if whole:
            return _value(whole.group(1), values)
        return _ANY.sub(lambda found: str(_value(found.group(1), values)), template)
    if isinstance(template, Mapping):
        return {key: fill(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [fill(value, values) for value in template]
    return template


def _with_key(text: str, name: str, keys: Mapping[str, str]) -> str:
    if "{key}" in text and name not in keys:
        raise TargetError(
            f"[principals.{name}] has a {{key}}, and none is known for it: say {KEYS}={name}=… (more of them separated by spaces)"
        )
    return text.replace("{key}", keys.get(name, ""))


def keys_in(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The keys of principals that the environment says: `name=key`, separated by spaces."""
    said = (entry.partition("=") for entry in environ.get(KEYS, "").split())
    return {name: key for name, _, key in said}


def _value(name: str, values: Mapping[str, Any]) -> Any:
    try:
        return values[name]
    except KeyError:
        raise TargetError(f"{{{name}}} has no value here: there are {', '.join(sorted(values))}") from None


def request(
    operation: Operation, base_url: str, values: Mapping[str, Any], asked_by: Mapping[str, str] | None = None
) -> httpx.Request:
    """The HTTP request that carries out *operation*; *asked_by* are the headers that say who asks."""
    method, _, path = operation.request.partition(" ")
    return httpx.Request(
        method,
        base_url + fill(path, values),
        headers={**(asked_by or {}), **fill(operation.headers, values)},
        params=fill(operation.query, values) or None,
        json=fill(operation.json_body, values) if operation.json_body is not None else None,
        data=fill(operation.form, values) if operation.form is not None else None,
    )


def facts(operation: Operation, body: Any) -> dict[str, Any]:
    """The facts in an answer that is one object."""
    return {name: at(body, path) for name, path in operation.answer.items() if at(body, path) is not None}


def rows(operation: Operation, body: Any) -> list[dict[str, Any]]:
    """The facts in an answer that is a list of objects. Raises `TargetError` when there is no list where there should be."""
    found = at(body, operation.list_at) if operation.list_at else body
    if not isinstance(found, list):
        raise TargetError(f"`list = {operation.list_at!r}` of {operation.request!r} is not a list in the answer")
    return [facts(operation, row) for row in found]


def owed(target: Target, kind: str, values: Mapping[str, Any], principal: str = "default") -> dict[str, Any]:
    """What an operation of *kind*, done by *principal* with these *values*, `owes` the audit log; empty where it owes nothing, or
    where its answer does not say what it was done to.
    """
    audited = target.audited.get(kind)
    if audited is None or audited.who != principal or not audited.when.items() <= values.items():
        return {}
    try:
        said = audited.model_dump(include={"by", "deed", "subject"})
        return {"owes": {name: str(fill(text, values)) for name, text in said.items()}}
    except TargetError:
        return {}


def at(body: Any, path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    for part in path.split("."):
        if not isinstance(body, Mapping):
            return None
        body = body.get(part)
    return body
