"""The wrapper round toxiproxy-python against a server that misbehaves in every way a control API can."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness.stacks import proxies, toxiproxy_places
from harness.stacks.proxies import Refused, find_proxy_server, install_toxiproxy, survey
from harness.stacks.toxiproxy import Stranger, ToxiproxyServer
from harness.stacks.toxiproxy_api import ControlApi, ControlPlaneHung, ToxiproxyError
from harness.wire.toxic_kinds import TOXICS, ToxicError, toxic

UPSTREAM = ("127.0.0.1", 1)


class Fake:
    """A control API that answers what the test says, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[tuple[str, str, Any]] = []
        self.hangs: set[str] = set()
        self.released = threading.Event()
        self.port = 0

    def reply(self, method: str, path: str, body: Any) -> tuple[int, bytes]:
        self.asked.append((method, path, body))
        if method in self.hangs:
            self.released.wait(10)
        if method in self.answers:
            return self.answers[method]
        if path == "/version":
            return 200, b'{"version":"2.12.0"}\n'
        return (204, b"") if method == "DELETE" else (200, json.dumps(body or {}).encode())


@contextmanager
def fake_server() -> Iterator[Fake]:
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, answer = fake.reply(self.command, self.path, json.loads(body) if body else None)
            try:
                self.send_response(status)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
            except OSError:
                self.close_connection = True

        do_POST = do_DELETE = do_GET

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.released.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def fake() -> Iterator[Fake]:
    with fake_server() as server:
        yield server


@pytest.fixture
def api(fake: Fake) -> ControlApi:
    return ControlApi("127.0.0.1", fake.port)


@pytest.mark.parametrize("status", [400, 404, 405, 409, 500, 502])
def test_every_bad_status_is_an_error_with_the_servers_words(fake: Fake, api: ControlApi, status: int) -> None:
    """One base exception; status and message are in it."""
    fake.answers["POST"] = (status, b'{"error":"listen tcp: address already in use","status":1}')

    with pytest.raises(ToxiproxyError, match="address already in use") as caught:
        api.enable("till", True)

    assert caught.value.status == status


def test_503_is_a_hang(fake: Fake, api: ControlApi) -> None:
    """It is how the server says that a handler has been stuck for 25 s."""
    fake.answers["POST"] = (503, b"<html>Timeout</html>")

    with pytest.raises(ControlPlaneHung, match="503"):
        api.enable("till", True)


def test_a_call_that_hangs_is_bounded(fake: Fake, api: ControlApi) -> None:
    """Nothing waits for ever."""
    fake.hangs.add("GET")

    with pytest.raises(ControlPlaneHung, match="not answered within"):
        api.version(timeout=0.1)


def test_nobody_there_is_an_error(api: ControlApi) -> None:
    """A refused connection is of the same family."""
    with pytest.raises(ToxiproxyError, match="could not be sent"):
        ControlApi("127.0.0.1", 1).version()


def test_enabling_is_read_back(fake: Fake, api: ControlApi) -> None:
    """A server that says 200 and does not do it is caught."""
    fake.answers["POST"] = (200, b'{"enabled": false}')

    with pytest.raises(ToxiproxyError, match="enabled=True"):
        api.enable("till", True)


def test_attributes_are_read_back(fake: Fake, api: ControlApi) -> None:
    """A server that ignores an attribute is caught."""
    made = {"name": "t", "type": "latency", "stream": "upstream", "toxicity": 1, "attributes": {"latency": 0}}
    fake.answers["POST"] = (200, json.dumps(made).encode())

    with pytest.raises(ToxiproxyError, match="but the server made"):
        api.add_toxic("till", "t", "latency", "upstream", {"latency": 5}, 1, timeout=2.0)


@pytest.mark.parametrize("answer", [b"", b"[]", b"<html>"])
def test_an_answer_that_is_no_object_is_an_error(fake: Fake, api: ControlApi, answer: bytes) -> None:
    """And not a KeyError later."""
    fake.answers["GET"] = (200, answer)

    with pytest.raises(ToxiproxyError, match="no JSON object"):
        api.proxy("till")


def test_each_server_keeps_its_own_address(fake: Fake, api: ControlApi) -> None:
    """A second server does not redirect the first."""
    with fake_server() as other:
        ControlApi("127.0.0.1", other.port).version()
        api.version()

        assert (len(fake.asked), len(other.asked)) == (1, 1)


def test_proxies_of_the_environment_are_not_used(api: ControlApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loopback is never reached through somebody's HTTP proxy."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert api.version() == "2.12.0"


def test_old_servers_tell_a_bare_version(fake: Fake, api: ControlApi) -> None:
    fake.answers["GET"] = (200, b"2.1.4\n")

    assert api.version() == "2.1.4"


@pytest.mark.parametrize("name", ["", "a/b", "a?b", "../x", "a b"])
def test_names_that_could_not_be_addressed_are_refused(api: ControlApi, name: str) -> None:
    """Toxiproxy accepts them and can never find them again."""
    with pytest.raises(ValueError, match="cannot name a proxy"):
        asyncio.run(ToxiproxyServer(api, "fake", Stranger()).create(name, UPSTREAM))


def test_listeners_are_on_loopback(fake: Fake, api: ControlApi) -> None:
    """An empty address would listen on every interface."""
    proxy = asyncio.run(ToxiproxyServer(api, "fake", Stranger()).create("till", UPSTREAM))

    [(_, _, body)] = fake.asked
    assert body["listen"] == f"127.0.0.1:{proxy.address[1]}"


class Stopped(Stranger):
    """Remembers that it was stopped."""

    stopped = False

    async def stop(self) -> None:
        self.stopped = True


def test_a_removal_that_hangs_is_cured_by_making_the_proxy_again(fake: Fake, api: ControlApi) -> None:
    """On the same port, with the toxics that still last; and the reader of the results is told."""
    api.patience = 0.2

    async def story() -> None:
        server = ToxiproxyServer(api, "fake", Stopped())
        proxy = await server.create("till", UPSTREAM)
        async with proxy.toxic("latency", "upstream", latency=1):
            async with AsyncExitStack() as inner:
                await inner.enter_async_context(proxy.toxic("bandwidth", "upstream", rate=0))
                real, fake.asked = fake.reply, []
                fake.reply = hanging_toxics(fake, real)  # type: ignore[method-assign]
            fake.reply = real  # type: ignore[method-assign]
            fake.released.set()
            again = [(method, path) for method, path, _ in fake.asked if "bandwidth" not in path]
            assert again == [
                ("DELETE", "/proxies/till"),
                ("POST", "/proxies"),
                ("POST", "/proxies/till/toxics"),
            ]
            [listen] = [body["listen"] for _, path, body in fake.asked if path == "/proxies"]
            assert listen == f"127.0.0.1:{proxy.address[1]}"
        assert "made again" in server.remarks[0]

    asyncio.run(story())


def hanging_toxics(fake: Fake, real: Any) -> Any:
    """The removal of a toxic hangs; everything else works."""

    def reply(method: str, path: str, body: Any) -> Any:
        if method == "DELETE" and "/toxics/" in path:
            fake.released.wait(10)
        return real(method, path, body)

    return reply


def test_a_server_that_stays_deaf_is_killed_and_named(fake: Fake, api: ControlApi) -> None:
    """When the cure hangs too, the server is stopped, and every later call says why at once."""
    host = Stopped()

    async def story() -> None:
        server = ToxiproxyServer(api, "fake", host)
        proxy = await server.create("till", UPSTREAM)
        api.patience = 0.1
        with pytest.raises(ControlPlaneHung, match="given up"):
            async with proxy.toxic("latency", "upstream", latency=1):
                fake.hangs.add("DELETE")
        with pytest.raises(ControlPlaneHung, match="given up"):
            await server.create("other", UPSTREAM)

    asyncio.run(story())

    assert host.stopped


WRONG: list[tuple[str, str, dict[str, object], str]] = [
    ("latancy", "upstream", {}, "did you mean 'latency'"),
    ("down", "upstream", {}, "use the proxy's down"),
    ("latency", "upsteam", {"latency": 1}, "did you mean 'upstream'"),
    ("latency", "upstream", {"latancy": 5}, "did you mean 'latency'"),
    ("latency", "upstream", {}, "latency: latency is missing"),
    ("latency", "upstream", {"latency": -1}, "between 0 and"),
    ("latency", "upstream", {"latency": 1.5}, "whole number"),
    ("latency", "upstream", {"latency": "5"}, "whole number"),
    ("latency", "upstream", {"latency": True}, "whole number"),
    ("latency", "upstream", {"latency": 5, "jitter": 6}, "jitter must not be larger"),
    ("latency", "upstream", {"latency": 1 << 62}, "between 0 and"),
    ("bandwidth", "downstream", {"rate": -1}, "between 0 and"),
    ("slicer", "downstream", {}, "average_size is missing"),
    ("slicer", "downstream", {"average_size": 0}, "between 1 and"),
    ("slicer", "downstream", {"average_size": 5, "size_variation": 5}, "smaller than average_size"),
    ("limit_data", "downstream", {}, "bytes is missing"),
    ("reset_peer", "downstream", {"timeout": 20_000}, "between 0 and 15000"),
    ("reset_peer", "downstream", {"toxicity": 0}, "reset_peer at toxicity 0"),
    ("latency", "downstream", {"latency": 5, "toxicity": 0.5}, "cannot be seeded"),
]


@pytest.mark.parametrize(("kind", "stream", "attributes", "complaint"), WRONG)
def test_what_would_crash_or_do_nothing_is_refused(
    kind: str, stream: str, attributes: dict[str, object], complaint: str
) -> None:
    """Before it is sent, with what would be right."""
    with pytest.raises(ToxicError, match=complaint):
        toxic(kind, stream, attributes)


def test_defaults_complete_what_was_asked() -> None:
    """Every attribute is sent, so that nothing depends on the server's own defaults."""
    assert toxic("slicer", "upstream", {"average_size": 5}).attributes == {
        "average_size": 5,
        "size_variation": 0,
        "delay": 0,
    }


def test_every_kind_says_what_it_does() -> None:
    """The table is also the documentation."""
    for kind in TOXICS.values():
        assert kind.says.endswith(".")
        assert all(attribute.says for attribute in kind.attributes.values())


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """An environment in which no Toxiproxy can be had."""
    return {"TOPUP_CHAOS_CACHE": str(tmp_path / "cache"), "PATH": "", "DOCKER_HOST": f"unix://{tmp_path}/none.sock"}


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(toxiproxy_places, "GO_FOLDERS", ())
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")


@pytest.mark.usefixtures("no_docker")
def test_the_embedded_proxy_stands_in_aloud(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """Each place that was tried is named, with its reason."""

    async def story() -> None:
        server = await find_proxy_server(tmp_path, nowhere)
        assert server.backend == "embedded"
        told = "\n".join(server.remarks)
        for place in proxies.PLACES:
            assert f"{place.name}: " in told
        await server.close()

    asyncio.run(story())


@pytest.mark.usefixtures("no_docker")
def test_a_forced_toxiproxy_is_never_replaced(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """No silent stand-in."""
    with pytest.raises(Refused, match="none can be had"):
        asyncio.run(find_proxy_server(tmp_path, {**nowhere, "TOPUP_CHAOS_PROXY": "toxiproxy"}))


@pytest.mark.parametrize(
    ("setting", "value", "complaint"),
    [
        ("TOPUP_CHAOS_PROXY", "toxyproxy", "did you mean 'toxiproxy'"),
        ("TOXIPROXY_URL", "http://192.0.2.1:8474", "loopback"),
        ("TOXIPROXY_URL", "http://example.com:8474", "loopback"),
        ("TOXIPROXY_URL", "https://127.0.0.1:8474", "only http://"),
        ("TOXIPROXY_URL", "http://127.0.0.1:1", "does not answer"),
        ("TOPUP_CHAOS_TOXIPROXY", "/nowhere/toxiproxy-server", "which is no program"),
    ],
)
def test_explicit_settings_that_cannot_be_met_are_errors(
    tmp_path: Path, nowhere: dict[str, str], setting: str, value: str, complaint: str
) -> None:
    """Whoever names a server wants that server."""
    with pytest.raises(Refused, match=complaint):
        asyncio.run(find_proxy_server(tmp_path, {**nowhere, setting: value}))


def test_a_running_server_is_used_and_left_running(fake: Fake, tmp_path: Path, nowhere: dict[str, str]) -> None:
    """What we made on it is removed, nothing else; our names cannot meet those of others."""

    async def story() -> None:
        server = await find_proxy_server(tmp_path, {**nowhere, "TOXIPROXY_URL": f"http://localhost:{fake.port}"})
        assert server.backend == "toxiproxy 2.12.0 (TOXIPROXY_URL)"
        await server.create("till", UPSTREAM)
        await server.close()

    asyncio.run(story())

    name = next(body["name"] for method, path, body in fake.asked if (method, path) == ("POST", "/proxies"))
    assert name.startswith(f"topup-chaos-{os.getpid()}-")
    assert fake.asked[-1] == ("DELETE", f"/proxies/{name}", None)


@pytest.mark.usefixtures("no_docker")
def test_the_survey_looks_everywhere_and_changes_nothing(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """One finding a place, in the order in which they are tried, also when a setting is wrong."""
    findings = asyncio.run(survey({**nowhere, "TOXIPROXY_URL": "http://192.0.2.1"}))

    assert [finding.place for finding in findings] == [*(place.name for place in proxies.PLACES), "embedded"]
    assert "loopback" in findings[0].detail
    assert [finding.usable for finding in findings] == [False] * len(proxies.PLACES) + [True]


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_go_builds_it_once(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """Under its own name, with its version stamped; the second time nothing runs."""
    script(tmp_path / "bin/go", f'echo "$@" >> {tmp_path}/calls; echo built > "$GOBIN/server"')
    environ, said = {**nowhere, "PATH": f"{tmp_path}/bin"}, list[str]()

    first = asyncio.run(install_toxiproxy(environ, said.append))
    second = asyncio.run(install_toxiproxy(environ, said.append))

    assert first == second == tmp_path / "cache/toxiproxy/2.12.0/toxiproxy-server"
    [call] = (tmp_path / "calls").read_text().splitlines()
    assert "v2.Version=2.12.0" in call
    assert call.endswith("github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0")
    assert [line.split()[0] for line in said] == ["building", "built", "Toxiproxy"]


def test_go_without_a_network_is_a_reason_to_go_on(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """Its last words are passed on, and nothing half-built stays."""
    script(tmp_path / "bin/go", "echo 'go: dial tcp: lookup example.com: no such host'; exit 1")
    said: list[str] = []

    assert asyncio.run(install_toxiproxy({**nowhere, "PATH": f"{tmp_path}/bin"}, said.append)) is None

    assert "no such host" in said[-1]
    assert not list((tmp_path / "cache/toxiproxy/2.12.0").glob(".building*"))


def test_a_program_that_does_not_serve_is_refused_when_it_was_named(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """With its own last words."""
    program = script(tmp_path / "bin/odd", "echo I am a teapot; exit 3")

    with pytest.raises(Refused, match="teapot"):
        asyncio.run(find_proxy_server(tmp_path, {**nowhere, "TOPUP_CHAOS_TOXIPROXY": str(program)}))


@pytest.mark.usefixtures("no_docker")
def test_a_program_that_does_not_serve_is_passed_over_when_it_was_not(tmp_path: Path, nowhere: dict[str, str]) -> None:
    """The next place is tried, and the reason kept."""
    script(tmp_path / "bin/toxiproxy-server", "echo I am a teapot; exit 3")

    async def story() -> None:
        server = await find_proxy_server(tmp_path, {**nowhere, "PATH": f"{tmp_path}/bin"})
        assert server.backend == "embedded"
        assert "teapot" in "\n".join(server.remarks)

    asyncio.run(story())
