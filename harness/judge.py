"""Verdicts out of a history, by pure functions: what was recorded once can be judged again, anywhere, by anyone.

The four rules that keep green honest live here, so that no author can forget them. A run is unknown, never holds, when

1. an invariant that it is about had nothing to judge,
2. a fault touched no traffic,
3. some kind of operation in the plan was never once done,
4. an invariant raised, or a book could not be read.

Rules 2 to 4 speak through verdicts of their own: `faults-bite`, `operations-are-done`, `books-are-read`.
"""

from collections.abc import Iterable, Mapping

from harness.history import Event, History, HistoryError
from harness.plan import Plan, decode
from harness.verdict import Invariant, Status, Verdict

# Kinds that a run may have tried without success and still mean something: an attacker is supposed to be refused.
NEVER_DONE = frozenset({"forge", "send_again"})


def judge(history: History, invariants: Mapping[str, Invariant]) -> tuple[Verdict, ...]:
    """One verdict for each invariant, and one for each rule of honesty; the plan is read from the history itself.

    Raises `LookupError` when the plan is about an invariant that does not exist, `HistoryError` without a plan.
    """
    begun = plan_event(history)
    plan = decode(begun.get("plan"))
    unoffered = _unoffered(plan, begun.get("unoffered", {}), invariants)
    for name in plan.about:
        invariants[name]  # raises, and says what comes nearest
    verdicts = [
        Verdict(name, invariant.promise, Status.UNKNOWN, because=unoffered[name], weighs=False)
        if name in unoffered
        else invariant.judge(history, claimed=name in plan.about)
        for name, invariant in invariants.items()
    ]
    return (*verdicts, _faults_bite(plan, history), _operations_are_done(plan, history), _books_are_read(history))


def status_of(verdicts: Iterable[Verdict]) -> Status:
    """The status of the whole: the worst of those that weigh."""
    return max((verdict.status for verdict in verdicts if verdict.weighs), default=Status.UNKNOWN)


def plan_event(history: History) -> Event:
    begun = history.of("plan")
    if not begun:
        raise HistoryError("this history has no plan: the run ended before it began, or the file is not a history")
    return begun.events[0]


def _unoffered(plan: Plan, unoffered: Mapping[str, str], invariants: Mapping[str, Invariant]) -> dict[str, str]:
    """Invariants that live on a kind of event which this target has no operation for. Said aloud, not weighed."""
    return {
        name: f"not offered by this target: {reason}"
        for name, invariant in invariants.items()
        for need, reason in unoffered.items()
        if need in invariant.needs or need == name
    }


def _faults_bite(plan: Plan, history: History) -> Verdict:
    promise = "Every fault of the plan touched traffic: a fault that nothing met proves nothing."
    ended = {event["id"]: event for event in history.of("fault-ended")}
    idle = [
        f"{begin.fault} ({begin.id}) " + ("never ended" if begin.id not in ended else "touched no traffic")
        for begin in plan.faults()
        if begin.id not in ended or not ended[begin.id]["touched"]
    ]
    if idle:
        return Verdict("faults-bite", promise, Status.UNKNOWN, because="; ".join(idle))
    return Verdict("faults-bite", promise, Status.HOLDS, weighs=bool(plan.faults()))


def _operations_are_done(plan: Plan, history: History) -> Verdict:
    promise = "Every kind of operation in the plan that the target offers was done at least once."
    done = {event["operation"] for event in history.of("answered") if event["outcome"] == "done"}
    unoffered = {event["operation"] for event in history.of("not-offered") if not event.get("asked_by")}
    never = sorted({operation.kind for operation in plan.operations()} - done - unoffered - NEVER_DONE)
    if never:
        because = f"never once done: {', '.join(never)}"
        return Verdict("operations-are-done", promise, Status.UNKNOWN, because=because)
    return Verdict("operations-are-done", promise, Status.HOLDS)


def _books_are_read(history: History) -> Verdict:
    promise = "Every book was read to the end: the provider's, the service's and the clients'."
    unread = [f"{event['book']}: {event['because']}" for event in history.of("book-unread")]
    if not history.of("audited"):
        unread.append("the run ended before its audit")
    if unread:
        return Verdict("books-are-read", promise, Status.UNKNOWN, because="; ".join(unread))
    return Verdict("books-are-read", promise, Status.HOLDS)
