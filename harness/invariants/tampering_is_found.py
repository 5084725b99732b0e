from collections.abc import Iterator

from harness.history import History
from harness.invariants.audit_is_complete import last_reading
from harness.verdict import Violation, invariant


@invariant(needs=("answered",))
def tampering_is_found(history: History) -> Iterator[Violation]:
    """What somebody with every right in the database changes in the audit log shows: the line no longer fits."""
    asked, lines = last_reading(history, tampered=True)
    if all(line["fits"] for line in lines):
        rewritten = [e for e in history.of("fault-began") if e["fault"] == "rewrite" and e.at < asked.at]
        says = f"another name was put into the audit log, and all its {len(lines)} lines still fit"
        yield Violation(says, (rewritten[-1], asked))
