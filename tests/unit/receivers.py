"""Small receivers of callbacks for the tests: one that is honest, and others with one thing wrong each."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from reference_impl.answers import Refused
from reference_impl.verifier import DIALECTS, Verifier

SECRET = "whsec_" + "a2V5IG9mIHRoZSB0ZXN0cywgMzIgYnl0ZXMgbG9uZyE="

Judge = Callable[[list[tuple[bytes, bytes]], bytes], int | tuple[int, bytes]]
"""What is answered to headers and a body: a status, or a status and what is said with it."""


def honest(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
    """Verifies, reads, and has nothing else to do."""
    verifier = Verifier(SECRET, DIALECTS["standard-webhooks"])
    try:
        verifier.verify(headers, body, datetime.now(UTC))
        verifier.read(headers, body)
    except Refused as refused:
        return refused.status
    return 204


@contextmanager
def receiving(judge: Judge, says: bytes = b"") -> Iterator[str]:
    """A receiver that is up; its URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 5

        def do_POST(self) -> None:
            lengths = self.headers.get_all("content-length", [])
            length = lengths[0] if len(lengths) == 1 else ""
            if not length.isdecimal() or int(length) > 1_000_000 or "transfer-encoding" in self.headers:
                self.close_connection = True
                self.send_response(400)
                self.send_header("content-length", "0")
                self.end_headers()
                return
            body = self.rfile.read(int(length))
            headers = [
                (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in self.headers.items()
            ]
            answer = judge(headers, body)
            status, said = answer if isinstance(answer, tuple) else (answer, says)
            self.send_response(status)
            if status != 204:
                self.send_header("content-length", str(len(said)))
            self.end_headers()
            if status != 204:
                self.wfile.write(said)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A sender that hangs up is what these are for."""

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/callbacks"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
