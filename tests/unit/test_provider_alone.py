"""`python -m fake_provider` with nothing configured: it greets, serves, and its own example works."""

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise

import httpx
import pytest
from provider_world import run, until


@pytest.fixture
def alone(tmp_path) -> Iterator[tuple[str, str]]:
    """Its address, and what it printed. All that is given is a port, because tests run side by side."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PROVIDER_")}
    out = tmp_path / "out"
    with out.open("wb") as printed:
        program = subprocess.Popen(
            [sys.executable, "-m", "fake_provider"],
            env=environment | {"PROVIDER_PORT": str(port)},
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
    try:
        run(until(lambda: "curl" in out.read_text() or program.poll() is not None))
        yield f"http://127.0.0.1:{port}", out.read_text()
    finally:
        program.kill()
        program.wait()


def test_the_example_that_it_prints_makes_a_payment_whose_callback_is_heard(alone):
    url, greeting = alone
    example = shlex.split(greeting[greeting.index("curl") :].replace("\\\n", " "))
    headers = dict(each.split(": ", 1) for flag, each in pairwise(example) if flag == "-H")
    body = example[example.index("-d") + 1]
    with httpx.Client(base_url=url, trust_env=False) as client:
        answer = client.post(example[1], headers=headers, content=body)
        assert (answer.status_code, answer.json()["state"]) == (201, "captured")
        run(until(lambda: client.get("/control/deliveries").json()["deliveries"][0]["answer"] is not None))
        (delivery,) = client.get("/control/deliveries").json()["deliveries"]
        assert (delivery["acknowledged"], delivery["answer"]["status"]) == (True, 204)
        assert "tu_1" in client.get("/").text


def test_what_it_prints_is_there_and_its_secrets_are_made_up(alone):
    url, greeting = alone
    with httpx.Client(trust_env=False) as client:
        for link in re.findall(r"^(?:Page|Control API): +(\S+)$", greeting, re.MULTILINE):
            assert link.startswith(url)
            assert client.get(link).status_code == 200
    assert greeting.count("(made up)") == 2


def test_where_there_is_no_port_left_it_does_not_greet(alone):
    url, _ = alone
    environment = os.environ | {"PROVIDER_PORT": url.rpartition(":")[2]}
    second = subprocess.run([sys.executable, "-m", "fake_provider"], env=environment, capture_output=True, timeout=20)
    assert second.returncode != 0
    assert b"address already in use" in second.stderr
    assert second.stdout == b""
