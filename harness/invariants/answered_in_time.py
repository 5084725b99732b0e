from collections.abc import Iterator
from math import inf

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant

SILENCE = "no answer in time"
CUSTOMERS = frozenset({"open_account", "top_up", "refund", "status", "balance"})
AT_THE_PROVIDER = frozenset({"latency", "lose-answers", "lose-requests", "refuse", "stall"})
HARMLESS = frozenset({"settings", "mood"})
"""Faults that are neither on the way to the service nor stop it."""
LATENCY_MAX_MS = 50
"""So late the database may answer. What takes longer takes a service to its bounds, each of which may be all that it has."""
PATIENT_S = 3.0
"""So long a customer waits. Who hung up sooner cannot say that there would have been no answer: a service may ask its provider
more than once before it says "not yet"."""


@invariant(needs=("invoked", "answered"))
def answered_in_time(history: History) -> Iterator[Violation]:
    """Customers are answered, yes, no or not yet, within their patience: trouble behind the service is no reason to keep them
    waiting.

    Judged of what was asked while the provider was in trouble or the database a little late, and nothing else: where the way
    to the service was broken too, or the service was killed, paused or loaded to its limits, silence may come of that. Nor is
    the silence judged that a customer did not wait for.
    """
    if history.of("load"):
        raise NothingToJudge("the service was under load")
    troubles = _troubles(history)
    begun = {(event["operation"], event["id"], event["attempt"]): event for event in history.of("invoked")}
    judged = False
    for answer in history.of("answered"):
        asked = begun.get((answer["operation"], answer["id"], answer["attempt"]))
        if answer["operation"] not in CUSTOMERS or asked is None:
            continue
        faults = tuple(began for began, until in troubles if began.at < answer.at and until > asked.at)
        if not any(map(_behind, faults)) or not all(_behind(each) or each["fault"] in HARMLESS for each in faults):
            continue
        silent = answer.get("because", "").startswith(SILENCE)
        if silent and answer.at - asked.at < PATIENT_S:
            continue
        judged = True
        if silent:
            waited = f"{answer['operation']} {answer['id']} had no answer after {answer.at - asked.at:.1f} s"
            yield Violation(f"{waited}, and the way to the service was clear", (*faults, asked, answer))
    if not judged:
        raise NothingToJudge(
            "no customer was answered or waited long while only something behind the service was in trouble"
        )


def _troubles(history: History) -> list[tuple[Event, float]]:
    """Each fault, and when it ended."""
    ended = {event["id"]: event.at for event in history.of("fault-ended")}
    return [(began, ended.get(began["id"], inf)) for began in history.of("fault-began")]


def _behind(began: Event) -> bool:
    """Whether it is in trouble that the service stands before."""
    link = began["args"].get("link")
    if link == "db":
        return bool(began["fault"] == "latency" and began["args"]["ms"] <= LATENCY_MAX_MS)
    return link == "api" and began["fault"] in AT_THE_PROVIDER
