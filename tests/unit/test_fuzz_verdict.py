"""What `topup-chaos fuzz URL` may say of a receiver whose balances nobody sees."""

from pathlib import Path

import pytest

from tests.unit.receivers import SECRET, Judge, honest, receiving
from tests.unit.test_fuzz import typed

WORDS = ("--dialect", "standard-webhooks", "--secret-env", "KEY_OF_THE_TEST", "--generated", "0", "--seed", "3")


def refuses_aloud(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    return honest(headers, body)


def accepts_all(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    return 200


@pytest.mark.parametrize(
    ("judge", "more", "code", "verdict"),
    [
        (refuses_aloud, (), 3, "unknown: "),
        (refuses_aloud, ("--status-only",), 0, "holds, by status alone: "),
        (accepts_all, (), 1, "broken: "),
        (accepts_all, ("--status-only",), 1, "broken, by status alone: "),
    ],
)
def test_answers_alone_show_that_something_is_wrong_and_never_that_all_is_well(
    judge: Judge,
    more: tuple[str, ...],
    code: int,
    verdict: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Unless somebody says that answers are enough, and then the word says what it rests on."""
    monkeypatch.setenv("KEY_OF_THE_TEST", SECRET)
    with receiving(judge) as url:
        found = typed(monkeypatch, tmp_path, url, *WORDS, "--attack", "forged", *more)

    printed = capsys.readouterr().out
    (summary,) = (tmp_path / "reports" / "runs").glob("*-fuzz/summary.md")
    assert found == code
    assert f"\n{verdict}" in printed
    assert summary.read_text().startswith(f"# {verdict.strip()}")
    assert ("--status-only" in printed) is (code == 3 or bool(more))


def test_a_target_and_answers_alone_contradict_each_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of them is to be left out."""
    (tmp_path / "other.toml").write_text("")
    words = ("http://127.0.0.1:1/", "--dialect", "stripe", "--status-only")

    assert typed(monkeypatch, tmp_path, *words, "--target", str(tmp_path / "other.toml")) == 2
    assert "leave out one of them" in capsys.readouterr().err
    assert typed(monkeypatch, tmp_path, "--status-only") == 2
    assert "name its URL first" in capsys.readouterr().err
