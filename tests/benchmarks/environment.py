"""Tools that this project does not run on, each in an environment of its own, as in `tests/contract/official_packages.py`."""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from harness.cache import cache_dir


def environment(pins: Path) -> Path:
    """Where the packages of a file of pins are installed; made the first time, which needs a network.

    Raises `CalledProcessError` when they cannot be had.
    """
    made_of = hashlib.sha256(pins.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = cache_dir() / "benchmarks" / f"{pins.stem}-{made_of}"
    if not (folder / ".ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
        subprocess.run([*pip, "--no-deps", "--requirement", str(pins)], check=True)
        (folder / ".ready").touch()
    return folder
