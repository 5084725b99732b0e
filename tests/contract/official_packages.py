"""Software of the providers' own, each set of packages in an environment of its own, and a way to ask it for its verdict.

Some of these packages cannot be installed together, and none of them is anything that this project runs on. So they live
in the cache, apart: `python tests/contract/official_packages.py` puts there what is missing (that needs a network), and
the tests talk to one long-lived process in each (that must not, and what it runs in refuses any but loopback).
"""

import asyncio
import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fake_provider.dialects import Wire
from harness.cache import cache_dir, locked

HERE = Path(__file__).parent / "official"
REMEDY = "run `make contract`, which fetches what is missing"


@dataclass(frozen=True)
class Environment:
    """One set of packages that get along with each other, pinned in `official/`."""

    name: str

    @property
    def is_node(self) -> bool:
        return self.name == "node"

    @property
    def pins(self) -> Path:
        return HERE / "node" / "package-lock.json" if self.is_node else HERE / f"{self.name}.txt"

    @property
    def folder(self) -> Path:
        """Where it is: named by what is pinned, so that another pin is another folder."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        said = self.pins.read_bytes() + (b"" if self.is_node else python.encode())
        return cache_dir() / "contract" / f"{self.name}-{hashlib.sha256(said).hexdigest()[:12]}"

    @property
    def is_there(self) -> bool:
        return (self.folder / ".ready").exists()

    @property
    def command(self) -> list[str]:
        """What starts the process that answers for it."""
        if self.is_node:
            return ["node", str(HERE / "answers.mjs"), str(self.folder)]
        return [str(self.folder / "bin" / "python"), "-I", str(HERE / "answers.py")]

    async def install(self) -> None:
        """Make it, unless it is there. Raises `CalledProcessError` when the packages cannot be had."""
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        async with locked(self.folder.with_suffix(".lock"), timeout=600):
            if self.is_there:
                return
            shutil.rmtree(self.folder, ignore_errors=True)
            if self.is_node:
                shutil.copytree(HERE / "node", self.folder)
                run("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", cwd=self.folder)
            else:
                run(sys.executable, "-m", "venv", str(self.folder))
                pip = [str(self.folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
                run(*pip, "install", "--quiet", "--no-deps", "--requirement", str(self.pins))
                run(*pip, "check")
            (self.folder / ".ready").touch()


ENVIRONMENTS = {
    name: Environment(name) for name in ("core", "alipay", "alipay-official", "paypal", "stripe-12", "node")
}


@dataclass(frozen=True)
class Verdict:
    """What a package said. `raised` is the name of what it threw; `found` is what it read, where it read anything."""

    accepted: bool
    raised: str | None
    message: str
    found: Any


class Official:
    """The process that answers for one environment. Refuses to be made where the environment is missing."""

    def __init__(self, environment: Environment) -> None:
        if not environment.is_there:
            raise AssertionError(f"the official packages of {environment.name!r} are not there: {REMEDY}")
        self._process = subprocess.Popen(
            environment.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environ()
        )

    def ask(self, verifier: str, wire: Wire, **given: Any) -> Verdict:
        """What *verifier* makes of *wire*; header values go over as Latin-1, as every server reads them."""
        headers = [[name, value.decode("latin-1")] for name, value in wire.headers]
        return self.call(verifier, headers=headers, body=base64.b64encode(wire.body).decode(), url=wire.url, **given)

    def call(self, verifier: str, **given: Any) -> Verdict:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"verifier": verifier, **given}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the process that answers for the packages ended (status {self._process.wait(5)})"
        answer: Mapping[str, Any] = json.loads(line)
        return Verdict(answer["accepted"], answer["raised"], answer["message"], answer["found"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@contextmanager
def answering(name: str) -> Iterator[Official]:
    official = Official(ENVIRONMENTS[name])
    try:
        yield official
    finally:
        official.close()


def run(*command: str, cwd: Path | None = None) -> None:
    subprocess.run(command, cwd=cwd, check=True)


def _environ() -> dict[str, str]:
    """Only what a program needs: a switch such as TEST_MODE in somebody's shell must not soften a verifier."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}


async def main() -> None:
    missing = [program for program in ("node", "npm") if shutil.which(program) is None]
    if missing:
        sys.exit(
            f"official packages: there is no {missing[0]} on the path; some of them run on Node: apt-get install nodejs npm"
        )
    for environment in ENVIRONMENTS.values():
        there = environment.is_there
        await environment.install()
        print(f"official packages  {environment.name:<15} {'there' if there else 'fetched'}: {environment.folder}")


if __name__ == "__main__":
    asyncio.run(main())
