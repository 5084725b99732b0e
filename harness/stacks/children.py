"""Child processes that die with their parent, write to a log file, and do not hear the terminal's Ctrl-C.

On Linux the kernel kills the child the moment its parent is gone (`PR_SET_PDEATHSIG`), even after `kill -9`. Elsewhere
a shell that does nothing but wait for its standard input to close does it. The kernel reaches the child alone, not what
the child has started; signals sent from here reach its whole process group.
"""

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from signal import Signals
from typing import Any, Protocol
from weakref import WeakSet

from harness.users import User

PR_SET_PDEATHSIG = 1
POLL_S = 0.005

_keepers: WeakSet[threading.Thread] = WeakSet()

# Looked up here, not after the fork, where as little as possible should happen.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def keep_children() -> None:
    """Let the current thread start children, like the main thread. It promises to live until the last of them has ended."""
    _keepers.add(threading.current_thread())


def start_child(
    argv: Sequence[str | Path],
    env: Mapping[str, str],
    log_path: Path,
    user: User | None = None,
    death_signal: Signals = signal.SIGKILL,
    cwd: Path | None = None,
    stdin: socket.socket | None = None,
) -> "Child":
    """Start *argv* with exactly *env*; its output is appended to *log_path*; *death_signal* ends it when we end.

    From the main thread, or one that said `keep_children`: the kernel's death signal follows the thread that forked, not
    the process.
    """
    if threading.current_thread() not in {threading.main_thread(), *_keepers}:
        raise RuntimeError("start children from the main thread: they die with the thread that started them")
    with log_path.open("ab") as log, warnings.catch_warnings():
        # Python 3.12 warns of a fork with threads about; what runs after it here takes no lock.
        warnings.simplefilter("ignore", DeprecationWarning)
        process = subprocess.Popen(
            [str(word) for word in argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL if stdin is None else stdin.fileno(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            user=user.uid if user else None,
            group=user.gid if user else None,
            extra_groups=[] if user else None,
            preexec_fn=partial(tie_to, os.getpid(), death_signal) if _prctl else None,
        )
    return Child(process, log_path, None if _prctl else _watchdog(process.pid, death_signal))


class Process(Protocol):
    """What must be known of a process to be its parent."""

    args: Any
    pid: int

    def poll(self) -> int | None: ...


class Child:
    """A process of ours and everything in its process group."""

    def __init__(self, process: Process, log_path: Path, watchdog: "subprocess.Popen[bytes] | None" = None) -> None:
        self.log_path = log_path
        self._process = process
        self._watchdog = watchdog

    @classmethod
    def forked(cls, process: Process, log_path: Path) -> "Child":
        """One that was forked off by a child of ours, which it dies with, and leads a process group of its own."""
        return cls(process, log_path, None if _prctl else _watchdog(process.pid, signal.SIGKILL))

    def __repr__(self) -> str:
        state = "running" if self.alive else f"ended with {self.returncode}"
        return f"<{Path(str(self._process.args[0])).name} pid {self.pid}, {state}>"

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        """A paused process is alive."""
        return self.returncode is None

    @property
    def returncode(self) -> int | None:
        """None while it runs; negative when a signal ended it."""
        code = self._process.poll()
        if code is not None:
            self._dismiss_watchdog()
        return code

    def send(self, number: Signals) -> None:
        """Send *number* to the process and its group; nothing happens when it has ended."""
        if self.alive:
            with suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def kill(self) -> None:
        """End it now, paused or not. Returns at once; `wait` says when it is gone."""
        self.send(signal.SIGKILL)

    def pause(self) -> None:
        """It stops dead, its connections stay open, until `resume`."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """It goes on as if nothing had happened."""
        self.send(signal.SIGCONT)

    async def wait(self, timeout: float | None = None) -> int:
        """The exit code; `TimeoutError` when it is still running after *timeout* seconds."""
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while (code := self.returncode) is None:
            if deadline is not None and loop.time() > deadline:
                raise TimeoutError(f"{self!r} has not ended within {timeout:g} s")
            await asyncio.sleep(POLL_S)
        return code

    async def terminate(self, grace: float = 5.0, first: Signals = signal.SIGTERM) -> int:
        """Ask it to end (*first*), and kill it if it has not within *grace* seconds. The exit code."""
        self.send(first)
        self.resume()  # a paused process would hear nothing
        try:
            return await self.wait(grace)
        except (TimeoutError, asyncio.CancelledError) as reason:
            self.kill()
            code = await self.wait(10.0)
            if isinstance(reason, asyncio.CancelledError):
                raise
            return code

    def log_tail(self, lines: int = 15) -> str:
        """The last lines it wrote, for error messages."""
        written = self.log_path.read_text(errors="replace").splitlines()
        return "\n".join(written[-lines:])

    def _dismiss_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.kill()
            self._watchdog.communicate()
            self._watchdog = None


def tie_to(parent: int, number: Signals) -> None:
    """Have the kernel send us *number* when *parent* ends, where it can.

    In a child: between fork and exec, after it has changed its user (which would untie it again).
    """
    if _prctl is None:
        return
    _prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
    if os.getppid() != parent:  # the parent died before the knot was tied
        os.kill(os.getpid(), signal.SIGKILL)


def _watchdog(pid: int, number: Signals) -> "subprocess.Popen[bytes]":
    """For kernels without a death signal: our end of the pipe closes when we end, however we end."""
    name = number.name.removeprefix("SIG")
    script = f'read -r _; kill -s {name} -- "-{pid}"'
    return subprocess.Popen(
        ["/bin/sh", "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
