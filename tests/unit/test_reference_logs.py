"""The log: redacted in one place, correlated throughout."""

import asyncio
import json
import logging

import pytest
import structlog

from reference_impl.logs import configure, correlate, current_correlation, redact

LEAKS = {
    "signature": "v1,AAAA",
    "webhook-signature": "v1,AAAA",
    "callback_secret": "x",
    "Authorization": "Basic AAAA",
    "card": "4242",
    "payload": {"a": 1},
    "request_body": "{}",
    "api_key": "sk_live",
    "note": "the key is whsec_QUFBQQ== today",
    "header": "Bearer sk_live",
    "number": "4242 4242 4242 4242",
    "raw": b"bytes",
    "nested": [{"secret": "x"}, ("Bearer sk_live",)],
    "error": ValueError("whsec_QUFBQQ=="),
    "count": 4242_4242_4242_4242,
    "headers": "[(b'webhook-signature', b'v1,AAAAAAAAAAAAAAAAAAAAAAAA=')]",
    "stripe": "t=1,v1=AAAAAAAAAAAAAAAAAAAAAAAA",
    "form": "out_trade_no=1&sign=AAAA",
    "url": "postgresql://svc:AAAA@127.0.0.1/topups",
    "said": "Authorization: basic AAAA",
    "jwt": "eyJhbGciOiJub25lIn0.QUFBQQ.",
    "pem": "-----BEGIN RSA PRIVATE KEY-----\nAAAA\nAAAA",
    "provider": "unknown key sk_live_AAAA",
}


@pytest.mark.parametrize("key", LEAKS)
def test_nothing_secret_comes_through(key: str) -> None:
    """By the name of the field, or by the look of the value, at any depth."""
    told = str(redact(None, "", {key: LEAKS[key]}))
    assert "[redacted]" in told
    for secret in ("AAAA", "QUFBQQ", "sk_live", "4242", "bytes", "'x'", "{'a'"):
        assert secret not in told


def test_what_is_needed_to_understand_comes_through() -> None:
    """Ids, counts, reasons and words that only contain a forbidden one."""
    harmless = {"payment": "pay_1", "count": 3, "ok": True, "event": "discarded", "discard": "yes", "nothing": None}
    assert harmless == redact(None, "", dict(harmless))


def test_lines_are_json_whoever_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    """Ours and the libraries', each redacted and correlated."""
    before, root = structlog.get_config(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        configure("INFO")
        correlate("cor_of_the_test")
        structlog.get_logger().info("ours", secret="x")
        logging.getLogger("theirs").warning("%s", "Bearer sk_live")
    finally:
        structlog.configure(**before)
        root.handlers[:] = handlers
        root.setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["event"], line.get("secret")) for line in lines] == [("ours", "[redacted]"), ("[redacted]", None)]
    assert {"cor_of_the_test"} == {line["correlation"] for line in lines}


@pytest.mark.parametrize(
    "offered",
    ["", "short", "with a space", "x" * 65, "line\nbreak-in", "4242424242424242", "whsec_QUFBQQ", "sk_live_abcdefgh"],
)
def test_an_id_that_is_not_fit_to_be_one_is_replaced(offered: str) -> None:
    """What a stranger offers must not be able to forge log lines."""
    assert correlate(offered).startswith("cor_")


def test_concurrent_requests_keep_their_ids_apart() -> None:
    """The id belongs to the task."""

    async def request(name: str) -> bool:
        correlate(name)
        await asyncio.sleep(0)
        return current_correlation() == name

    async def many() -> list[bool]:
        return await asyncio.gather(*(request(f"correlation-{n}") for n in range(5)))

    assert all(asyncio.run(many()))
