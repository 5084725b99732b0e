"""`python -m fake_provider` as a process of its own, and a receiver for its callbacks, for clients that none of us wrote."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from fake_provider.dialects import Wire

PATIENCE_S = 20.0


@contextmanager
def provider(**settings: str) -> Iterator[str]:
    """The program with these settings; where it serves, as `host:port`."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    env = {"PATH": os.environ["PATH"], "PROVIDER_PORT": str(port)}
    env |= {f"PROVIDER_{name.upper()}": value for name, value in settings.items()}
    process = subprocess.Popen([sys.executable, "-m", "fake_provider"], env=env, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/control/health", trust_env=False)
                break
            except httpx.ConnectError:
                assert process.poll() is None, "the provider ended before it was ready"
                assert time.monotonic() < deadline, f"the provider was not ready within {PATIENCE_S:g} s"
        yield f"127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(5)


class Inbox:
    """Says yes to every callback and keeps it."""

    def __init__(self, body: bytes = b"") -> None:
        self.arrived: list[Wire] = []
        self._body = body
        self._changed = threading.Condition()

    def wait_for(self, count: int, path: str = "/callbacks") -> list[Wire]:
        """The callbacks to that *path*, once there are so many."""
        with self._changed:
            came = self._changed.wait_for(lambda: len(self._to(path)) >= count, PATIENCE_S)
            assert came, f"waited {PATIENCE_S:g} s for {count} callbacks to {path}; {len(self._to(path))} came"
            return self._to(path)

    def _to(self, path: str) -> list[Wire]:
        return [wire for wire in self.arrived if wire.url == path]

    def take(self, wire: Wire) -> bytes:
        with self._changed:
            self.arrived.append(wire)
            self._changed.notify_all()
        return self._body


@contextmanager
def inbox(body: bytes = b"") -> Iterator[tuple[str, Inbox]]:
    """An inbox, and its address."""
    kept = Inbox(body)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            headers = tuple((name.lower(), value.encode("latin-1")) for name, value in self.headers.items())
            raw = self.rfile.read(int(self.headers["content-length"]))
            answer = kept.take(Wire(headers, raw, self.path))
            self.send_response(200)
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Nothing: the test says what it saw."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/callbacks", kept
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
