"""`junit.xml`: one test suite for the command, one test case for each run, for whatever reads test results in CI.

Broken is a failure. Unknown is an error: a reader of JUnit knows no third colour, and unknown must not pass.
"""

from collections.abc import Iterator
from xml.etree import ElementTree

from harness.run import Run, Suite
from harness.verdict import Status
from reports import renderer
from reports.words import count


@renderer(file="junit.xml")
def render(suite: Suite) -> str:
    """Runs that were not made are one test case more, an error: nothing was shown of them."""
    root = ElementTree.Element("testsuites")
    tests = ElementTree.SubElement(root, "testsuite", _suite_attributes(suite))
    for run in suite.runs:
        weighs = not (suite.drawn and run.unproved)
        _add_case(tests, run, several=len({each.dialect for each in suite.runs}) > 1, weighs=weighs)
    if _unmade(suite):
        case = ElementTree.SubElement(tests, "testcase", {"classname": "topup-chaos", "name": legal(suite.name)})
        _add(case, "error", "unknown", _unmade(suite), f"again: {suite.again}")
    ElementTree.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(root, encoding="unicode") + "\n"


def _unmade(suite: Suite) -> str:
    """What was asked for and not run, in words; empty when all was."""
    if suite.left:
        return f"{count(suite.left, 'run')} left over: interrupted, or the time budget was spent"
    return "" if suite.runs else "nothing was run"


def _suite_attributes(suite: Suite) -> dict[str, str]:
    statuses = [run.status for run in suite.weighing] + [Status.UNKNOWN] * bool(_unmade(suite))
    skipped = len(suite.runs) - len(suite.weighing)
    return {
        "name": legal(suite.name),
        "tests": str(len(statuses) + skipped),
        "failures": str(statuses.count(Status.BROKEN)),
        "errors": str(statuses.count(Status.UNKNOWN)),
        "skipped": str(skipped),
        "time": f"{suite.took_s:.3f}",
        "timestamp": suite.started.isoformat(timespec="seconds"),
    }


def _add_case(tests: ElementTree.Element, run: Run, *, several: bool, weighs: bool) -> None:
    """*several*: whether the suite ran in several dialects, so that a name alone would stand for several cases. One that does
    not weigh was drawn by chance and proved nothing: it counts as skipped, which is to say not as passed.
    """
    target = ".".join(part for part in (run.target, run.dialect if several else "", run.mutant) if part)
    attributes = {"classname": legal(target), "name": legal(run.plan.name), "time": f"{run.took_s:.3f}"}
    case = ElementTree.SubElement(tests, "testcase", attributes)
    if run.status is Status.BROKEN:
        broken = ", ".join(sorted(run.broken))
        _add(case, "failure", "broken", f"broken: {broken}", "\n".join([*_broken(run), f"again: {run.again}"]))
    elif run.status is Status.UNKNOWN:
        reasons = list(_unknown(run)) or ["no verdict weighs"]
        tag, text = "error" if weighs else "skipped", "\n".join([*reasons, f"again: {run.again}"])
        _add(case, tag, "unknown", reasons[0].splitlines()[0], text)


def _broken(run: Run) -> Iterator[str]:
    for verdict in run.verdicts:
        if verdict.status is Status.BROKEN:
            yield f"{verdict.invariant} ({count(len(verdict.violations), 'violation')}): {verdict.promise}"
            yield from (f"  {violation.says}" for violation in verdict.violations)


def _unknown(run: Run) -> Iterator[str]:
    for verdict in run.verdicts:
        if verdict.status is Status.UNKNOWN and verdict.weighs:
            yield f"{verdict.invariant}: {verdict.because}"


def _add(case: ElementTree.Element, tag: str, kind: str, message: str, text: str) -> None:
    element = ElementTree.SubElement(case, tag, {"type": kind, "message": legal(message)})
    element.text = legal(text)


def legal(text: str) -> str:
    """Without the characters that XML 1.0 cannot hold in any spelling."""
    return "".join(letter for letter in text if _islegal(ord(letter)))


def _islegal(code: int) -> bool:
    return code in (0x9, 0xA, 0xD) or 0x20 <= code <= 0xD7FF or 0xE000 <= code <= 0xFFFD or 0x10000 <= code <= 0x10FFFF
