"""What a comparison gives away by the time that it takes: what is seen in a source, and how often timing cries wolf."""

import base64
import hmac
from pathlib import Path
from random import Random

import pytest

from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.door import Door, Place
from harness.engines.fuzz.engine import Examiner
from harness.engines.fuzz.sources import places
from harness.engines.fuzz.timing import ALPHA, by_chance, difference
from harness.engines.fuzz.world import Stranger, made_up
from harness.finding import Examination
from tests.unit.receivers import SECRET, Judge, honest, receiving
from tests.unit.test_fuzz import writing

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.py", "if request.headers['x-signature'] == expected: pass"),
        ("a.py", "ok = hmac.new(key, body, 'sha256').hexdigest() != given"),
        ("a.py", "ok = sig in (one, two)"),
        ("a.js", "if (signature === expected) accept();"),
        ("a.php", "if ($expected == $request->signature) {"),
        ("a.go", "return sig == string(want)"),
    ],
)
def test_a_signature_that_is_compared_with_equals_is_found_where_it_stands(
    name: str, line: str, tmp_path: Path
) -> None:
    """Read in Python, looked at elsewhere."""
    (tmp_path / name).write_text(f"\n{line}\n")
    (found,) = places([tmp_path])

    assert (found.line, found.text) == (2, line)
    assert found.sure is (name == "a.py")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.py", "if hmac.compare_digest(signature, expected): pass"),
        ("a.py", "if signature is None or signature == '': pass"),
        ("a.py", "if sign_type == wanted: pass"),
        ("a.py", "if design == signed_up: pass"),
        ("a.js", "if (crypto.timingSafeEqual(signature, expected)) accept();"),
        ("a.js", "if (signature === undefined) refuse();"),
        ("a.js", "if (signatureVersion === version) go();"),
        ("a.js", "// signature === expected"),
        ("a.txt", "signature == expected"),
    ],
)
def test_what_gives_no_time_away_is_left_alone(name: str, line: str, tmp_path: Path) -> None:
    """A constant, a type, a comment, a comparison made for it."""
    (tmp_path / name).write_text(f"{line}\n")

    assert list(places([tmp_path])) == []


def test_nothing_of_this_project_compares_signatures_so() -> None:
    """Neither the reference service nor the provider."""
    assert [each.text for each in places([ROOT / "reference_impl", ROOT / "fake_provider"])] == []


def noise(rng: Random, count: int, more_s: float = 0.0) -> list[float]:
    """Answers of half a millisecond, some of them late, as they come from a busy machine."""
    return [0.0005 + more_s + rng.lognormvariate(-11, 1) + (rng.random() < 0.02) * 0.003 for _ in range(count)]


def test_where_there_is_no_difference_it_is_cried_as_seldom_as_is_said() -> None:
    """Of 300 tests at one in twenty, a binomial of mean 15: more than 29 would come once in a few thousand times."""
    rng = Random(5)
    p = [by_chance(noise(rng, 60), noise(rng, 60)) for _ in range(300)]

    assert sum(each <= 0.05 for each in p) <= 29
    assert sum(each < ALPHA for each in p) <= 2


def test_a_difference_that_is_larger_than_what_is_said_to_be_visible_is_seen() -> None:
    """And its size is about right."""
    rng = Random(6)
    visible_s = difference(noise(rng, 300), noise(rng, 300)).visible_s
    found = difference(noise(rng, 300), noise(rng, 300, 3 * visible_s))

    assert found.shown and found.later_s == pytest.approx(3 * visible_s, rel=0.5)


def leaks(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Goes on working where the beginning of the signature fits: what a comparison does that stops early, writ large."""
    said = dict(headers)
    signed = b".".join((said[b"webhook-id"], said[b"webhook-timestamp"], body))
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    right = base64.b64encode(hmac.digest(key, signed, "sha256"))
    if said.get(b"webhook-signature", b"")[3:11] == right[:8]:
        for _ in range(600):
            hmac.digest(key, signed, "sha256")
    return honest(headers, body)


def examined(sources: tuple[Path, ...], *, timing: bool, judge: Judge = honest) -> Examination:
    with receiving(judge) as url:
        examiner = Examiner(
            pen=writing(key=SECRET),
            door=Door(Place.of(url)),
            world=Stranger(made_up(Random(1), {}), SECRET),
            wanted=Wanted(
                where="receiver",
                seed=1,
                again="topup-chaos fuzz",
                generated=0,
                only=("forged/unsigned",),
                sources=sources,
                timing=timing,
            ),
            tell=lambda _: None,
        )
        return examiner.examine()


def test_a_place_in_a_source_is_a_finding_of_its_own(tmp_path: Path) -> None:
    """With its file and its line, and the same fingerprint when it moves."""
    (tmp_path / "a.py").write_text("ok = signature == expected\nok = signature == expected\n")
    first = examined((tmp_path,), timing=False)
    (tmp_path / "a.py").write_text("\n\nok = signature == expected\nok = signature == expected\n")
    moved = examined((tmp_path,), timing=False)

    assert [(each.rule.id, each.cwe, each.line) for each in first.findings] == [
        ("source/compared-with-equals", (208,), 1),
        ("source/compared-with-equals", (208,), 2),
    ]
    assert [each.fingerprint for each in first.findings] == [each.fingerprint for each in moved.findings]
    assert len({each.fingerprint for each in first.findings}) == 2


def test_timing_is_off_unless_asked_for_and_says_what_it_would_have_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that compares in constant time: nothing is found."""
    monkeypatch.setattr("harness.engines.fuzz.timing.measured.__defaults__", (60,))
    quiet, timed = examined((), timing=False), examined((), timing=True)

    assert quiet.counts["timing/compared-in-time"] == 0
    assert timed.counts["timing/compared-in-time"] >= 130
    assert timed.findings == []
    assert any(each.endswith("would not have been seen") for each in timed.left_out)


def test_a_receiver_that_takes_longer_the_more_fits_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twice in a row, by fresh samples."""
    monkeypatch.setattr("harness.engines.fuzz.timing.measured.__defaults__", (60,))
    (finding,) = examined((), timing=True, judge=leaks).findings

    assert (finding.rule.id, finding.kind, finding.cwe) == ("timing/compared-in-time", "timed", (208,))
