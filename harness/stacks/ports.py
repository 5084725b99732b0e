"""Ports for servers of ours that must be able to come back on the same one."""

import secrets
import socket
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST, EPHEMERAL = 15_000, 32_768


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago; the caller tries again if it was taken in between.

    Not one that the kernel hands to outgoing connections: while a listener is down on purpose, any client's socket
    could take its port, and it could not come back. Drawn by the system, not by the run's seed, because two runs
    with one seed may share a machine.
    """
    highest = max(_first_ephemeral(), LOWEST + 1_000)
    for _ in range(100):
        port = LOWEST + secrets.randbelow(highest - LOWEST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {highest} in 100 tries")


def is_free(port: int) -> bool:
    """Could a server listen on 127.0.0.1:*port* now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def _first_ephemeral() -> int:
    setting = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(setting.read_text().split()[0]) if setting.exists() else EPHEMERAL
