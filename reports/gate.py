"""What a gate leaves for people and for other programs: SARIF, JUnit, Markdown for the summary of a job, and one page.

Whatever came out of a service is escaped in each of them. What is resolved is in no SARIF: viewers close what they no longer see.
"""

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from harness.finding import Finding
from harness.gate.result import FILE, Classed, Result, State, Turn, record_of
from harness.verdict import Status
from reports import point_latest_at, write
from reports.findings import NAME, SCHEMA, escaped, fenced, sarif_result, sarif_rule, script_name, semantic_version
from reports.html import environment
from reports.junit import legal
from reports.words import count, duration

SUMMARY_MAX = 200_000
"""Characters of a job's summary; a service that shows them takes a megabyte of all steps together."""
BASELINE_STATE = {State.NEW: "new", State.ONGOING: "unchanged"}
FINGERPRINT_SHOWN = 16


def write_gate(result: Result, summary: str | None = None) -> None:
    """Every rendering, into the gate's folder; `latest` means it then. *summary* is a file that the page is appended to."""
    result.folder.mkdir(parents=True, exist_ok=True)
    renderings = {
        "findings.sarif": sarif,
        "junit.xml": junit,
        "summary.md": markdown,
        "gate.html": page,
        FILE: record_of,
    }
    for name, render in renderings.items():
        write(result.folder / name, render(result))
    for number, each in enumerate(_seen(result), 1):
        if each.finding.shown:
            write(result.folder / script_name(number, each.finding), each.finding.shown + "\n")
    if summary:
        with Path(summary).open("a", encoding="utf-8") as file:
            file.write(markdown(result)[:SUMMARY_MAX] + "\n")
    point_latest_at(result.folder)


def _seen(result: Result) -> Sequence[Classed]:
    return [each for each in result.findings if each.seen]


def verdict(result: Result) -> str:
    """The whole in a sentence or two, claiming no more than it shows."""
    counting = result.counting
    if counting:
        classes = [
            (sum(each.state is State.NEW for each in counting), "new"),
            (sum(each.state is State.ONGOING and not each.expired for each in counting), "ongoing and not accepted"),
            (sum(each.expired for each in counting), "accepted for a time that is over"),
        ]
        return f"{count(len(counting), 'finding')} in the way: {', '.join(f'{n} {word}' for n, word in classes if n)}."
    if result.unknown:
        reasons = count(len(result.unknown), "reason")
        return f"Nothing was found that counts, but not everything was shown: {reasons}. Unknown is not a pass."
    accepted = len(_seen(result))
    but = f" {count(accepted, 'finding')} known, and not in the way." if accepted else ""
    return f"Every engine had its turn, and every promise that was put to the test held.{but}"


# SARIF


def sarif(result: Result) -> str:
    """SARIF 2.1.0, one run. An accepted finding is suppressed, with who accepted it and until when."""
    seen = _seen(result)
    rules = {each.finding.rule.id: each.finding.rule for each in seen}
    places = {id: number for number, id in enumerate(rules)}
    described = [
        sarif_rule(rule, [each.finding for each in seen if each.finding.rule.id == id]) for id, rule in rules.items()
    ]
    notes = [("error", why) for why in result.unknown]
    notes += [("note", f"resolved: {each.finding.rule.id}, {each.finding.where}") for each in result.of(State.RESOLVED)]
    run = {
        "tool": {
            "driver": {
                "name": NAME,
                "semanticVersion": semantic_version(),
                "version": version(NAME),
                "rules": described,
            }
        },
        "automationDetails": {"id": f"{NAME}/gate/{quote(result.service)}/"},
        "invocations": [
            {
                "executionSuccessful": not result.unknown,
                "commandLine": result.again,
                "exitCode": {Status.HOLDS: 0, Status.BROKEN: 1, Status.UNKNOWN: 3}[result.status],
                "startTimeUtc": f"{result.started:%Y-%m-%dT%H:%M:%S}Z",
                "toolExecutionNotifications": [{"level": level, "message": {"text": text}} for level, text in notes],
            }
        ],
        "columnKind": "utf16CodeUnits",
        "results": [_result(each, places[each.finding.rule.id], number) for number, each in enumerate(seen, 1)],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(each: Classed, rule: int, number: int) -> Mapping[str, Any]:
    told = dict(sarif_result(each.finding, rule, number)) | {"baselineState": BASELINE_STATE[each.state]}
    if each.accepted and not each.expired:
        said = f"{each.accepted.owner}: {each.accepted.reason} (until {each.accepted.until})"
        told["suppressions"] = [{"kind": "external", "status": "accepted", "justification": said}]
    return told


# JUnit


def junit(result: Result) -> str:
    """A suite for each engine, a case for each thing that was put to the test, and one that is an error where it is unknown.

    A finding that does not count is *skipped*, with the reason: it did not pass.
    """
    root = ElementTree.Element("testsuites", {"name": legal(f"gate {result.service}")})
    seen = {each.fingerprint: each for each in _seen(result)}
    for turn in result.turns:
        _add_suite(root, turn, [seen[finding.fingerprint] for finding in turn.findings if finding.fingerprint in seen])
    whole = ElementTree.SubElement(
        root, "testsuite", _counted("gate", 1, 0, int(bool(result.missing)), 0, result.took_s)
    )
    case = ElementTree.SubElement(
        whole, "testcase", {"classname": legal(result.service), "name": "what the profile asks for"}
    )
    if result.missing:
        _add(case, "error", "unknown", result.missing)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _add_suite(root: ElementTree.Element, turn: Turn, found: Sequence[Classed]) -> None:
    at = {each.fingerprint: _case_of(each.finding.rule.id, each.finding.where, turn) for each in found}
    cases = sorted({_case_of(rule, where, turn) for rule, where in turn.tried} | set(at.values()))
    broken = {name: [each for each in found if at[each.fingerprint] == name] for name in cases}
    failures = sum(any(each.counts for each in broken[name]) for name in cases)
    skipped = sum(bool(broken[name]) for name in cases) - failures
    tests = len(cases) + bool(turn.unknown)
    suite = ElementTree.SubElement(
        root, "testsuite", _counted(turn.name, tests, failures, int(bool(turn.unknown)), skipped, turn.took_s)
    )
    for name in cases:
        case = ElementTree.SubElement(suite, "testcase", {"classname": legal(turn.name), "name": legal(name)})
        counting = [each for each in broken[name] if each.counts]
        if counting:
            _add(case, "failure", counting[0].state.value, [_line(each) for each in counting])
        elif broken[name]:
            _add(case, "skipped", "accepted", [_line(each) for each in broken[name]])
    if turn.unknown:
        case = ElementTree.SubElement(suite, "testcase", {"classname": legal(turn.name), "name": "unknown"})
        _add(case, "error", "unknown", [*turn.unknown, f"again: {turn.again}"])


def _case_of(rule: str, where: str, turn: Turn) -> str:
    """Hostile callbacks are told apart by what was sent, plans by their place."""
    return rule if turn.engine == "fuzz" else where


def _counted(name: str, tests: int, failures: int, errors: int, skipped: int, took_s: float) -> dict[str, str]:
    numbers = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    return {"name": legal(name), **{key: str(value) for key, value in numbers.items()}, "time": f"{took_s:.3f}"}


def _add(case: ElementTree.Element, tag: str, kind: str, lines: Sequence[str]) -> None:
    element = ElementTree.SubElement(case, tag, {"type": kind, "message": legal(lines[0].splitlines()[0])})
    element.text = legal("\n".join(lines))


def _line(each: Classed) -> str:
    finding = each.finding
    return "\n".join(
        filter(
            None,
            (
                f"{finding.rule.id}: {finding.says}",
                answer(each),
                f"fingerprint {each.fingerprint}",
                f"again: {finding.again}",
            ),
        )
    )


def answer(each: Classed) -> str:
    """Who answers for a finding, and how long; empty where nobody does."""
    if each.accepted is None:
        return "listed and not counted: the profile counts errors only" if each.lesser else ""
    over = "that was over on" if each.expired else "until"
    return f"accepted by {each.accepted.owner}, {over} {each.accepted.until}: {each.accepted.reason}"


# Markdown


def markdown(result: Result) -> str:
    """A page for the summary of a job or a pull request."""
    lines = [f"# {result.status.word}: gate of {escaped(result.service)}", "", escaped(verdict(result)), ""]
    lines += ["| engine | verdict | shown | took |", "|---|---|---|---|"]
    for turn in result.turns:
        took = f"{turn.took_s:.1f} s of {turn.allowed_s:.0f} s" if turn.allowed_s else "no turn"
        lines.append(f"| {escaped(turn.name)} | {turn.status.word} | {shown(turn)} | {took} |")
    for title, those in groups(result):
        lines += ["", f"## {title}", ""]
        for each in those:
            lines += _told(each)
    for title, said in (("Unknown", result.unknown), ("Notes", result.notes)):
        if said:
            lines += ["", f"## {title}", "", *(f"- {escaped(each)}" for each in said)]
    lines += ["", f"Seed {result.seed}, {duration(result.took_s)} of {duration(result.budget_s)}. Again:", ""]
    return "\n".join([*lines, *fenced("sh", result.again)]) + "\n"


def _told(each: Classed) -> Iterable[str]:
    weakness = "".join(f" CWE-{number}" for number in each.finding.cwe)
    yield f"- **`{each.finding.rule.id}`**{weakness} · {escaped(each.finding.where)} · `{each.fingerprint[:FINGERPRINT_SHOWN]}`  "
    if each.finding.says and each.seen:
        yield f"  {escaped(each.finding.says)}  "
    if answer(each):
        yield f"  {escaped(answer(each))}  "
    if each.seen:
        yield ""
        yield from (f"  {line}" for line in fenced("sh", each.finding.again))


def shown(turn: Turn) -> str:
    """How much was done, in a few words."""
    done = [
        count(turn.runs, "run") if turn.runs else "",
        count(sum(turn.payments.values()), "payment") if turn.payments else "",
        count(turn.callbacks, "callback") if turn.callbacks else "",
    ]
    return ", ".join(filter(None, done)) or "nothing"


def groups(result: Result) -> Sequence[tuple[str, Sequence[Classed]]]:
    """The findings, by what is to be done about them; groups that have none are left out."""
    seen = _seen(result)
    every = [
        ("New", [each for each in seen if each.counts and each.state is State.NEW]),
        ("Ongoing", [each for each in seen if each.counts and each.state is State.ONGOING and not each.expired]),
        ("Accepted for a time that is over", [each for each in seen if each.counts and each.expired]),
        ("Accepted", [each for each in seen if not each.counts and each.accepted]),
        ("Not counted", [each for each in seen if not each.counts and not each.accepted]),
        ("Resolved", result.of(State.RESOLVED)),
        ("Known, and not looked for this time", result.of(State.NOT_LOOKED_FOR)),
    ]
    return [(title, those) for title, those in every if those]


# The page


def page(result: Result) -> str:
    """One file that needs nothing else. It links to the engines' own reports beside it."""
    return (
        environment()
        .get_template("gate.html")
        .render(
            result=result,
            verdict=verdict(result),
            groups=groups(result),
            facts=_facts(result),
            answer=answer,
            label=_label,
            shown=shown,
            report_of=lambda turn: _report(turn, result.folder),
            short=lambda each: each.fingerprint[:FINGERPRINT_SHOWN],
            weaknesses=_weaknesses,
        )
    )


def _facts(result: Result) -> Mapping[str, str]:
    return {
        "when": f"{result.started:%Y-%m-%d %H:%M:%S} {result.started.tzname() or ''}".rstrip(),
        "took": f"{duration(result.took_s)} of {duration(result.budget_s)}",
        "service": result.service,
        "seed": str(result.seed),
        NAME: version(NAME),
    }


def _label(each: Classed) -> str:
    """What stands beside a finding, in a word or two."""
    if not each.seen:
        return each.state.value
    return (
        "expired"
        if each.expired
        else "accepted"
        if each.accepted
        else "not counted"
        if each.lesser
        else each.state.value
    )


def _weaknesses(finding: Finding) -> str:
    return ", ".join(f"CWE-{number}" for number in finding.cwe)


def _report(turn: Turn, folder: Path) -> str:
    """Where the engine's own report lies, as a link from the page; empty where there is none."""
    if turn.folder is None:
        return ""
    names = ("report.html", "fuzz.html", "findings.html", "summary.md")
    file = next((turn.folder / name for name in names if (turn.folder / name).exists()), turn.folder)
    return quote(Path(os.path.relpath(file, folder)).as_posix())
