"""Hostile callbacks against receivers of a few lines: what is found, what is not known, and who may be attacked at all."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from fake_provider.clock import real_time
from fake_provider.dialects import all_shown
from fake_provider.pen import Pen, pen
from harness import cli
from harness.engines.fuzz.attack import DoesNotFit, Scene
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.catalogue import NOT_SENT, catalogue
from harness.engines.fuzz.door import Door, Place, Shot
from harness.engines.fuzz.engine import Examiner
from harness.engines.fuzz.guard import Forbidden, allowed
from harness.engines.fuzz.reproduction import reproduction
from harness.engines.fuzz.world import Stranger, made_up
from harness.finding import Examination
from tests.unit.receivers import SECRET, Judge, honest, receiving

NAMES = tuple(all_shown())


def writing(dialect: str = "standard-webhooks", key: str | None = SECRET, seed: int = 1) -> Pen:
    return pen(dialect, key=key, url="http://127.0.0.1:1/callbacks", now=real_time, rng=Random(seed))


def examined(
    judge: Judge,
    *only: str,
    generated: int = 0,
    seed: int = 1,
    says: bytes = b"",
    key: str | None = SECRET,
    stop: threading.Event | None = None,
    patience_s: float = 5.0,
) -> Examination:
    """What an examination says of a receiver."""
    with receiving(judge, says) as url:
        examiner = Examiner(
            pen=writing(key=key, seed=seed),
            door=Door(Place.of(url), patience_s),
            world=Stranger(made_up(Random(seed), {}), key),
            wanted=Wanted(where="receiver", seed=seed, again="topup-chaos fuzz", generated=generated, only=only),
            tell=lambda _: None,
            stop=stop or threading.Event(),
        )
        return examiner.examine()


def found(examination: Examination) -> dict[str, tuple[str, Sequence[int]]]:
    return {each.rule.id: (each.kind, each.cwe) for each in examination.findings}


# What is found


def test_nothing_is_found_in_an_honest_receiver_and_what_nobody_could_see_is_said() -> None:
    """Without a target, a balance is not seen: the word says no more than that."""
    examination = examined(honest, generated=60)

    assert found(examination) == {}
    assert examination.word == "holds" and examination.exit_code == 0
    assert any("balance" in each for each in examination.unseen)
    assert examination.counts["forged/unsigned"] == 1 and examination.counts["calm"] > 2


def test_a_receiver_that_refuses_everything_is_unknown() -> None:
    """It would pass any list of attacks."""
    examination = examined(lambda headers, body: 401)

    assert examination.findings == []
    assert examination.word == "unknown" and examination.exit_code == 3
    assert "genuine callback was not acknowledged" in examination.unknown[0]


def test_a_receiver_that_believes_everybody_is_found_by_each_forgery() -> None:
    """Each is a finding with its own weakness. Where any key will do, what else was let in with one shows nothing more."""
    examination = examined(lambda headers, body: 200)

    kinds = found(examination)
    assert kinds["forged/unsigned"][0] == "acknowledged" and kinds["forged/unsigned"][1][0] == 345
    assert kinds["forged/wrong-key"][1][0] == 347
    assert kinds["forged/stale-timestamp"][1][0] == 294
    assert kinds["forged/empty-key"][1][0] == 1188
    assert examination.exit_code == 1
    assert not [name for name in kinds if name.startswith(("doors/said", "doors/switches"))]
    assert any(each.startswith("doors/said-to-be-local: it was let in") for each in examination.left_out)
    assert all("--attack " + each.rule.id in each.again for each in examination.findings)


def test_a_crash_is_found_by_chance_and_made_simple() -> None:
    """The receiver breaks on one field that is missing: of all that was drawn, little more than that is left."""

    def crashes(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        status = honest(headers, body)
        try:
            return 500 if status in (204, 400) and "currency" not in json.loads(body).get("data", {}) else status
        except (ValueError, AttributeError, TypeError):
            return status

    examination = examined(crashes, "generated/structure", generated=400)

    assert found(examination)["generated/structure"] == ("crashed", (755, 248))
    (finding,) = examination.findings
    assert finding.shown.startswith("curl ") and len(finding.shown) < 500


def test_what_was_drawn_is_drawn_again_with_the_same_seed() -> None:
    """As long as the receiver answers the same."""
    one, same = (examined(lambda *_: 204, "generated/signature", generated=30, seed=5) for _ in range(2))

    assert (one.sent, found(one)) == (same.sent, found(same))


def test_a_secret_in_an_answer_is_found() -> None:
    """Whoever asks gets it."""
    examination = examined(lambda *given: honest(*given), "forged/wrong-key", says=b"expected key " + SECRET.encode())

    assert found(examination)["forged/wrong-key"] == ("leaked", (209,))


def test_silence_is_found_and_bounded() -> None:
    """A receiver that hangs on a request holds up the examination no longer than its patience."""
    hang = threading.Event()

    def hangs(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        if honest(headers, body) != 204:
            hang.wait(1.0)
        return honest(headers, body)

    examination = examined(hangs, "forged/wrong-key", patience_s=0.3)
    hang.set()

    assert found(examination)["forged/wrong-key"][0] == "silent"
    assert examination.took_s < 5


def test_a_receiver_that_no_longer_takes_genuine_callbacks_is_found() -> None:
    """Whatever brought it down: from then on, refusals show nothing."""
    hostile = threading.Event()

    def sulks(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        status = honest(headers, body)
        if status != 204:
            hostile.set()
        return 401 if hostile.is_set() else status

    examination = examined(sulks, "forged")

    assert found(examination)["calm"][0] == "refused-afterwards"


def test_an_examination_that_is_stopped_is_unknown_and_keeps_what_it_found() -> None:
    """Ctrl-C says nothing about the receiver."""
    stop = threading.Event()

    def stops(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        if not any(name == b"webhook-signature" for name, _ in headers):
            stop.set()
        return 200

    examination = examined(stops, stop=stop)

    assert set(found(examination)) == {"forged/cross-provider"}, "the first that bears no signature of this dialect"
    assert any("interrupted" in why for why in examination.unknown)
    assert examination.counts["framing/large-body"] == 0


def test_without_the_key_nothing_is_genuine() -> None:
    """Refusals are then all that there is, and show nothing."""
    assert examined(honest, key=None).word == "unknown"


def test_a_door_that_something_else_opens_is_found() -> None:
    """Who believes his own machine, whatever the signature, is found by that."""

    def believes_itself(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        return 204 if (b"x-forwarded-for", b"127.0.0.1") in headers else honest(headers, body)

    assert found(examined(believes_itself, "forged", "doors")) == {
        "doors/said-to-be-local": ("acknowledged", (290, 348))
    }


# What is sent


def test_every_attack_is_sent_or_it_is_said_why_not() -> None:
    """B-01 to B-57, over all dialects together."""
    played = {number for name in NAMES for each in catalogue(writing(name, None)) for number in each.rule.numbers}
    kept_elsewhere = {"B-54", "B-56"}  # looked for in each answer: a secret in it, and the words of an acknowledgement

    assert played | set(NOT_SENT) | kept_elsewhere == {f"B-{number:02}" for number in range(1, 58)}
    assert not played & set(NOT_SENT)


@pytest.mark.parametrize("name", NAMES)
def test_every_dialect_has_a_catalogue_of_its_own(name: str) -> None:
    """Each attack is made, or says why it does not fit; none falls over. Most fit."""
    ours = writing(name, None)
    about = made_up(Random(1), {})
    genuine = ours.sign(ours.write(ours.notice(about)))
    scene = Scene(pen=ours, place=Place.of("http://127.0.0.1:1/x"), victim=about, known=about, genuine=genuine)
    made: list[Shot] = []
    attacks = catalogue(ours)
    for each in attacks:
        try:
            made.append(each.make(scene))
        except DoesNotFit:
            continue

    assert len(made) > len(attacks) // 2
    assert all(each.rule.cwe and each.rule.what and each.rule.correct for each in attacks)
    assert len({each.name for each in attacks}) == len(attacks)


def test_bytes_arrive_as_they_were_made_and_can_be_sent_again() -> None:
    """Script and shell line reproduce what was sent, byte for byte or header for header."""
    received: list[bytes] = []

    def answer(listening: socket.socket) -> None:
        for _ in range(2):
            connection, _ = listening.accept()
            connection.settimeout(5)
            data = b""
            while not data.endswith(b"END"):
                data += connection.recv(65536)
            received.append(data)
            connection.sendall(b"HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n")
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=answer, args=(listening,), daemon=True)
        thread.start()
        place = Place.of(f"http://127.0.0.1:{listening.getsockname()[1]}/x")
        shot = Shot(pieces=(b"POST /x HTTP/1.1\r\nx: \xff\x01\r\n", b"\r\n", b"END"), pause_s=0.01, whole=False)
        assert Door(place).send(shot).status == 400
        language, script = reproduction(shot, place)
        subprocess.run([sys.executable, "-c", script], check=True, timeout=20, capture_output=True)
        thread.join(10)

    assert language == "python" and script.count("\n") <= 10
    assert received == [shot.bytes, shot.bytes]


def test_a_plain_callback_is_one_line_of_curl() -> None:
    """Quoted so that a shell changes nothing."""
    scene = Scene(
        pen=writing(), place=Place.of("http://127.0.0.1:8/x"), victim=made_up(Random(1), {}), known={}, genuine=None
    )
    wire = scene.pen.sign(scene.written(scene.victim))

    language, line = reproduction(scene.whole(wire), scene.place)

    assert language == "sh" and "\n" not in line and line.startswith("curl ")
    assert wire.body.decode() in line and "http://127.0.0.1:8/x" in line


# Who may be attacked


@pytest.mark.parametrize(
    ("url", "owned", "said", "remedy"),
    [
        ("http://192.0.2.1/x", (), None, "--i-own 192.0.2.1"),
        ("http://192.0.2.1/x", ("192.0.2.1",), None, ".well-known/topup-chaos must answer"),
        ("http://192.0.2.1/x", ("192.0.2.1",), {"allow": []}, "does not allow it"),
        (
            "http://192.0.2.1/x",
            ("192.0.2.1",),
            {"allow": ["fuzz"], "environment": "production"},
            "production is refused",
        ),
        ("http://192.0.2.1/x", ("192.0.2.1",), {"allow": ["fuzz"]}, "production is refused"),
        ("http://127.0.0.1/production/x", (), None, "looks like production"),
        ("ftp://127.0.0.1/", (), None, "is not the URL of a receiver"),
    ],
)
def test_nobody_is_attacked_who_has_not_said_so_himself(url: str, owned: Sequence[str], said: Any, remedy: str) -> None:
    """Refused before a byte is sent, with what would have to be said."""
    with pytest.raises(Forbidden, match=remedy.replace(".", r"\.")):
        allowed(url, owned, lambda _: said)


def test_this_machine_may_be_attacked_and_a_host_that_allows_it() -> None:
    """The permission is asked of the host itself."""
    asked: list[str] = []

    def ask(where: str) -> Any:
        asked.append(where)
        return {"allow": ["fuzz"], "environment": "staging"}

    assert allowed("http://127.0.0.1:8000/x", (), ask).port == 8000
    assert asked == []
    assert allowed("http://192.0.2.1:81/x", ["192.0.2.1"], ask).host == "192.0.2.1"
    assert asked == ["http://192.0.2.1:81/.well-known/topup-chaos"]


# What is typed


def typed(monkeypatch: pytest.MonkeyPatch, folder: Path, *words: str) -> int:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", ["topup-chaos", "fuzz", *words])
    with pytest.raises(SystemExit) as end:
        cli.main()
    assert isinstance(end.value.code, int)
    return end.value.code


def test_the_command_examines_a_receiver_and_writes_what_it_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The key comes from the environment and is never shown."""
    monkeypatch.setenv("KEY_OF_THE_TEST", SECRET)
    with receiving(lambda *_: 200) as url:
        words = (url, "--dialect", "standard-webhooks", "--secret-env", "KEY_OF_THE_TEST", "--generated", "40")
        code = typed(
            monkeypatch, tmp_path, *words, "--attack", "forged/unsigned", "--attack", "generated", "--seed", "3"
        )

    printed = capsys.readouterr().out
    (folder,) = (tmp_path / "reports" / "runs").glob("*-fuzz")
    written = "".join(path.read_text() for path in folder.iterdir() if path.is_file())
    assert code == 1
    assert "BROKEN   forged/unsigned   CWE-345" in printed
    assert {"findings.sarif", "junit.xml", "summary.md"} <= {path.name for path in folder.iterdir()}
    assert SECRET not in printed + written
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("http://127.0.0.1:1/",), "--dialect"),
        (("http://127.0.0.1:1/", "--dialect", "strpe"), "did you mean 'stripe'"),
        (("http://127.0.0.1:1/", "--dialect", "stripe", "--secret-env", "NOBODY_SET_THIS"), "is not set"),
        (("http://127.0.0.1:1/", "--dialect", "stripe", "--claim", "colour=red"), "--claim colour=red"),
        (("http://192.0.2.1/", "--dialect", "stripe"), "--i-own"),
        (("--attack", "forged/nothing"), "there is no attack 'forged/nothing'"),
        (("--claim", "reference=1"), "name its URL first"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_sent(
    words: Sequence[str], said: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, and what to say instead."""
    assert typed(monkeypatch, tmp_path, *words) == 2
    assert said in capsys.readouterr().err
