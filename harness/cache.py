"""The one place outside the project where the harness writes: built tools, database templates, directories of runs."""

import asyncio
import fcntl
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import platformdirs

from harness.users import User, may_enter, unprivileged_user

NAME = "topup-chaos"
SYSTEM_CACHE = Path("/var/cache") / NAME


def cache_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """`TOPUP_CHAOS_CACHE`, else the user's cache; for root, one that the user PostgreSQL must run as can enter too."""
    path = _chosen(environ, unprivileged_user())
    make_public(path)
    return path


def run_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """A new directory that belongs to this process; those of processes that are gone are removed first.

    A process owns its directory by a lock that the kernel drops when the process ends, however it ends, so a number
    that was given to another process since cannot be mistaken for the owner.
    """
    runs = cache_dir(environ) / "run"
    make_public(runs)
    with _held(runs / ".lock"):
        for stale in _ownerless(runs):
            shutil.rmtree(stale, ignore_errors=True)
        path = runs / f"{os.getpid()}-{secrets.token_hex(4)}"
        make_public(path)
        _take(path / ".lock")
    return path


@asynccontextmanager
async def locked(path: Path, timeout: float = 120.0) -> AsyncIterator[None]:
    """One process (and one task) at a time; `TimeoutError` names the lock when the bound passes."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    while (descriptor := _take(path)) is None:
        if loop.time() > deadline:
            raise TimeoutError(f"another process has held {path} for {timeout:g} s")
        await asyncio.sleep(0.02)
    try:
        yield
    finally:
        os.close(descriptor)


def make_public(path: Path) -> None:
    """Make *path* and what is missing above it; when root does it, others may enter whatever the umask says."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        for folder in missing:
            folder.chmod(0o755)


def _chosen(environ: Mapping[str, str], user: User | None) -> Path:
    if given := environ.get("TOPUP_CHAOS_CACHE"):
        return Path(given).expanduser().absolute()
    mine = platformdirs.user_cache_path(NAME, appauthor=False)
    return mine if user is None or may_enter(mine, user) else SYSTEM_CACHE


def _ownerless(runs: Path) -> Iterator[Path]:
    for path in runs.iterdir():
        if not path.is_dir():
            continue
        descriptor = _take(path / ".lock")
        if descriptor is not None:
            os.close(descriptor)
            yield path


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Waits without a bound: the holder only makes and removes directories, and a dead one holds nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _take(path: Path) -> int | None:
    """The descriptor that holds the lock until it is closed or the process ends; None when another has it."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except PermissionError:  # another user's: theirs to remove
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
