"""Generated callbacks go out in volleys; what is said of them is said of each."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from random import Random

import pytest

from fake_provider.clock import real_time
from fake_provider.pen import pen
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.chance import Chance
from harness.engines.fuzz.door import Door, Place, Shot
from harness.engines.fuzz.engine import Examiner
from harness.engines.fuzz.generated import GENERATED
from harness.engines.fuzz.volley import ENDINGS_MAX, Row
from harness.engines.fuzz.world import Stranger, made_up
from tests.unit.receivers import SECRET, Judge, honest, receiving

Serve = Callable[[bytes], tuple[bytes, bytes, bool]]
"""What is answered to the bytes that are there, what is left of them, and whether the connection ends."""


def one_request(seen: bytes) -> tuple[bytes, bytes]:
    """The body of the first request in *seen*, and what stands behind it."""
    head, _, rest = seen.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    return rest[:length], rest[length:]


@contextmanager
def serving(serve: Serve) -> Iterator[Door]:
    """A receiver that sees bytes and not requests."""

    def answer(connection: socket.socket) -> None:
        with connection:
            seen = b""
            while data := connection.recv(65536):
                seen += data
                while b"\r\n\r\n" in seen:
                    said, seen, ends = serve(seen)
                    connection.sendall(said)
                    if ends:
                        return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=64) as listening:
        threading.Thread(target=accept, daemon=True).start()
        with closing(Door(Place.of(f"http://127.0.0.1:{listening.getsockname()[1]}/x"), 5.0)) as door:
            yield door
        listening.shutdown(socket.SHUT_RDWR)


def numbered(count: int) -> list[Shot]:
    return [Shot(pieces=(b"POST /x HTTP/1.1\r\ncontent-length: 3\r\n\r\n%03d" % number,)) for number in range(count)]


def echo(body: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 Ok\r\n%bcontent-length: %d\r\n\r\n%b" % (more, len(body), body)


@pytest.mark.parametrize("every", [1, 7, 1000])
def test_each_answer_is_its_own_shots_however_often_the_connection_ends(every: int) -> None:
    """What was on its way when it ended is sent again."""
    served: list[bytes] = []

    def serve(seen: bytes) -> tuple[bytes, bytes, bool]:
        body, rest = one_request(seen)
        served.append(body)
        ends = len(served) % every == 0
        return echo(body, b"connection: close\r\n" if ends else b""), rest, ends

    with serving(serve) as door:
        row = Row(door)
        heard = row.send(iter(numbered(60)))

    assert [each.body for each in heard] == [b"%03d" % number for number in range(60)]
    assert row.in_step is (row.endings <= ENDINGS_MAX)
    assert row.in_step is (every == 1000 or (every == 7 and row.endings <= ENDINGS_MAX))


def test_an_answer_in_chunks_ends_where_it_says() -> None:
    """The next one begins behind it."""

    def serve(seen: bytes) -> tuple[bytes, bytes, bool]:
        body, rest = one_request(seen)
        return b"HTTP/1.1 200 Ok\r\ntransfer-encoding: chunked\r\n\r\n3\r\n%b\r\n0\r\n\r\n" % body, rest, False

    with serving(serve) as door:
        heard = Row(door).send(numbered(20))

    assert [each.body for each in heard] == [b"%03d" % number for number in range(20)]


@dataclass(slots=True)
class Watched(Stranger):
    """A stranger whose one account can be looked at."""

    account: list[int] = field(default_factory=list)
    _seen: int = 0
    _victims: int = 0

    @property
    def victim(self) -> dict[str, object]:
        return dict(self.claims) | {"payment": f"pay_{self._victims}", "reference": f"order-{self._victims}"}

    def another_victim(self) -> None:
        self._victims += 1

    def moved(self) -> int:
        before, self._seen = self._seen, sum(self.account)
        return self._seen - before


def spent(judge: Judge, family: str, count: int, account: list[int] | None = None) -> Examiner:
    """An examiner that has sent so many of a family."""
    with receiving(judge) as url:
        examiner = Examiner(
            pen=pen("standard-webhooks", key=SECRET, url=url, now=real_time, rng=Random(1)),
            door=Door(Place.of(url), 5.0),
            world=Watched(made_up(Random(1), {}), SECRET, account=account if account is not None else []),
            wanted=Wanted(where="receiver", seed=1, again="topup-chaos fuzz", generated=0, only=("nothing",)),
            tell=lambda _: None,
        )
        examiner.examine()
        Chance(examiner, GENERATED[family]).spend(count)
        examiner.door.close()
        return examiner


def test_a_balance_that_moves_is_told_of_the_one_callback_that_moved_it() -> None:
    """Refused aloud, and credited all the same, where the signature is empty: one in six of a volley."""
    account: list[int] = []

    def credits_the_unsigned(headers: list[tuple[bytes, bytes]], body: bytes) -> int:
        if dict(headers)[b"webhook-signature"] == b"v1,":
            account.append(100)
        return honest(headers, body)

    examiner = spent(credits_the_unsigned, "generated/signature", 300, account)

    (finding,) = examiner.findings
    assert (finding.rule.id, finding.kind) == ("generated/signature", "credited")
    assert "'webhook-signature: v1,'" in finding.shown
    assert examiner.counts["generated/signature"] >= 300


def test_a_receiver_that_leaves_bodies_unread_is_not_blamed_for_what_it_never_saw() -> None:
    """Refusing without having read the body puts answers out of step: from then on it gets one request at a time."""

    def serve(seen: bytes) -> tuple[bytes, bytes, bool]:
        head, _, rest = seen.partition(b"\r\n\r\n")
        body, behind = one_request(seen)
        headers = [
            (name.lower(), value.strip())
            for name, _, value in (line.partition(b":") for line in head.split(b"\r\n")[1:])
        ]
        if not head.startswith(b"POST /callbacks HTTP/1.1"):
            return b"HTTP/1.1 400 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", b"", True
        status = honest(headers, body)
        return b"HTTP/1.1 %d X\r\ncontent-length: 0\r\n\r\n" % status, behind if status == 204 else rest, False

    with serving(serve) as door:
        place = Place("http", door.place.host, door.place.port, "/callbacks")
        examiner = Examiner(
            pen=pen("standard-webhooks", key=SECRET, url="", now=real_time, rng=Random(1)),
            door=Door(place, 5.0),
            world=Stranger(made_up(Random(1), {}), SECRET),
            wanted=Wanted(where="receiver", seed=1, again="topup-chaos fuzz", generated=0, only=("nothing",)),
            tell=lambda _: None,
        )
        examiner.examine()
        chance = Chance(examiner, GENERATED["generated/structure-forged"])
        chance.spend(150)
        examiner.door.close()

    assert chance.one_by_one
    assert examiner.findings == [] and not examiner.dead
