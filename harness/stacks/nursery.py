"""A Python that has imported a service's modules, and forks the service off whenever it is asked to.

A service that is killed hundreds of times would spend most of its lives importing. A fork of this process has the modules and
nothing else: no connection, no thread, no state of any earlier life. Application servers call it preloading.

Run as a script by the target's own Python, which need not know the harness: nothing but the standard library is used here.
Standard input is a socket; both sides write one JSON object a line:

    here:     {"loaded": ["uvicorn"]}                    or {"refused": "why"}, and the end
    harness:  {"module": "service", "arguments": [], "env": {"PORT": "1"}, "log": "/path"}
    here:     {"pid": 17}
    here:     {"pid": 17, "code": -9}                    once it has ended; negative when a signal ended it
    harness:  {"line": true}, and a socket with it       a fork that does all this for whoever holds the other end
"""

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


def load(modules: list[str]) -> None:
    """Import them. Raises `ImportError`, and `RuntimeError` where one has started a thread: a fork would be without it."""
    for module in modules:
        importlib.import_module(module)
        if threading.active_count() > 1:
            raise RuntimeError(f"{module} starts a thread when it is imported: leave it out of preload")
    gc.collect()
    gc.freeze()  # what was loaded is shared by all forks for as long as nobody writes to it


def attend(control: socket.socket) -> dict[str, Any] | socket.socket | None:
    """Fork off what is asked for. Returns in the fork, with what it is to be, or with the line that it is to attend to; and
    here with None, when nobody asks any more.
    """
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    woken, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake.fileno())
    _say(control, loaded=sys.argv[1:])
    held, handed = b"", list[socket.socket]()
    while True:
        ready, _, _ = select.select([control, woken], [], [])
        if woken in ready:
            woken.recv(4096)
            for pid, code in _ended():
                _say(control, pid=pid, code=code)
        if control not in ready:
            continue
        data, numbers, _, _ = socket.recv_fds(control, 1 << 16, 8)
        if not data:
            return None
        handed += [socket.socket(fileno=number) for number in numbers]
        *lines, held = (held + data).split(b"\n")
        for line in lines:
            asked = json.loads(line)
            other = handed.pop(0) if "line" in asked else None
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                for end in (woken, wake, *handed):
                    end.close()
                _come_of_age(control, parent, prctl)
                return dict(asked) if other is None else other
            _lead(pid)
            _say(control, pid=pid)
            if other is not None:
                other.close()


def _ended() -> Iterator[tuple[int, int]]:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, os.waitstatus_to_exitcode(status)


def _come_of_age(control: socket.socket, parent: int, prctl: Any) -> None:
    """In the fork: nothing is left of the one that forked it but what it has imported."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _lead(os.getpid())
    if prctl is not None:
        prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:  # it died before the knot was tied
            os.kill(os.getpid(), signal.SIGKILL)
    control.close()
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)


def _lead(pid: int) -> None:
    """Make it the leader of a process group of its own. Said on both sides, for either may be the first to need it."""
    with suppress(ProcessLookupError, PermissionError):
        os.setpgid(pid, pid)


def _say(control: socket.socket, **facts: Any) -> None:
    control.sendall(json.dumps(facts).encode() + b"\n")


def become(born: dict[str, Any]) -> None:
    """What `python -m module arguments…` would be, with just that environment, writing to that log."""
    log = os.open(born["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
    os.environ.clear()
    os.environ.update(born["env"])
    time.tzset()
    sys.argv = [born["module"], *born["arguments"]]
    runpy.run_module(born["module"], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    sys.path[0] = str(Path.cwd())  # as `python -m` has it
    asking = socket.socket(fileno=os.dup(0))
    try:
        load(sys.argv[1:])
    except Exception as error:
        _say(asking, refused=f"{type(error).__name__}: {error}")
        raise
    child = attend(asking)
    while isinstance(child, socket.socket):
        child = attend(child)
    if child is not None:
        become(child)
