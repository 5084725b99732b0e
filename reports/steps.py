"""A plan in plain words, one line for each step: short enough to be read when the plan is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Step, Wait
from reports.words import money, plain


def told(plan: Plan) -> Sequence[str]:
    """What is done, in order; what happens in the background, or at the same instant, is marked so."""
    return list(_told(plan.steps, ""))


def _told(steps: Sequence[Step], margin: str) -> Iterator[str]:
    for step in steps:
        match step:
            case Do((operation,)):
                yield f"{margin}{_operation(operation)}"
            case Do(operations):
                yield f"{margin}at the same instant:"
                yield from (f"{margin}  {_operation(each)}" for each in operations)
            case Begin(id, fault, args):
                yield f"{margin}{id}: {fault} begins{_in_brackets(args)}"
            case End(id):
                yield f"{margin}{id} ends"
            case Meanwhile(id, inner):
                yield f"{margin}{id}, in the background:"
                yield from _told(inner, margin + "  ")
            case Join(id):
                yield f"{margin}wait for {id}"
            case Wait("fault-touched", at_most_s, args):
                yield f"{margin}wait until {args.get('fault')} has touched something, at most {at_most_s:g} s"
            case Wait("time-passed", seconds, _):
                yield f"{margin}wait for {seconds:g} s"
            case Wait("links-quiet", at_most_s, _):
                yield f"{margin}wait until nothing crosses any link, at most {at_most_s:g} s"
            case Wait("callbacks-attempted", at_most_s, _):
                yield f"{margin}wait until every callback that is due was attempted, at most {at_most_s:g} s"
            case Wait(until, at_most_s, _):
                yield f"{margin}wait for {until}, at most {at_most_s:g} s"


def _operation(operation: Operation) -> str:
    amount = [money(operation.amount_minor, operation.currency)] if operation.amount_minor else []
    words = [operation.kind.replace("_", " "), *amount, operation.method]
    about = f" about {operation.about}" if operation.about else ""
    key = f", key {operation.key!r}" if operation.key not in ("", operation.id) else ""
    return plain(f"{operation.id}: {' '.join(filter(None, words))}{about}{key}{_in_brackets(operation.args)}", 200)


def _in_brackets(args: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in args.items())})" if args else ""
