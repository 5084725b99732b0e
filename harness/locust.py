"""Locust as a child process: it puts payers on the target and writes the clients' book; the harness only reads it."""

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.history import Event
from harness.stacks.children import start_child
from harness.target import KEYS

LOCUSTFILE = Path(__file__).parent.parent / "scenarios" / "locustfile.py"
GRACE_S = 30.0


class LoadError(Exception):
    """Locust did not start, or did not end; the message holds the end of its log."""


async def put_load(
    *,
    url: str,
    target: Path,
    keys: Mapping[str, str],
    run: str,
    seed: int,
    folder: Path,
    users: int,
    spawn_rate: float,
    time_s: int,
) -> tuple[list[Event], str]:
    """Put *users* payers on the service at *url* for *time_s* seconds. What they were told, and Locust's own summary.
    *keys* are those of the service's principals.

    Raises `LoadError` when Locust cannot do it. Nothing is asserted about speed.
    """
    book, log = folder / "clients", folder / "locust.log"
    book.mkdir(parents=True, exist_ok=True)
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--only-summary", "--exit-code-on-error", "0"),
        *("--locustfile", str(LOCUSTFILE), "--host", url, "--users", str(users), "--spawn-rate", str(spawn_rate)),
        *("--run-time", f"{time_s}s", "--stop-timeout", "10", "--reset-stats"),
    ]
    child = start_child(command, {**os.environ, **_environment(target, keys, run, seed, book)}, log)
    try:
        code = await child.wait(time_s + GRACE_S)
    except TimeoutError:
        raise LoadError(f"Locust did not end {GRACE_S:g} s after its time; its log:\n{child.log_tail()}") from None
    finally:
        if child.alive:
            await child.terminate()
    if code != 0:
        raise LoadError(f"Locust ended with {code}; its log:\n{child.log_tail()}")
    return await asyncio.to_thread(_read, book), log.read_text(encoding="utf-8", errors="replace")


def _environment(target: Path, keys: Mapping[str, str], run: str, seed: int, book: Path) -> Mapping[str, str]:
    return {
        "TOPUP_CHAOS_TARGET": str(target),
        KEYS: " ".join(f"{name}={key}" for name, key in keys.items()),
        "TOPUP_CHAOS_RUN": run,
        "TOPUP_CHAOS_SEED": str(seed),
        "TOPUP_CHAOS_BOOK": str(book),
        "PYTHONWARNINGS": "ignore",
    }


def _read(book: Path) -> list[Event]:
    """Every whole line of every worker's file; a worker that was stopped may leave half a line behind."""
    lines = (line for path in sorted(book.glob("*.jsonl")) for line in path.read_text(encoding="utf-8").splitlines())
    return [Event.from_json(line) for line in lines if line.endswith("}")]
