"""Ports for servers of ours that must be able to come back on the same one."""

import fcntl
import os
import secrets
import socket
from pathlib import Path

from harness.cache import cache_dir

LOOPBACK = "127.0.0.1"
LOWEST, EPHEMERAL = 15_000, 32_768


_ours: set[int] = set()
_register: int | None = None


def free_port() -> int:
    """A port of 127.0.0.1 that is free, and that no other run on this machine will be given while this process lives.

    A stranger may still take it before our server listens; the caller tries again where it can.

    Not one that the kernel hands to outgoing connections: while a listener is down on purpose, any client's socket
    could take its port, and it could not come back. Drawn by the system, not by the run's seed, because two runs
    with one seed may share a machine.
    """
    highest = max(_first_ephemeral(), LOWEST + 1_000)
    for _ in range(100):
        port = LOWEST + secrets.randbelow(highest - LOWEST)
        if reserve(port) and is_free(port):
            return port
    raise OSError(f"no free port between {LOWEST} and {highest} in 100 tries")


def reserve(port: int) -> bool:
    """Make *port* this process's own until it ends; false when it is another run's, or was given out here before.

    One byte of a file in the cache stands for each port: the kernel drops a lock with the process that holds it, however
    that ends, and a fork does not inherit it.
    """
    global _register
    if port in _ours:
        return False
    if _register is None:
        _register = os.open(cache_dir() / "ports.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.lockf(_register, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _ours.add(port)
    return True


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
