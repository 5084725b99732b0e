"""What a link asks of its proxy, whichever program does it, and how that program is found."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from random import Random
from typing import Protocol

from harness.stack import Proxy
from harness.stacks import toxiproxy_places as places
from harness.stacks.embedded import EmbeddedServer
from harness.stacks.straight import StraightServer
from harness.stacks.toxiproxy_places import VERSION, Finding, Refused, Say, Site, Unavailable
from harness.wire.toxic_kinds import TOXICS, Stream, ToxicError

__all__ = [
    "TOXICS",
    "Finding",
    "Proxy",
    "ProxyServer",
    "Refused",
    "Stream",
    "ToxicError",
    "find_proxy_server",
    "install_toxiproxy",
    "survey",
]

FORCED = ("embedded", "toxiproxy")
NAMED = "TOPUP_CHAOS_TOXIPROXY"


def tell(line: str) -> None:
    """Long work is announced where it does not mix with results."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


class ProxyServer(Protocol):
    """Something that makes proxies."""

    @property
    def backend(self) -> str:
        """For reports: `toxiproxy 2.12.0 (cache)`, `embedded`."""

    @property
    def remarks(self) -> Sequence[str]:
        """What a reader of the results should know: why it is this back end, and anything that went otherwise."""

    async def create(self, name: str, upstream: tuple[str, int]) -> Proxy:
        """A new proxy on a free port of 127.0.0.1."""

    async def reset(self) -> None:
        """Every proxy of ours up and without toxics, whatever blocks are still open."""

    async def close(self) -> None:
        """Everything that was made is gone; may be called twice."""


async def find_proxy_server(
    run_dir: Path, environ: Mapping[str, str], rng: Random | None = None, say: Say = tell, *, weather: bool = True
) -> ProxyServer:
    """The first back end that works, started; why it is not an earlier one is in its `remarks`.

    `TOPUP_CHAOS_PROXY` set to `toxiproxy` or `embedded` forces one. A Toxiproxy that was named explicitly and cannot be
    used is an error (`Refused`), never a reason to go on with another. *rng* decides the jitter of the embedded one. Where
    no *weather* is to be made and none is forced, there is none.
    """
    forced = _forced(environ)
    if not weather and not forced:
        return StraightServer()
    rng = rng or Random(0)
    if forced == "embedded":
        return EmbeddedServer(rng, ["embedded proxy: TOPUP_CHAOS_PROXY says so"])
    site, reasons = Site(run_dir, environ, say), list[str]()
    for place in PLACES:
        finding = await place.look(environ)
        if not finding.usable:
            reasons.append(str(finding))
            continue
        try:
            server = await place.open(site)
        except Unavailable as error:
            reasons.append(f"{place.name}: {error}")
            continue
        return server
    if forced == "toxiproxy":
        raise Refused("TOPUP_CHAOS_PROXY=toxiproxy, but none can be had:\n  " + "\n  ".join(reasons))
    return EmbeddedServer(rng, ["no Toxiproxy can be had, so the embedded proxy stands in", *reasons])


async def survey(environ: Mapping[str, str]) -> list[Finding]:
    """Each place where a Toxiproxy could be, looked at in order and without changing anything."""
    findings = []
    for place in PLACES:
        try:
            findings.append(await place.look(environ))
        except Refused as error:
            findings.append(Finding(place.name, False, str(error)))
    findings.append(Finding("embedded", True, "always there: the same toxics, inside the harness"))
    return findings


async def install_toxiproxy(environ: Mapping[str, str], say: Say = tell) -> Path | None:
    """For the set-up step: the binary that runs will use, built if need be; None, and the reason said, if it cannot."""
    for find in (places.given_binary, places.binary_on_path, _in_cache):
        if there := find(environ):
            say(f"Toxiproxy is there: {there}")
            return there
    go = places.find_go(environ)
    if go is None:
        say(f"no Go found to build Toxiproxy {VERSION} with; runs will use a container or the embedded proxy")
        return None
    try:
        return await places.build(go, environ, say)
    except Unavailable as error:
        say(f"{error}; runs will use a container or the embedded proxy")
        return None


@dataclass(frozen=True)
class Place:
    """Somewhere a Toxiproxy can come from: a look that changes nothing, and the way to open it."""

    name: str
    look: Callable[[Mapping[str, str]], Awaitable[Finding]]
    open: Callable[[Site], Awaitable[ProxyServer]]


def _forced(environ: Mapping[str, str]) -> str | None:
    forced = environ.get("TOPUP_CHAOS_PROXY") or None
    if forced is not None and forced not in FORCED:
        near = get_close_matches(forced, FORCED, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(FORCED)}"
        raise Refused(f"TOPUP_CHAOS_PROXY is {forced!r}; {hint}")
    return forced


def _in_cache(environ: Mapping[str, str]) -> Path | None:
    binary = places.cached_binary(environ)
    return binary if binary.is_file() else None


async def _look_for_running(environ: Mapping[str, str]) -> Finding:
    address = places.running_url(environ)
    if address is None:
        return Finding("TOXIPROXY_URL", False, "not set")
    return Finding("TOXIPROXY_URL", True, f"{address[0]}:{address[1]}")


async def _open_running(site: Site) -> ProxyServer:
    from harness.stacks.toxiproxy import attach

    address = places.running_url(site.environ)
    assert address is not None, "looked at before"
    return await attach(address)


async def _look_for_go(environ: Mapping[str, str]) -> Finding:
    go = places.find_go(environ)
    if go is None:
        return Finding("go install", False, "no Go on PATH or where its installers put it")
    return Finding("go install", True, f"{go} can build Toxiproxy {VERSION} into the cache on first use")


async def _open_built(site: Site) -> ProxyServer:
    go = places.find_go(site.environ)
    assert go is not None, "looked at before"
    return await _started(await places.build(go, site.environ, site.say), site, "go install")


async def _look_for_docker(_environ: Mapping[str, str]) -> Finding:
    from harness.stacks.toxiproxy_container import IMAGE, daemon_version

    try:
        version = await daemon_version()
    except Unavailable as error:
        return Finding("container", False, str(error))
    return Finding("container", True, f"Docker {version} can run {IMAGE}")


async def _open_container(site: Site) -> ProxyServer:
    from harness.stacks.toxiproxy import ToxiproxyServer
    from harness.stacks.toxiproxy_container import start_container

    api, host = await start_container(site.say)
    return ToxiproxyServer(api, f"toxiproxy {VERSION} (container)", host)


def _program(name: str, find: Callable[[Mapping[str, str]], Path | None], absent: str) -> Place:
    """A place that is a program on this machine."""

    async def look(environ: Mapping[str, str]) -> Finding:
        binary = find(environ)
        return Finding(name, binary is not None, str(binary) if binary else absent)

    async def start(site: Site) -> ProxyServer:
        binary = find(site.environ)
        assert binary is not None, "looked at before"
        return await _started(binary, site, name)

    return Place(name, look, start)


async def _started(binary: Path, site: Site, name: str) -> ProxyServer:
    """A program that is found but does not serve is a reason to look on, unless it was named explicitly."""
    from harness.stacks.toxiproxy import start_server  # here, and not for the embedded one: it imports requests
    from harness.stacks.toxiproxy_api import ToxiproxyError

    try:
        return await start_server(binary, site.run_dir, name, site.environ)
    except (OSError, ToxiproxyError) as error:
        problem = Refused if name == NAMED else Unavailable
        raise problem(f"{binary} is there, but does not serve: {error}") from error


PLACES = (
    Place("TOXIPROXY_URL", _look_for_running, _open_running),
    _program(NAMED, places.given_binary, "not set"),
    _program("PATH", places.binary_on_path, f"no {places.BINARY} on it"),
    _program("cache", _in_cache, "nothing built there yet"),
    Place("go install", _look_for_go, _open_built),
    Place("container", _look_for_docker, _open_container),
)
