"""Alert rules, dashboard and runbooks: about series that the service has, fired by what they say, each with a way on."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from promql import Recorded, labels_of, minutes

import scenarios
from harness.registry import load
from harness.scenario import SCENARIOS
from reference_impl.metrics import COUNTERS, GAUGES, Metrics

load(scenarios, but=("locustfile", "flows", "meetings"))

HOME = Path(__file__).parent.parent.parent / "reference_impl"
RULES = yaml.safe_load((HOME / "monitoring" / "alerts.yaml").read_text(encoding="utf-8"))["groups"][0]["rules"]
STORIES = yaml.safe_load((HOME / "monitoring" / "alerts.tests.yaml").read_text(encoding="utf-8"))["tests"]
DASHBOARD = json.loads((HOME / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
SERIES = (
    {f"{name}_total" for name in COUNTERS}
    | {*GAUGES, "up"}
    | {f"topup_ledger_seconds_{part}" for part in ("count", "bucket", "sum")}
)


def fired(story: dict[str, Any]) -> set[str]:
    [question] = story["promql_expr_test"]
    recorded, at = Recorded.of(story["input_series"]), int(minutes(question["eval_time"]))
    return {rule["alert"] for rule in RULES if recorded.fires(rule, at)}


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story["name"])
def test_what_was_recorded_fires_what_it_should_and_nothing_else(story: dict[str, Any]) -> None:
    """By an evaluation of our own, of as much of the language as the rules use."""
    [question] = story["promql_expr_test"]
    expected = {dict(labels_of(sample["labels"]))["alertname"] for sample in question["exp_samples"]}

    assert fired(story) == expected


def test_every_alert_fires_in_some_story() -> None:
    """An alert that no recording fires may be one that nothing ever does."""
    assert {rule["alert"] for rule in RULES} == {alert for story in STORIES for alert in fired(story)}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="there is no promtool on the path")
def test_prometheus_own_tool_says_the_same() -> None:
    """Where it can be had: over the rules, and over the same recordings."""
    for words in (("check", "rules", "alerts.yaml"), ("test", "rules", "alerts.tests.yaml")):
        done = subprocess.run(
            ["promtool", *words], cwd=HOME / "monitoring", capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_where_how_widespread_what_to_check_first_and_how_to_go_on(rule: dict[str, Any]) -> None:
    """And its runbook names it."""
    annotations = rule["annotations"]
    assert {"what", "where", "how_widespread", "check_first", "runbook"} == set(annotations)
    assert f"`{rule['alert']}`" in (HOME / "runbooks" / annotations["runbook"]).read_text(encoding="utf-8")


def test_rules_and_dashboard_are_about_series_that_there_are() -> None:
    """A query of a name that nothing exports is always empty, and looks like peace."""
    shown = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    for expression in [*(rule["expr"] for rule in RULES), *shown]:
        named = set(re.findall(r"\b(?:topup_\w+|up)\b", re.sub(r'"[^"]*"', "", expression)))
        assert named and named <= SERIES, expression


def test_every_runbook_is_led_to_by_an_alert() -> None:
    """Or by a runbook that is."""
    led_to = {rule["annotations"]["runbook"] for rule in RULES}
    for name in tuple(led_to):
        led_to |= set(re.findall(r"\(([a-z-]+\.md)\)", (HOME / "runbooks" / name).read_text(encoding="utf-8")))
    assert {path.name for path in (HOME / "runbooks").glob("*.md")} == led_to


@pytest.mark.parametrize("runbook", sorted((HOME / "runbooks").glob("*.md")), ids=lambda path: path.stem)
def test_a_runbook_is_rehearsed_by_scenarios_that_there_are(runbook: Path) -> None:
    """And says which alerts, or which runbooks, lead to it: those that do, and no others."""
    text = runbook.read_text(encoding="utf-8")
    [words] = re.findall(r"^Rehearsed by `topup-chaos run ([a-z -]+)`", text, re.MULTILINE)
    assert set(words.split()) <= set(SCENARIOS)
    [led] = re.findall(r"^Led to by (.*?)\.?$", text, re.MULTILINE)
    alerts = {rule["alert"] for rule in RULES if rule["annotations"]["runbook"] == runbook.name}
    assert set(re.findall(r"`(\w+)`", led)) == alerts
    for other in re.findall(r"\(([a-z-]+\.md)\)", led):
        assert f"({runbook.name})" in (HOME / "runbooks" / other).read_text(encoding="utf-8")
    assert alerts or "(" in led


def test_what_is_exported_is_what_was_counted() -> None:
    """Read back by Prometheus' own parser; series that alerts watch stand at 0 before anything happened."""
    metrics = Metrics()
    before = read(metrics)
    for seconds in (0.004, 0.005, 0.3, 9.0):
        metrics.took(seconds)
    metrics.of_event("callback", "duplicate")
    metrics.count("topup_callbacks_refused", 'a "reason" \\ of a stranger')
    metrics.gauge("topup_open", 3)
    after = read(metrics)

    duplicates = ("topup_events_total", (("cause", "callback"), ("outcome", "duplicate")))
    assert (before[duplicates], after[duplicates]) == (0, 1)
    assert after["topup_callbacks_refused_total", (("reason", 'a "reason" \\ of a stranger'),)] == 1
    assert after["topup_open", ()] == 3
    buckets = {
        le: after["topup_ledger_seconds_bucket", (("le", le),)] for le in ("0.005", "0.25", "0.5", "5.0", "+Inf")
    }
    assert buckets == {"0.005": 2, "0.25": 2, "0.5": 3, "5.0": 3, "+Inf": 4}
    assert after["topup_ledger_seconds_count", ()] == 4
    assert after["topup_ledger_seconds_sum", ()] == pytest.approx(9.309)


def read(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    samples = [sample for family in families for sample in family.samples]
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}


def test_a_start_does_not_wait_for_what_is_seldom_asked() -> None:
    """Prometheus' package and the terminal's are loaded when they are needed: a service that is restarted is soon up."""
    program = "import sys, reference_impl.__main__; print({'prometheus_client', 'typer'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "set()"
