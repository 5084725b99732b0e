from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

CONFLICTS = frozenset({400, 409, 422})
"""What a key that stands for another request is answered with: by Stripe, by Brandur Leach's Rocket Rides, by the IETF's draft."""


@invariant(needs=("invoked", "answered"))
def same_key_same_answer(history: History) -> Iterator[Violation]:
    """One idempotency key of one customer is one top-up: asked again it is the same one, and what was accepted is not refused;
    asked for something else it is a conflict; and another customer's same key has nothing to do with it.
    """
    asked = [event for event in history.of("invoked") if event["operation"] == "top_up"]
    by_key = [(key, events) for key, events in History(tuple(asked)).by("key") if len(events) > 1]
    if not by_key:
        raise NothingToJudge("no idempotency key was used twice")
    for key, events in by_key:
        uses = _by_customer(events)
        answers = [event for event in history.of("answered") if event["operation"] == "top_up" and event["key"] == key]
        told = _by_customer(answers)
        for customer, own in uses.items():
            yield from _of_one_key(own, told.get(customer, []))
        if len(uses) > 1:
            yield from _of_several_customers(uses, told)


def _by_customer(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = {}
    for event in events:
        found.setdefault(event.get("customer") or "", []).append(event)
    return found


def _of_several_customers(uses: Mapping[str, list[Event]], told: Mapping[str, list[Event]]) -> Iterator[Violation]:
    """A customer whose one wish is only ever refused as a conflict is refused for what another asked under that key."""
    top_ups: dict[str, str] = {}
    for customer, own in uses.items():
        answers = told.get(customer, [])
        if answers and len({_wanted(use) for use in own}) == 1 and all(each["status"] in CONFLICTS for each in answers):
            yield Violation(
                f"{customer} was refused for another customer's use of the same key", _in_order(own, answers)
            )
        for name in {each["top_up"] for each in answers if each.get("top_up")}:
            if top_ups.setdefault(name, customer) != customer:
                yield Violation(f"one key gave {customer} another customer's {name}", _in_order(own, answers))


def _of_one_key(uses: Sequence[Event], answers: Sequence[Event]) -> Iterator[Violation]:
    if len(uses) < 2:
        return
    named = [event for event in answers if event.get("top_up")]
    top_ups = list(dict.fromkeys(event["top_up"] for event in named))
    wanted = {_wanted(use) for use in uses}
    evidence = _in_order(uses, answers)
    if len(top_ups) > 1:
        yield Violation(f"one key made {len(top_ups)} top-ups: {', '.join(top_ups)}", evidence)
    elif len(wanted) == 1:
        yield from _taken_back(answers)
    elif len(wanted) > 1:
        served = {_wanted(use) for use in uses for event in named if _same_request(use, event)}
        if len(served) > 1:
            yield Violation("one key was accepted for two different requests", evidence)


def _taken_back(answers: Sequence[Event]) -> Iterator[Violation]:
    """The one wish under a key was accepted, and refused when it was asked for again. Of who asks, and how often, a refusal
    says nothing about the key.
    """
    accepted = next((event for event in answers if event["outcome"] == "done"), None)
    for event in answers:
        refused = event["outcome"] == "not-done" and event["status"] not in (None, 401, 403, 404, 429)
        if accepted is not None and refused and event.at > accepted.at:
            says = f"a request was accepted under its key with {accepted['status']}, and then refused with {event['status']}"
            yield Violation(says, (accepted, event))
            return


def _in_order(*several: Iterable[Event]) -> tuple[Event, ...]:
    return tuple(sorted((event for events in several for event in events), key=lambda event: event.at))


def _wanted(use: Event) -> tuple[str, int, str]:
    return use["account"], use["amount_minor"], use["currency"]


def _same_request(use: Event, answer: Event) -> bool:
    return bool((use["id"], use["attempt"]) == (answer["id"], answer["attempt"]))
