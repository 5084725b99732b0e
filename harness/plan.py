"""What to do, as data.

A plan is steps: operations of clients and customers, faults that begin and end, waits. It is made from a seed and nothing
else, so that a plan made again is equal to the byte; what is fresh in each run (accounts, keys) is derived from the
run's own name when it is carried out. Every engine makes plans; one runner carries them out.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """Something that a client, a customer or an attacker does. `id` is its handle inside the plan ("t1").

    `kind` is a verb of the target (`open_account`, `top_up`, `refund`, `status`, `return_from_provider`, `balance`, `reconcile`,
    and an operator's `correct` and `approve`) or of the world around it: `pay`, `decline` (the customer at the provider),
    `give_back` (a refund at the provider, past the service), `dispute`, `win`, `lose` (the customer's bank), `forge` (an
    attacker at the callback endpoint), `assault` (one at the clients' door), `send_again` (one who has overheard a signed
    request), `advance` (the provider's test clock), `release` (callbacks that a mood held back), `tell_again` (those that were
    acknowledged), `adopt_secret`, `rotate_secret` (the operator, who changes what signs callbacks), `start_mixed` (who starts it
    with settings that do not belong together). `about` is the handle of the operation that it is about: the account of a
    top-up, the top-up of a payment, whatever is sent again. An amount of 0 is all that is left.
    `args` may say, beside what its kind takes, how long the client waits for an answer (`patience_s`), and which of the target's
    principals asks (`as`).
    """

    id: str
    kind: str
    about: str = ""
    amount_minor: int = 0
    currency: str = ""
    method: str = ""
    key: str = ""
    args: Mapping[str, Scalar] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class Do:
    """Carry out operations: one, or several released at the same instant."""

    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class Begin:
    """A fault begins; it lasts until its `End`, or until the runner heals."""

    id: str
    fault: str
    args: Mapping[str, Scalar] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash(self.id)


@dataclass(frozen=True, slots=True)
class End:
    id: str


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """Carry out steps in the background, until a `Join`."""

    id: str
    steps: tuple["Step", ...]


@dataclass(frozen=True, slots=True)
class Join:
    id: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait until something is true, at most `at_most_s`; then the run goes on, and the history says so.

    `until` is one of `CONDITIONS`.
    """

    until: str
    at_most_s: float
    args: Mapping[str, Scalar] = field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.until, self.at_most_s))


CONDITIONS = ("callbacks-attempted", "fault-touched", "background-heard", "links-quiet", "time-passed")

Step: TypeAlias = Do | Begin | End | Meanwhile | Join | Wait
STEPS: dict[str, type[Step]] = {
    "do": Do,
    "begin": Begin,
    "end": End,
    "meanwhile": Meanwhile,
    "join": Join,
    "wait": Wait,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps, and the invariants that they are about: those must find something to judge."""

    name: str
    story: str
    seed: int
    steps: tuple[Step, ...]
    about: tuple[str, ...]

    def operations(self) -> tuple[Operation, ...]:
        return tuple(operation for step in self.steps for operation in _operations(step))

    def faults(self) -> tuple[Begin, ...]:
        return tuple(begin for step in self.steps for begin in _faults(step))

    def to_json(self) -> str:
        """The same plan is the same text, to the byte."""
        return json.dumps(encode(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Plan":
        """Raises `PlanError` naming the field when *text* is not a plan."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise PlanError(f"a plan is JSON: {error}") from None
        return decode(data)


class PlanError(ValueError):
    """A plan that cannot be carried out; the message names the field and the remedy."""


def encode(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "story": plan.story,
        "seed": plan.seed,
        "about": list(plan.about),
        "steps": [_encode_step(step) for step in plan.steps],
    }


def decode(data: Any) -> Plan:
    """Raises `PlanError` naming the field when *data* is not a plan."""
    try:
        return Plan(
            name=str(data["name"]),
            story=str(data["story"]),
            seed=_seed(data["seed"]),
            steps=tuple(_decode_step(step) for step in _list(data, "steps")),
            about=tuple(_text(name, "about") for name in _list(data, "about")),
        )
    except KeyError as missing:
        raise PlanError(f"the plan has no {missing}: it needs name, story, seed, steps and about") from None
    except TypeError as error:
        raise PlanError(f"the plan does not read: {error}") from None


def _text(value: Any, field: str) -> str:
    if not isinstance(value, str):
        raise PlanError(f"a plan's `{field}` holds names; this is {value!r}")
    return value


def _list(data: Any, field: str) -> list[Any]:
    value = data[field]
    if not isinstance(value, list):
        raise PlanError(f"a plan's `{field}` is a list; this is {value!r}")
    return value


def _seed(value: Any) -> int:
    if type(value) is not int:
        raise PlanError(f"a plan's `seed` is a whole number; this is {value!r}")
    return value


def _encode_step(step: Step) -> dict[str, Any]:
    name = next(name for name, kind in STEPS.items() if isinstance(step, kind))
    match step:
        case Do(operations):
            return {"step": name, "operations": [_encode_operation(operation) for operation in operations]}
        case Begin(id, fault, args):
            return {"step": name, "id": id, "fault": fault, "args": dict(args)}
        case Meanwhile(id, steps):
            return {"step": name, "id": id, "steps": [_encode_step(inner) for inner in steps]}
        case Wait(until, at_most_s, args):
            return {"step": name, "until": until, "at_most_s": at_most_s, "args": dict(args)}
        case End(id) | Join(id):
            return {"step": name, "id": id}


def _decode_step(data: Any) -> Step:
    if not isinstance(data, dict) or data.get("step") not in STEPS:
        raise PlanError(f"a step's `step` is one of {', '.join(STEPS)}; this is {data!r}")
    fields = {key: value for key, value in data.items() if key != "step"}
    kind = STEPS[data["step"]]
    if not isinstance(fields.get("args", {}), dict):
        raise PlanError(f"a step's `args` is an object; this is {fields['args']!r}")
    if not isinstance(fields.get("at_most_s", 0), int | float):
        raise PlanError(f"a wait's `at_most_s` is a number of seconds; this is {fields['at_most_s']!r}")
    if kind is Wait and fields.get("until") not in CONDITIONS:
        raise PlanError(f"a wait's `until` is one of {', '.join(CONDITIONS)}; this is {fields.get('until')!r}")
    if kind is Do:
        return Do(tuple(Operation(**operation) for operation in fields["operations"]))
    if kind is Meanwhile:
        return Meanwhile(fields["id"], tuple(_decode_step(inner) for inner in _list(fields, "steps")))
    return kind(**fields)


def _encode_operation(operation: Operation) -> dict[str, Any]:
    """Only what is set, so that plans read well."""
    fields = {name: getattr(operation, name) for name in Operation.__dataclass_fields__}
    return {name: value for name, value in fields.items() if value or name in ("id", "kind")} | (
        {"args": dict(operation.args)} if operation.args else {}
    )


def _operations(step: Step) -> tuple[Operation, ...]:
    match step:
        case Do(operations):
            return operations
        case Meanwhile(_, steps):
            return tuple(operation for inner in steps for operation in _operations(inner))
        case _:
            return ()


def _faults(step: Step) -> tuple[Begin, ...]:
    match step:
        case Begin():
            return (step,)
        case Meanwhile(_, steps):
            return tuple(begin for inner in steps for begin in _faults(inner))
        case _:
            return ()
