"""What security tools and CI read of an examination: SARIF, JUnit, and a page for a pull request."""

import json
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from pydantic import TypeAdapter

from harness.finding import Examination, Finding, Rule
from reports.findings_html import page
from reports.junit import legal
from reports.words import count

NAME = "topup-chaos"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
CWE = "https://cwe.mitre.org/data/definitions/{}.html"


def write_findings(examination: Examination, folder: Path) -> None:
    """Every rendering, and each reproduction as a file of its own. Whatever came out of a receiver is escaped."""
    folder.mkdir(parents=True, exist_ok=True)
    renderings = (
        ("findings.sarif", sarif),
        ("junit.xml", junit),
        ("summary.md", markdown),
        ("examination.json", whole),
    )
    for name, render in renderings:
        (folder / name).write_text(render(examination), encoding="utf-8")
    for number, finding in enumerate(examination.findings, 1):
        if finding.shown:
            (folder / script_name(number, finding)).write_text(finding.shown + "\n", encoding="utf-8")
    (folder / "report.html").write_text(page(examination, script_name), encoding="utf-8")


def script_name(number: int, finding: Finding) -> str:
    """Of the file that sends the bytes of the finding of that number again."""
    return f"reproduce-{number}.{'py' if finding.language == 'python' else 'sh'}"


_EXAMINATION = TypeAdapter(Examination)


def whole(examination: Examination) -> str:
    """All of it as JSON, for the gate to read."""
    return _EXAMINATION.dump_json(examination, indent=2).decode() + "\n"


# SARIF


def sarif(examination: Examination) -> str:
    """SARIF 2.1.0. What is unknown is a notification of the run, and the run was then not successful."""
    rules = [
        sarif_rule(rule, [each for each in examination.findings if each.rule.id == rule.id])
        for rule in examination.rules
    ]
    places = {rule.id: number for number, rule in enumerate(examination.rules)}
    notes = [("error", why) for why in examination.unknown] + [("note", why) for why in examination.unseen]
    run = {
        "tool": {
            "driver": {"name": NAME, "semanticVersion": semantic_version(), "version": version(NAME), "rules": rules}
        },
        "automationDetails": {"id": f"{NAME}/{examination.name}/{quote(examination.where)}"},
        "invocations": [
            {
                "executionSuccessful": not examination.unknown,
                "commandLine": examination.again,
                "exitCode": examination.exit_code,
                "toolExecutionNotifications": [{"level": level, "message": {"text": text}} for level, text in notes],
            }
        ],
        "columnKind": "utf16CodeUnits",
        "results": [
            sarif_result(finding, places[finding.rule.id], number)
            for number, finding in enumerate(examination.findings, 1)
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def semantic_version() -> str:
    """As semantic versioning has it: three numbers."""
    return ".".join([*version(NAME).split(".")[:3], "0", "0"][:3])


def sarif_rule(rule: Rule, broken: Sequence[Finding]) -> Mapping[str, Any]:
    """A `reportingDescriptor`; *broken* are the findings of it, which may know a nearer weakness."""
    cwe = tuple(dict.fromkeys((*(number for each in broken for number in each.cwe), *rule.cwe)))
    help = [rule.what, f"Correct: {rule.correct}.", *(f"Seen: {link}" for link in rule.seen)]
    listed = [f"**{rule.what}**", f"Correct: {rule.correct}.", *(f"- seen: <{link}>" for link in rule.seen)]
    listed += [f"- [CWE-{number}]({CWE.format(number)})" for number in cwe]
    described = {
        "id": rule.id,
        "name": "".join(word.title() for word in rule.id.replace("/", "-").split("-")),
        "shortDescription": {"text": rule.what},
        "fullDescription": {"text": f"{rule.what} Correct: {rule.correct}."},
        "help": {"text": "\n".join(help), "markdown": "\n\n".join(listed)},
        "defaultConfiguration": {"level": "error"},
        "properties": {
            "tags": ["security", *(f"external/cwe/cwe-{number:03}" for number in cwe), *rule.numbers],
            "precision": "high",
            "security-severity": "9.0" if not broken or any(each.grave for each in broken) else "5.0",
        },
    }
    return described | ({"helpUri": CWE.format(cwe[0])} if cwe else {})


def sarif_result(finding: Finding, rule: int, number: int) -> Mapping[str, Any]:
    """A `result`; *rule* is the place of its rule in the list, *number* that of the finding in the file."""
    shown = f"\n\nThe bytes: {script_name(number, finding)}" if finding.shown else ""
    return {
        "ruleId": finding.rule.id,
        "ruleIndex": rule,
        "kind": "fail",
        "level": "error" if finding.grave else "warning",
        "message": {"text": f"{finding.rule.what} {as_sentence(finding.says)}\n\nAgain: {finding.again}{shown}"},
        "locations": [
            {
                # A receiver has no source file that anybody here knows of. Viewers want one, so it is the endpoint's name.
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(finding.where, safe="/")},
                    "region": {"startLine": finding.line},
                },
                "logicalLocations": [{"fullyQualifiedName": finding.where, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"topupChaos/v1": finding.fingerprint},
        "properties": {"kind": finding.kind, "cwe": [f"CWE-{each}" for each in finding.cwe], "again": finding.again},
    }


def as_sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


# JUnit


def junit(examination: Examination) -> str:
    """One test case for each rule that was put to the test: broken is a failure. What is unknown is one more, an error."""
    tried = [rule for rule in examination.rules if examination.counts.get(rule.id)]
    broken = {rule.id: [each for each in examination.findings if each.rule.id == rule.id] for rule in examination.rules}
    untried = [rule for rule in examination.rules if broken[rule.id] and rule not in tried]
    cases = [*tried, *untried]
    suite = ElementTree.Element(
        "testsuite",
        {
            "name": legal(f"{examination.name} {examination.where}"),
            "tests": str(len(cases) + bool(examination.unknown)),
            "failures": str(sum(bool(broken[rule.id]) for rule in cases)),
            "errors": str(int(bool(examination.unknown))),
            "skipped": "0",
            "time": f"{examination.took_s:.3f}",
        },
    )
    for rule in cases:
        case = ElementTree.SubElement(
            suite, "testcase", {"classname": legal(examination.where), "name": legal(rule.id)}
        )
        if found := broken[rule.id]:
            message = legal("; ".join(each.says for each in found))
            failure = ElementTree.SubElement(case, "failure", {"type": found[0].kind, "message": message})
            failure.text = legal("\n\n".join(f"{each.says}\nagain: {each.again}\n{each.shown}" for each in found))
    if examination.unknown:
        case = ElementTree.SubElement(suite, "testcase", {"classname": legal(examination.where), "name": "unknown"})
        error = ElementTree.SubElement(case, "error", {"type": "unknown", "message": legal(examination.unknown[0])})
        error.text = legal("\n".join(examination.unknown))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


# Markdown


def markdown(examination: Examination) -> str:
    """A page for the summary of a job or a pull request."""
    lines = [
        f"# {examination.verdict}: {examination.name} of {escaped(examination.where)}",
        "",
        f"{count(examination.sent, 'callback')} in {examination.took_s:.1f} s, seed {examination.seed}."
        f" {count(len([each for each in examination.rules if examination.counts.get(each.id)]), 'rule')} put to the test.",
    ]
    if examination.findings:
        lines += ["", "| finding | weakness | what happened |", "|---|---|---|"]
        for each in examination.findings:
            weakness = ", ".join(f"[CWE-{number}]({CWE.format(number)})" for number in each.cwe)
            lines.append(f"| `{each.rule.id}` | {weakness} | {escaped(each.says)} |")
    for number, each in enumerate(examination.findings, 1):
        lines += [
            "",
            f"## {number}. `{each.rule.id}`",
            "",
            escaped(each.rule.what),
            "",
            f"Correct: {escaped(each.rule.correct)}.",
        ]
        lines += ["", *fenced("sh", each.again)]
        if each.shown and len(each.shown) < 4000:
            lines += ["", *fenced(each.language, each.shown)]
        elif each.shown:
            lines += ["", f"The bytes are in `{script_name(number, each)}`."]
        lines += [f"- seen: <{link}>" for link in each.rule.seen]
    for title, said in (
        ("Unknown", examination.unknown),
        ("What could not be seen", examination.unseen),
        ("Not sent", examination.left_out),
    ):
        if said:
            lines += ["", f"## {title}", "", *(f"- {escaped(each)}" for each in said)]
    return "\n".join([*lines, "", "Again:", "", *fenced("sh", examination.again)]) + "\n"


def fenced(language: str, text: str) -> Sequence[str]:
    """A block of code that nothing in it can end."""
    fence = "```"
    while fence in text:
        fence += "`"
    return (f"{fence}{language}", text.rstrip("\n"), fence)


def escaped(text: str) -> str:
    """Without anything that Markdown or HTML would make something of."""
    marked = "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in text)
    return " ".join("".join(letter if letter.isprintable() else " " for letter in marked).split())
