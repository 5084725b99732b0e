"""Real callbacks on a cassette: what is kept of them, what is not, and what can be shown with the rest."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from fake_provider.clock import real_time
from fake_provider.dialects import Wire, all_shown, find
from fake_provider.pen import Pen, pen
from harness.engines.fuzz.attack import DoesNotFit, Scene
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.cassette import FIELDS, TAKEN_OUT, BadCassette, Delivery, cleaned, read, write, write_head
from harness.engines.fuzz.command import Receiver, examine
from harness.engines.fuzz.door import Place
from harness.engines.fuzz.drawing import Dice
from harness.engines.fuzz.recording import record
from harness.engines.fuzz.tape import tape
from harness.engines.fuzz.world import made_up
from harness.finding import Examination
from harness.stacks.ports import free_port
from tests.unit.receivers import SECRET, Judge, honest, receiving
from tests.unit.test_fuzz import typed

NAMES = tuple(all_shown())
HERS = "hers@example.com"


def writing(dialect: str, key: str | None = None) -> Pen:
    return pen(dialect, key=key, url="http://127.0.0.1:1/callbacks", now=real_time, rng=Random(1))


def genuine(ours: Pen) -> Wire:
    """As the provider would send it, with something about a person and something to come in with."""
    notice = ours.notice(made_up(Random(2), {}))
    return ours.sign(ours.write(notice))


@pytest.mark.parametrize("name", NAMES)
def test_no_signature_is_kept_and_what_is_kept_can_be_signed_again(name: str) -> None:
    """In every dialect, wherever the signature stands."""
    ours = writing(name)
    wire = genuine(ours)
    kept = cleaned(wire, ours.dialect, FIELDS)
    whole = b"".join(name.encode() + value for name, value in kept.headers) + kept.body

    assert all(signature.encode() not in whole for signature in ours.signatures(wire))
    about = made_up(Random(2), {})
    scene = Scene(pen=ours, place=Place.of("http://127.0.0.1:1/x"), victim=about, known=about, genuine=None)
    made = tape([Delivery(target="/x", wire=kept, answered=204)], signs=True)
    shot = made.attacks[0].make(scene)
    assert TAKEN_OUT.encode() not in shot.bytes
    assert made_up(Random(2), {})["payment"].encode() in shot.bytes or name == "wechat-pay"  # which seals it


def test_what_lets_somebody_in_and_what_is_about_a_person_is_taken_out() -> None:
    """Headers by how they are called, fields by their names and by those that were asked for."""
    body = json.dumps({"data": {"email": HERS, "amount": 5, "lines": [{"Nickname": HERS}], "name": None}}).encode()
    headers = (("content-type", b"application/json"), ("authorization", b"Bearer hers"), ("x-api-key", b"hers"))

    kept = cleaned(Wire((*headers, ("host", b"shop")), body), find("standard-webhooks"), (*FIELDS, "nickname"))

    assert b"hers" not in kept.body and b"hers" not in b"".join(value for _, value in kept.headers)
    assert json.loads(kept.body)["data"] | {} == {
        "email": TAKEN_OUT,
        "amount": 5,
        "lines": [{"Nickname": TAKEN_OUT}],
        "name": None,
    }
    assert kept.header("host") is None and kept.header("content-type") == b"application/json"


def test_a_body_of_which_nothing_is_taken_out_is_kept_to_the_byte(tmp_path: Path) -> None:
    """Also where it is no UTF-8, and no document at all."""
    bodies = (b'{ "a" : 1.0,\n"a": 2}', b"\xff\xfe\x00", b"", b"a=b&a=c")
    path = tmp_path / "cassette.jsonl"
    with path.open("w") as file:
        write_head(file, "stripe", FIELDS)
        for body in bodies:
            kept = cleaned(Wire((("content-type", b"application/json"),), body), find("stripe"), FIELDS)
            write(file, Delivery(target="/x", wire=kept, answered=400))

    assert [each.wire.body for each in read(path, "stripe")] == list(bodies)


@pytest.mark.parametrize(
    ("lines", "remedy"),
    [
        ([], "is no cassette"),
        (['{"cassette": 1, "dialect": "alipay"}'], "was recorded in alipay"),
        (['{"cassette": 1, "dialect": "stripe"}'], "holds no delivery"),
        (['{"cassette": 1, "dialect": "stripe"}', "{}"], "line 2 is no delivery"),
        (['{"cassette": 9, "dialect": "stripe"}'], "was recorded in None"),
    ],
)
def test_what_is_no_cassette_is_said_before_anything_is_sent(lines: Sequence[str], remedy: str, tmp_path: Path) -> None:
    """With the line that is wrong."""
    path = tmp_path / "cassette.jsonl"
    path.write_text("\n".join(lines))

    with pytest.raises(BadCassette, match=remedy):
        read(path, "stripe")


def recorded(folder: Path, sent: Sequence[Wire], judge: Judge) -> tuple[Path, Sequence[httpx.Response]]:
    """What the recorder keeps of what is sent through it, and what its sender is answered."""
    path = folder / "cassette.jsonl"

    async def story(url: str) -> Sequence[httpx.Response]:
        place, port = Place.of(url), free_port()
        settings: dict[str, Any] = {"port": port, "fields": FIELDS, "most": len(sent), "within_s": 30.0}
        recording = asyncio.create_task(record(place, find("standard-webhooks"), path, tell=lambda _: None, **settings))
        answers = []
        async with httpx.AsyncClient(trust_env=False, transport=httpx.AsyncHTTPTransport(retries=8)) as client:
            for wire in sent:
                headers = [(name.encode(), value) for name, value in wire.headers]
                to = f"http://127.0.0.1:{port}{place.target}"
                answers.append(await client.post(to, content=wire.body, headers=headers))
        assert await recording == len(sent)
        return answers

    with receiving(judge, b"no") as url:
        return path, asyncio.run(story(url))


def fuzzed(judge: Judge, cassette: Path, key: str | None = SECRET, only: Sequence[str] = ("cassette",)) -> Examination:
    with receiving(judge) as url:
        receiver = Receiver(
            place=Place.of(url),
            dialect="standard-webhooks",
            key=key,
            claims={},
            target=Path(),
            by_status=True,
            cassette=cassette,
        )
        wanted = Wanted(where="receiver", seed=1, again="topup-chaos fuzz", generated=120, only=only)
        return asyncio.run(examine(receiver, wanted, Path(), lambda _: None))


def test_what_was_recorded_is_passed_on_as_it_came_and_then_found_wanting(tmp_path: Path) -> None:
    """The receiver believes genuine callbacks through the recorder; later it trips over one of them that was changed."""
    ours = writing("standard-webhooks", SECRET)
    good = genuine(ours)
    path, answers = recorded(tmp_path, [good, good.with_headers(webhook_signature=b"v1,xx")], honest)

    assert [(answer.status_code, answer.content) for answer in answers] == [(204, b""), (401, b"no")]
    kept = read(path, "standard-webhooks")
    assert [each.answered for each in kept] == [204, 401]
    assert kept[0].wire.body == good.body and SECRET not in path.read_text()

    quiet = fuzzed(honest, path)
    assert quiet.findings == [] and quiet.word == "holds"
    assert quiet.counts["cassette/again"] == 2
    assert min(quiet.counts[f"cassette/{name}"] for name in ("changed", "forged", "signature")) >= 40
    assert any("holds no signatures" in each for each in quiet.left_out)

    def trips(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        status = honest(headers, body)
        return 500 if status == 400 else status

    assert {each.rule.id for each in fuzzed(trips, path).findings} >= {"cassette/changed"}
    assert {each.rule.id for each in fuzzed(lambda *_: 200, path).findings} >= {
        "cassette/forged",
        "cassette/signature",
    }


def test_without_the_key_only_forgeries_are_made_of_a_cassette() -> None:
    """And it is said what is left out."""
    made = tape([Delivery(target="/x", wire=Wire((), b"{}"), answered=204)], signs=False)

    assert list(made.families) == ["cassette/forged"] and not made.attacks
    assert any("--secret-env" in each for each in made.left_out)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_is_on_a_cassette_is_made_or_said_not_to_fit(name: str) -> None:
    """Callbacks come by that are not of the dialect at all."""
    ours = writing(name)
    about = made_up(Random(1), {})
    scene = Scene(pen=ours, place=Place.of("http://127.0.0.1:1/x"), victim=about, known=about, genuine=None)
    deliveries = [
        Delivery(target="/x", wire=Wire((("content-type", b"application/json"),), body), answered=None)
        for body in (b"", b"{", b"[]", b'{"a": 1}', b"\xff")
    ]
    made = tape(deliveries, signs=True)
    rng = Random(3)
    for family in made.families.values():
        values = [b"y", b""] if family.rule.id == "cassette/signature" else [None, "x", 7, {}]
        for _ in range(60):
            try:
                family.vary(scene, family.letter(scene), Dice(rng.randbytes(20)), values)
            except DoesNotFit:
                continue


def test_the_recorder_says_what_is_wrong_before_it_listens(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another machine is not recorded either, and no cassette is overwritten."""
    (tmp_path / "there.jsonl").write_text("kept")
    monkeypatch.chdir(tmp_path)
    for words, said in (
        (("http://192.0.2.1/x", "--dialect", "stripe", "--cassette", "new.jsonl"), "--i-own 192.0.2.1"),
        (("http://127.0.0.1:1/x", "--dialect", "stripe", "--cassette", "there.jsonl"), "is there already"),
    ):
        monkeypatch.setattr("sys.argv", ["topup-chaos", "record", *words])
        from harness import cli

        with pytest.raises(SystemExit) as end:
            cli.main()
        assert end.value.code == 2
        assert said in capsys.readouterr().err
    assert (tmp_path / "there.jsonl").read_text() == "kept"
    assert typed(monkeypatch, tmp_path, "http://127.0.0.1:1/", "--dialect", "stripe", "--cassette", "there.jsonl") == 2
