"""Two runs at once, or two servers of one run, are never given the same port."""

import subprocess
import sys

from harness.stacks.ports import free_port, reserve

HOLDS_ONE = "from harness.stacks.ports import free_port; print(free_port(), flush=True); input()"


def test_a_port_is_given_out_once() -> None:
    """Also while nobody listens on it yet: the server it is for takes a second to start."""
    given = [free_port() for _ in range(600)]

    assert len(set(given)) == 600


def test_a_port_belongs_to_a_run_until_that_ends() -> None:
    """Nobody else's while its process lives, and anybody's afterwards, however it ended."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDS_ONE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        port = int(other.stdout.readline())

        assert not reserve(port)

        other.kill()
        other.wait()

    assert reserve(port)
