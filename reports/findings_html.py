"""`report.html` of an examination: one file for people, which needs nothing else. Whatever came out of a receiver is escaped."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from harness.finding import Examination, Finding, Rule
from reports.html import environment
from reports.words import count, duration

SHOWN_MAX = 6000


@dataclass(frozen=True, slots=True)
class View:
    """A finding as the page shows it; `script` is the file that holds its bytes, and `shown` as much of it as can be read."""

    number: int
    finding: Finding
    script: str

    @property
    def weaknesses(self) -> str:
        return ", ".join(f"CWE-{number}" for number in self.finding.cwe)

    @property
    def shown(self) -> str:
        whole = self.finding.shown
        return whole if len(whole) <= SHOWN_MAX else f"{whole[:SHOWN_MAX]}\n… the rest is in {self.script}"


def page(examination: Examination, script_name: Callable[[int, Finding], str]) -> str:
    """The graver findings first; below them all that was tried, so that it can be seen what a clean page rests on."""
    findings = [View(number, each, script_name(number, each)) for number, each in enumerate(examination.findings, 1)]
    return (
        environment()
        .get_template("findings.html")
        .render(
            examination=examination,
            explanation=explanation(examination),
            facts=_facts(examination),
            findings=sorted(findings, key=lambda view: not view.finding.grave),
            tried=list(_tried(examination)),
        )
    )


def explanation(examination: Examination) -> str:
    """The verdict in a sentence, claiming no more than it shows."""
    rules = count(len([rule for rule in examination.rules if examination.counts.get(rule.id)]), "rule")
    if examination.word == "broken":
        grave = sum(each.grave for each in examination.findings)
        moved = sum(each.kind.startswith("credited") for each in examination.findings)
        return f"{count(len(examination.findings), 'finding')}, {grave} of them grave" + (
            f": in {moved}, money moved that nobody had paid." if moved else "; no balance was seen to move."
        )
    if examination.word == "unknown":
        return "Nothing was found, but that shows nothing yet: what follows stood in the way. Unknown is not a pass."
    told = f"{rules} put to the test, nothing found, and genuine callbacks were taken as before."
    return f"{told} Judged {examination.judged_by}: no balance was looked at." if examination.judged_by else told


def _facts(examination: Examination) -> Mapping[str, str]:
    rate = examination.sent / examination.took_s if examination.took_s else 0.0
    return {
        "target": examination.where,
        "callbacks": f"{examination.sent:,}",
        "took": f"{duration(examination.took_s)}, {rate:,.0f} a second",
        "seed": str(examination.seed),
    }


def _tried(examination: Examination) -> Iterator[tuple[Rule, int, str]]:
    """Of what was left out in part, or of an examination that is unknown, nothing is said to hold."""
    broken = {each.rule.id for each in examination.findings}
    partly = {why.partition(":")[0] for why in examination.left_out}
    for rule in examination.rules:
        times = examination.counts.get(rule.id, 0)
        if times or rule.id in broken:
            doubtful = examination.word == "unknown" or rule.id in partly
            yield rule, times, "broken" if rule.id in broken else "unknown" if doubtful else "holds"
