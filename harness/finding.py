"""What is wrong with a service, as security tools speak of it: a rule that was broken, where, and how to see it again."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What was looked for. `cwe` are numbers of the Common Weakness Enumeration, the nearest first; `seen` are links."""

    id: str
    what: str
    correct: str
    cwe: tuple[int, ...]
    numbers: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule, broken in one way (`kind`) at one place (`where`: the target and its dialect).

    In a source, `where` is a file and `line` a line of it. `says` is a sentence; `again` the command that looks once more; `shown`
    the very bytes, as a line for a shell or a script.
    """

    rule: Rule
    kind: str
    grave: bool
    where: str
    cwe: tuple[int, ...]
    says: str
    again: str
    shown: str = ""
    language: str = "sh"
    line: int = 1

    @property
    def fingerprint(self) -> str:
        """The same for the same weakness in every run: made of nothing that a seed, a time or an id has a part in."""
        return hashlib.sha256("\n".join((self.rule.id, self.kind, self.where)).encode()).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was looked for at one place, and what came of it.

    `unknown` are reasons why nothing was shown though nothing was found; `unseen` is what could not be known by such means,
    and does not weigh; `left_out` is what was not sent, and why; `counts` how often each rule was put to the test. `judged_by`
    says what the judging rests on, where that is less than the state.
    """

    name: str
    where: str
    rules: Sequence[Rule]
    findings: Sequence[Finding]
    counts: Mapping[str, int] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    unseen: Sequence[str] = ()
    left_out: Sequence[str] = ()
    seed: int = 0
    again: str = ""
    took_s: float = 0.0
    sent: int = 0
    judged_by: str = ""

    @property
    def verdict(self) -> str:
        """The word, and what it rests on."""
        return f"{self.word}, {self.judged_by}" if self.judged_by else self.word

    @property
    def word(self) -> str:
        """Broken where something was found; unknown where nothing was, and something stood in the way; else holds."""
        return "broken" if self.findings else "unknown" if self.unknown else "holds"

    @property
    def exit_code(self) -> int:
        return {"holds": 0, "broken": 1, "unknown": 3}[self.word]
