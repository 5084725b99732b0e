"""Toxiproxy in a container, for machines with a Docker daemon and no Go. The SDK blocks: everything runs in threads."""

import asyncio
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from harness.stacks.ports import LOOPBACK, free_port
from harness.stacks.toxiproxy_api import ControlApi, ToxiproxyError
from harness.stacks.toxiproxy_places import VERSION, Say, Unavailable

if TYPE_CHECKING:
    import docker
    from docker.models.containers import Container

T = TypeVar("T")

IMAGE = f"ghcr.io/shopify/toxiproxy:{VERSION}"
LABEL = "topup-chaos.pid"
DAEMON_S = 2
PULL_BOUND_S = 120.0
START_BOUND_S = 10.0


class ContainerHost:
    """A container of ours: removed when it is stopped."""

    def __init__(self, container: "Container", client: "docker.DockerClient") -> None:
        self._container = container
        self._client = client
        self._stopped = False

    async def stop(self) -> None:
        """Killed and removed; it holds nothing worth an orderly end."""
        if not self._stopped:
            self._stopped = True
            await asyncio.to_thread(_remove, self._container)
            await asyncio.to_thread(self._client.close)


async def daemon_version() -> str:
    """The version of the Docker daemon, or `Unavailable` when none answers quickly."""
    return await asyncio.to_thread(_daemon_version)


async def start_container(say: Say) -> tuple[ControlApi, ContainerHost]:
    """A server in the host's network, answering; `Unavailable` says what stood in the way."""
    client = await asyncio.to_thread(_client)
    try:
        await _image(client, say)
        port = free_port()
        container = await asyncio.to_thread(_run, client, port)
        host = ContainerHost(container, client)
    except BaseException:
        client.close()
        raise
    api = ControlApi(LOOPBACK, port)
    try:
        await _until_it_answers(api)
    except BaseException:
        await host.stop()
        raise
    return api, host


async def _image(client: "docker.DockerClient", say: Say) -> None:
    if await asyncio.to_thread(_has_image, client):
        return
    say(f"pulling {IMAGE} (once; at most {PULL_BOUND_S:g} s)")
    try:
        async with asyncio.timeout(PULL_BOUND_S):
            await asyncio.to_thread(_guarded, lambda: client.images.pull(IMAGE))
    except TimeoutError:
        raise Unavailable(f"pulling {IMAGE} took longer than {PULL_BOUND_S:g} s") from None


async def _until_it_answers(api: ControlApi) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + START_BOUND_S
    while True:
        try:
            await asyncio.to_thread(api.version, 1.0)
            return
        except ToxiproxyError as error:
            if loop.time() > deadline:
                why = "Docker's host network may not be this machine's"
                raise Unavailable(f"the container did not answer within {START_BOUND_S:g} s ({error}); {why}") from None
        await asyncio.sleep(0.05)


def _client() -> "docker.DockerClient":
    _require_socket()
    import docker  # here, because most runs never need it and it takes a while

    return _guarded(lambda: docker.from_env(timeout=DAEMON_S))


def _require_socket() -> None:
    """Asked first, because the SDK leaks a socket when nobody is there, and takes a while to say so."""
    url = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    if not url.startswith("unix://"):
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(DAEMON_S)
        try:
            probe.connect(url.removeprefix("unix://"))
        except OSError as error:
            raise Unavailable(f"no Docker daemon at {url} ({error.strerror or error})") from None


def _daemon_version() -> str:
    client = _client()
    try:
        return str(_guarded(client.version)["Version"])
    finally:
        client.close()


def _has_image(client: "docker.DockerClient") -> bool:
    from docker.errors import ImageNotFound

    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        return False
    return True


def _run(client: "docker.DockerClient", port: int) -> "Container":
    _sweep(client)
    command = [f"-host={LOOPBACK}", f"-port={port}"]
    labels = {LABEL: str(os.getpid())}
    return _guarded(lambda: client.containers.run(IMAGE, command, network_mode="host", detach=True, labels=labels))


def _sweep(client: "docker.DockerClient") -> None:
    """Remove the containers of processes that are gone: the daemon does not know that they were ours."""
    for container in client.containers.list(all=True, filters={"label": LABEL}):
        try:
            os.kill(int(container.labels[LABEL]), 0)
        except (ProcessLookupError, ValueError):
            _remove(container)
        except PermissionError:
            continue


def _remove(container: "Container") -> None:
    from docker.errors import NotFound

    try:
        container.remove(force=True)
    except NotFound:
        return


def _guarded(action: Callable[[], T]) -> T:
    """Whatever the SDK or its transport raises is one reason: no Toxiproxy from here."""
    from docker.errors import DockerException
    from requests import RequestException

    try:
        return action()
    except (DockerException, RequestException) as error:
        raise Unavailable(f"Docker: {error}") from error
