"""Is a finding new, known, or gone? And does anybody answer for it?"""

from collections.abc import Iterator, Sequence
from datetime import date

from harness.finding import Finding, Rule
from harness.gate.baseline import Accepted, Baseline
from harness.gate.profile import Level
from harness.gate.result import Classed, Known, Record, State, Turn


def classed(
    turns: Sequence[Turn], previous: Record | None, baseline: Baseline, today: date, fail_on: Level = "warning"
) -> list[Classed]:
    """Every finding of these turns, and every one that was known before; what counts comes first.

    Known is what the last gate found, or somebody accepted. What is known and was not found is resolved where its rule was
    put to the test at its place; where it was not, nobody looked, and nothing is said.
    """
    known = {each.fingerprint: each for each in previous.findings} if previous else {}
    found = list(_found(turns, known, baseline, today, fail_on))
    seen = {each.fingerprint for each in found}
    tried = frozenset(pair for turn in turns for pair in turn.tried)
    gone = [each for each in _known(known, baseline, today) if each.fingerprint not in seen]
    found += [_absent(each, tried, baseline.accepted.get(each.fingerprint), today) for each in gone]
    order = list(State)
    return sorted(
        found, key=lambda each: (not each.counts, order.index(each.state), each.finding.rule.id, each.finding.where)
    )


def _found(
    turns: Sequence[Turn], known: dict[str, Known], baseline: Baseline, today: date, fail_on: Level
) -> Iterator[Classed]:
    told: set[str] = set()
    for turn in turns:
        for finding in turn.findings:
            fingerprint = finding.fingerprint
            if fingerprint in told:
                continue
            told.add(fingerprint)
            before, accepted = known.get(fingerprint), baseline.accepted.get(fingerprint)
            yield Classed(
                fingerprint=fingerprint,
                finding=finding,
                state=State.NEW if before is None and accepted is None else State.ONGOING,
                since=before.since if before else today,
                engine=turn.engine,
                accepted=accepted,
                expired=accepted is not None and accepted.expired(today),
                lesser=fail_on == "error" and not finding.grave,
            )


def _known(known: dict[str, Known], baseline: Baseline, today: date) -> Iterator[Known]:
    yield from known.values()
    for fingerprint, accepted in baseline.accepted.items():
        if fingerprint not in known:
            yield Known(fingerprint=fingerprint, finding=_remembered(accepted), since=today, engine="")


def _remembered(accepted: Accepted) -> Finding:
    """What the baseline still knows of a finding."""
    rule = Rule(id=accepted.rule or accepted.fingerprint[:16], what="", correct="", cwe=())
    return Finding(rule=rule, kind="", grave=True, where=accepted.where, cwe=(), says=accepted.reason, again="")


def _absent(each: Known, tried: frozenset[tuple[str, str]], accepted: Accepted | None, today: date) -> Classed:
    looked = (each.finding.rule.id, each.finding.where) in tried
    return Classed(
        fingerprint=each.fingerprint,
        finding=each.finding,
        state=State.RESOLVED if looked else State.NOT_LOOKED_FOR,
        since=each.since,
        engine=each.engine,
        accepted=accepted,
        expired=accepted is not None and accepted.expired(today),
    )
