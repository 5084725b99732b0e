from collections import Counter
from collections.abc import Iterator

from harness.history import Event, History
from harness.verdict import NothingToJudge, Violation, invariant


@invariant(needs=("answered",))
def audit_is_complete(history: History) -> Iterator[Violation]:
    """Whatever was done stands in the service's audit log, with who did it, and every line of the log fits the one before it.

    Judged of what was done before the log was last asked for; what nobody knows to be done owes nothing. While somebody tampers
    with the log, tampering-is-found judges it.
    """
    asked, lines = last_reading(history, tampered=False)
    owing = [e for e in history.of("answered") if e.get("owes") and e.at < asked.at]
    if not owing:
        raise NothingToJudge("nothing was done that the audit log must tell of")
    for line in lines:
        if not line["fits"]:
            yield Violation(
                f"line {line.get('record')} of the audit log does not fit, and nobody touched it", (asked, line)
            )
    stands = Counter((line.get("by"), line.get("deed"), line.get("subject")) for line in lines)
    for event in owing:
        by, deed, subject = (event["owes"][name] for name in ("by", "deed", "subject"))
        if not stands[by, deed, subject]:
            yield Violation(
                f"{by} did this, and the audit log does not say so: {deed} {subject}".rstrip(), (event, asked)
            )
        elif not subject:  # one line for each time
            stands[by, deed, subject] -= 1


def last_reading(history: History, *, tampered: bool) -> tuple[Event, History]:
    """When the log was last asked for and shown, while somebody tampered with it or while nobody did; and its lines.

    Raises `NothingToJudge` when it never was.
    """
    shown = [e for e in history.of("answered") if e["operation"] == "audit" and e["outcome"] == "done"]
    readings = [e for e in shown if _tampered(history, e) is tampered]
    if not readings:
        raise NothingToJudge(
            f"the audit log was never shown while {'somebody' if tampered else 'nobody'} tampered with it"
        )
    last = readings[-1]
    asked = next(e for e in history.of("invoked") if (e["id"], e["attempt"]) == (last["id"], last["attempt"]))
    return asked, history.of("audit-line").where(lambda line: line["id"] == last["id"])


def _tampered(history: History, at: Event) -> bool:
    """Whether a fault that rewrites what is in the database had begun, and not ended. One that found nothing to rewrite is none."""
    open_ = [e["id"] for e in history.of("fault-began") if e["fault"] == "rewrite" and e.at < at.at]
    ended = {e["id"] for e in history.of("fault-ended") if e.at < at.at}
    idle = {e["id"] for e in history.of("fault-ended") if not e["touched"]}
    return any(id not in ended | idle for id in open_)
