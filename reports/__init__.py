"""Renderers of a suite, one per file; each registers itself with the name of the file that it writes.

`write_all` is what commands call. The terminal is the exception: it is written to while the suite goes on, so
`reports.terminal` is called directly.
"""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from harness.registry import Registry, load, name_of
from harness.run import Suite

Renderer: TypeAlias = Callable[[Suite], str]

LATEST = "latest"
# What may become of a payment without anything being wrong: `set aside` is money visibly kept for people to look at.
HARMLESS = frozenset({"exact", "reversed", "set aside"})


@dataclass(frozen=True, slots=True)
class Report:
    """A renderer, and the name of the file that its text goes into."""

    file: str
    render: Renderer


RENDERERS: Registry[Report] = Registry("renderer")


def renderer(*, file: str) -> Callable[[Renderer], Renderer]:
    """Register a function from suite to text under its module's name; its text is written into *file*."""

    def register(render: Renderer) -> Renderer:
        RENDERERS.add(name_of(render.__module__), Report(file, render))
        return render

    return register


def write_all(suite: Suite) -> None:
    """Write every report into the suite's folder, and point `latest` beside it at that folder.

    A file is there whole or not at all. Where links cannot be made, standard error says so and the reports stand.
    """
    load(sys.modules[__name__])
    suite.folder.mkdir(parents=True, exist_ok=True)
    for report in RENDERERS.values():
        write(suite.folder / report.file, report.render(suite))
    point_latest_at(suite.folder)


def write(path: Path, text: str) -> None:
    """The file is there whole or not at all."""
    # Text out of a target may hold lone surrogates; they must not cost the reader the whole report.
    encoded = text.encode("utf-8", errors="backslashreplace")
    unfinished = _unfinished(path)
    try:
        unfinished.write_bytes(encoded)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def point_latest_at(folder: Path) -> None:
    """Have `latest`, beside *folder*, mean it; standard error says so where there are no links."""
    link = folder.absolute().parent / LATEST
    unfinished = _unfinished(link)
    try:
        # The target is relative, so that the folder of all runs can be moved or archived whole.
        unfinished.symlink_to(folder.absolute().name, target_is_directory=True)
        unfinished.replace(link)
    except (OSError, NotImplementedError) as error:
        unfinished.unlink(missing_ok=True)
        sys.stderr.write(f"no `{LATEST}` link at {link} ({error}); the reports are in {folder}\n")


def _unfinished(path: Path) -> Path:
    """Beside *path*, so that moving it there is one step; named after this process, so that two do not meet."""
    return path.with_name(f".{path.name}.{os.getpid()}")
