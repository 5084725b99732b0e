"""What the stack would be made of on this machine, and why; and, when asked, the preparing of it."""

import os
import platform
import shutil
import time

from rich.console import Console

from harness.cache import cache_dir, run_dir
from harness.stacks.postgres import PostgresCluster
from harness.stacks.postgres_files import PostgresError
from harness.stacks.proxies import install_toxiproxy, survey


async def examine(console: Console, *, install: bool) -> int:
    """Print what was found; 0 when a stack can be made, 2 when something is missing that only the user can bring."""
    if install:
        await install_toxiproxy(os.environ)
    console.print(f"python      {platform.python_version()} on {platform.platform()}", highlight=False, soft_wrap=True)
    console.print(f"cache       {cache_dir()}", highlight=False, soft_wrap=True)
    for finding in await survey(os.environ):
        mark = "[green]yes[/green]" if finding.usable else "no "
        console.print(f"toxiproxy   {mark}  {finding}", highlight=False, soft_wrap=True)
    return await _postgres(console)


async def _postgres(console: Console) -> int:
    """A server really started and stopped: anything less would not be known."""
    directory = run_dir()
    began = time.monotonic()
    try:
        async with PostgresCluster(directory / "postgres") as cluster:
            took = time.monotonic() - began
            console.print(
                f"postgresql  [green]yes[/green]  {cluster.version}, up in {took:.2f} s",
                highlight=False,
                soft_wrap=True,
            )
            return 0
    except PostgresError as error:
        console.print(f"postgresql  [red]no[/red]   {error}", highlight=False, soft_wrap=True)
        return 2
    finally:
        shutil.rmtree(directory, ignore_errors=True)
