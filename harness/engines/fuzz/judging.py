"""What is wrong with an answer, and with what came of it. State outweighs status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from harness.engines.fuzz.attack import Expect
from harness.engines.fuzz.catalogue.spelling import INJECTED
from harness.engines.fuzz.door import Heard, Shot
from harness.finding import Rule

SLOW_S = 3.0
TOKEN_MIN = 16


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong. `cwe` is None where the weakness is the one that the attack looks for."""

    kind: str
    says: str
    grave: bool = True
    cwe: tuple[int, ...] | None = None

    def weakness(self, rule: Rule) -> tuple[int, ...]:
        return rule.cwe if self.cwe is None else self.cwe


def wrong_answer(
    expect: Expect, shot: Shot, heard: Heard, secrets: Mapping[str, str], *, acknowledged: bool
) -> Wrong | None:
    """What an answer alone gives away; the worst first. What is *acknowledged* is the dialect's to say, and not the status's."""
    for name, secret in secrets.items():
        if secret.encode() in heard.head + heard.body:
            return Wrong("leaked", f"{name} stands in the answer", cwe=(209,))
    if heard.second:
        return Wrong("answered-twice", "what stood behind it was answered as a request of its own", cwe=(444,))
    if heard.crashed:
        return Wrong("crashed", f"it was answered {heard.status}: whoever likes can cause it", cwe=(755, 248))
    if expect is Expect.REFUSE and acknowledged:
        return Wrong("acknowledged", f"it was acknowledged with {heard.status}, and must be refused", grave=False)
    if expect is Expect.ACCEPT and heard.status is not None and not acknowledged:
        return Wrong("refused", f"it was answered {heard.status}, and must be acknowledged", grave=False, cwe=(394,))
    if shot.whole and heard.status is None:
        return Wrong("silent", f"there was no answer: {heard.because}", cwe=(400,))
    if shot.whole and heard.took_s > SLOW_S:
        return Wrong("slow", f"the answer took {heard.took_s:.1f} s", grave=False, cwe=(400,))
    return None


def wrong_state(moved: int | None) -> Wrong | None:
    """What the balance says: nothing that is sent here may move it."""
    return (
        None if not moved else Wrong("credited", f"a balance moved by {moved} minor units, and nothing had been paid")
    )


def wrong_logs(lines: Sequence[str], secrets: Mapping[str, str], signatures: Sequence[str]) -> Wrong | None:
    """What the receiver wrote down of it."""
    tokens = [token for token in signatures if len(token) > TOKEN_MIN]
    sought = [(name, secret) for name, secret in secrets.items()]
    sought += [("a signature", each) for token in tokens for each in (token, quote(token, safe=""))]
    for line in lines:
        if line.startswith(INJECTED):
            return Wrong("line-injected", "what came from outside began a line of the log", cwe=(117,))
        for name, secret in sought:
            if secret in line:
                return Wrong("logged", f"{name} stands in the log", cwe=(532,))
    return None
