"""The places where a Toxiproxy can be had, in the order in which they are tried.

Looking changes nothing and is what `doctor` prints; opening may build or pull what the look found to be possible.
"""

import os
import re
import secrets
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from harness.cache import cache_dir, locked, make_public
from harness.stacks.children import start_child

VERSION = "2.12.0"
MODULE = "github.com/Shopify/toxiproxy/v2"
BINARY = "toxiproxy-server"
BUILD_BOUND_S = 240.0
GO_FOLDERS = ("/usr/local/go/bin", "/usr/lib/go/bin", "/opt/homebrew/bin", "/snap/bin")

Say = Callable[[str], None]


class Unavailable(RuntimeError):
    """This place has no Toxiproxy for us; the message says why."""


class Refused(RuntimeError):
    """What was explicitly asked for cannot be had, and something else instead would be a silent stand-in."""


@dataclass(frozen=True)
class Finding:
    """One place that was looked at: what is there, or why it is of no use."""

    place: str
    usable: bool
    detail: str

    def __str__(self) -> str:
        return f"{self.place}: {self.detail}"


@dataclass(frozen=True)
class Site:
    """What a place needs to be opened: the run's directory, the settings, and someone to tell of long work."""

    run_dir: Path
    environ: Mapping[str, str]
    say: Say


def cached_binary(environ: Mapping[str, str]) -> Path:
    """Where an earlier run left what it built."""
    return cache_dir(environ) / "toxiproxy" / VERSION / BINARY


def find_go(environ: Mapping[str, str]) -> Path | None:
    """The Go tool, also where installers put it without adding it to PATH."""
    found = shutil.which("go", path=os.pathsep.join([environ.get("PATH", ""), *GO_FOLDERS]))
    return Path(found) if found else None


def running_url(environ: Mapping[str, str]) -> tuple[str, int] | None:
    """The address in `TOXIPROXY_URL`; `Refused` unless it is of this machine."""
    url = environ.get("TOXIPROXY_URL")
    if not url:
        return None
    parts = urlsplit(url if "//" in url else f"http://{url}")
    host = "127.0.0.1" if parts.hostname == "localhost" else parts.hostname or ""
    try:
        loopback = ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if parts.scheme != "http" or not loopback:
        raise Refused(
            f"TOXIPROXY_URL is {url!r}: only http:// on a loopback address is used, faults stay on this machine"
        )
    return host, parts.port or 8474


def given_binary(environ: Mapping[str, str]) -> Path | None:
    """The path in `TOPUP_CHAOS_TOXIPROXY`; `Refused` when there is no program."""
    given = environ.get("TOPUP_CHAOS_TOXIPROXY")
    if not given:
        return None
    path = Path(given).expanduser().absolute()
    if not (path.is_file() and os.access(path, os.X_OK)):
        raise Refused(f"TOPUP_CHAOS_TOXIPROXY is {given!r}, which is no program; give the path of {BINARY} or unset it")
    return path


def binary_on_path(environ: Mapping[str, str]) -> Path | None:
    """`toxiproxy-server` on PATH."""
    found = shutil.which(BINARY, path=environ.get("PATH", ""))
    return Path(found) if found else None


async def build(go: Path, environ: Mapping[str, str], say: Say) -> Path:
    """Toxiproxy built into the cache by `go install`, once; `Unavailable` with Go's own words when that fails."""
    binary = cached_binary(environ)
    folder = binary.parent
    make_public(folder)
    async with locked(folder / ".lock", timeout=BUILD_BOUND_S):
        if binary.is_file():
            return binary
        say(f"building Toxiproxy {VERSION} with {go} (once; some 30 s, at most {BUILD_BOUND_S:g} s)")
        await _go_install(go, environ, folder, binary)
    say(f"built {binary}")
    return binary


async def _go_install(go: Path, environ: Mapping[str, str], folder: Path, binary: Path) -> None:
    building = folder / f".building-{secrets.token_hex(4)}"
    building.mkdir()
    log = folder / "build.log"
    log.unlink(missing_ok=True)
    path = os.pathsep.join([str(go.parent), environ.get("PATH", os.defpath)])
    env = {**environ, "GOBIN": str(building), "CGO_ENABLED": "0", "PATH": path}
    flags = f"-s -w -X {MODULE}.Version={VERSION}"  # without it the server calls itself "git"
    argv: list[str | Path] = [go, "install", "-ldflags", flags, f"{MODULE}/cmd/server@v{VERSION}"]
    child = start_child(argv, env, log)
    try:
        code = await child.wait(BUILD_BOUND_S)
        if code != 0:
            raise Unavailable(f"go install failed: {_last_line(child.log_tail())} (all of it in {log})")
        (building / "server").rename(binary)
    except TimeoutError:
        raise Unavailable(f"go install did not finish within {BUILD_BOUND_S:g} s (see {log})") from None
    finally:
        await child.terminate(grace=0.5, first=signal.SIGKILL)
        shutil.rmtree(building, ignore_errors=True)


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip() and not re.match(r"go: downloading ", line)]
    return lines[-1] if lines else "it said nothing"
