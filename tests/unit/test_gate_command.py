"""What a person types at the gate, and what comes of it. No engine is started here: what they left is written by hand."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness import cli, gating
from harness.gate.result import Turn
from tests.unit.gates import finding, turn

Type = Callable[..., tuple[int, str]]
BROKEN = finding()
LESSER = finding("forged/quiet", grave=False)
SMALL = "[gate]\nseed = 7\npayments_min = 1\n[gate.suite]\n"
ANSWERS = ("--owner", "jo", "--reason", "known", "--until", "2999-12-31")


@pytest.fixture
def type_(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Type:
    """Types `topup-chaos gate …` in an empty folder, where engines leave *turns*; the exit code, and all that was printed."""

    def type_(*words: str, turns: tuple[Turn, ...] = (turn(),), interrupted: bool = False) -> tuple[int, str]:
        async def take_turns(wanted: Any, ends: float, tell: Any, done: list[Turn]) -> None:
            done.extend(turns)
            if interrupted:
                raise asyncio.CancelledError

        monkeypatch.setattr(gating, "take_turns", take_turns)
        monkeypatch.setattr("sys.argv", ["topup-chaos", "gate", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out + printed.err

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "topup-chaos.toml").write_text(SMALL)
    return type_


def test_the_exit_code_is_the_verdict(type_: Type) -> None:
    """0 holds, 1 broken, 3 unknown, 130 interrupted; the word and the way to see it again are printed."""
    assert type_()[0] == 0
    code, printed = type_(turns=(turn(BROKEN),))
    assert code == 1 and "BROKEN   new" in printed and BROKEN.fingerprint[:16] in printed
    assert type_(turns=(turn(unknown=["it did not get its turn"]),))[0] == 3
    assert type_(turns=(turn(payments={}),))[0] == 3
    code, printed = type_(interrupted=True)
    assert code == 130 and "look:" in printed


def test_a_bug_is_new_then_ongoing_then_accepted_then_resolved(type_: Type, tmp_path: Path) -> None:
    """And what was accepted and is gone, is said to be."""
    assert "1 new" in type_(turns=(turn(BROKEN),))[1]
    code, printed = type_(turns=(turn(BROKEN),))
    assert code == 1 and "0 new · 1 ongoing" in printed
    assert type_("--accept", BROKEN.fingerprint[:10], *ANSWERS)[0] == 0
    code, printed = type_(turns=(turn(BROKEN),))
    assert code == 0 and "accepted by jo: known" in printed
    code, printed = type_(turns=(turn(tried=[(BROKEN.rule.id, BROKEN.where)]),))
    assert code == 0 and f"resolved: {BROKEN.rule.id}" in printed and "jo need no longer answer for it" in printed


def test_an_acceptance_that_is_over_is_said_aloud(type_: Type, tmp_path: Path) -> None:
    """It breaks the gate again, and says who answered for it until when."""
    type_(turns=(turn(BROKEN),))
    type_("--accept", BROKEN.fingerprint[:10], *ANSWERS)
    baseline = tmp_path / "topup-chaos-baseline.toml"
    baseline.write_text(baseline.read_text().replace("2999-12-31", "2020-12-31"))

    code, printed = type_(turns=(turn(BROKEN),))

    assert code == 1
    assert "1 expired" in printed and "accepted by jo: known; that ended on 2020-12-31" in printed


def test_another_folder_is_compared_with_when_it_is_named(type_: Type, tmp_path: Path) -> None:
    """As CI does that keeps the last gate in a cache; one of another service is said not to be compared."""
    type_("--out", "first", turns=(turn(BROKEN),))
    assert "1 new" in type_("--out", "second", turns=(turn(BROKEN),))[1]
    assert "0 new · 1 ongoing" in type_("--out", "third", "--previous", "first/latest", turns=(turn(BROKEN),))[1]
    code, printed = type_("--previous", "first/latest", "--mutant", "credits-every-delivery", turns=(turn(BROKEN),))
    assert code == 1 and "nothing of it is compared" in printed and "1 new" in printed


def test_what_was_typed_takes_the_place_of_the_profile(type_: Type, tmp_path: Path) -> None:
    """And is in the command that repeats it, with the seed of the profile."""
    code, printed = type_("--time-budget", "60", "--baseline", "other.toml")

    assert code == 0
    assert "gate --time-budget 60 --baseline other.toml --seed 7" in printed
    (run,) = json.loads((tmp_path / "reports" / "runs" / "latest" / "findings.sarif").read_text())["runs"]
    assert run["invocations"][0]["exitCode"] == 0


def test_init_writes_a_profile_once(type_: Type, tmp_path: Path) -> None:
    """One that the gate can use; what is there is left as it is."""
    assert type_("--init") == (
        2,
        "topup-chaos: topup-chaos.toml is there already, and is left as it is: move it away first\n",
    )
    (tmp_path / "topup-chaos.toml").unlink()
    assert type_("--init")[0] == 0
    assert type_(turns=(turn(payments={"exact": 20}, callbacks=100),))[0] == 3  # promises that no turn put to the test
    assert "never_unknown" in (tmp_path / "topup-chaos.toml").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--owner", "jo"), "--accept"),
        (("--accept", "0" * 8), "--owner"),
        (("--accept", "0" * 8, *ANSWERS), "run it first"),
        (("--profile", "none.toml"), "none.toml"),
        (("--previous", "nowhere"), "nowhere"),
        (("--only", "sweep"), "suite"),
        (("--target", "none.toml"), "none.toml"),
        (("--mutant", "credits-every-deliver"), "credits-every-delivery"),
        (("--time-budget", "3"), "45"),
    ],
)
def test_wrong_usage_is_2_with_the_remedy(words: tuple[str, ...], says: str, type_: Type, tmp_path: Path) -> None:
    """Before anything is made."""
    code, printed = type_(*words)

    assert code == 2 and says in printed
    assert not (tmp_path / "reports").exists()


def test_a_mixed_environment_ends_it_first(type_: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The guard is its first step: no engine has its turn."""
    monkeypatch.setenv("DATABASE_URL_OF_SHOP", "postgresql://db.prod.example/shop")

    code, printed = type_()

    assert code == 2 and "DATABASE_URL_OF_SHOP" in printed
    assert not (tmp_path / "reports").exists()


def test_findings_below_the_profile_are_listed_and_do_not_count(type_: Type, tmp_path: Path) -> None:
    """With `fail_on`, and with a note that says so."""
    assert type_(turns=(turn(LESSER),))[0] == 1
    (tmp_path / "topup-chaos.toml").write_text(SMALL.replace("seed = 7", 'fail_on = "error"'))
    code, printed = type_(turns=(turn(LESSER),))
    assert code == 0 and "lesser" in printed and 'fail_on = "error"' in printed
