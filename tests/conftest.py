"""What tests share: one PostgreSQL for the session, a fresh database for each test that asks for one."""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator

import pytest
from hypothesis import settings

from harness.cache import run_dir
from harness.stacks.postgres import PostgresCluster

NEEDED = "TOPUP_CHAOS_TESTS_NEED"
"""Names what must be there, so that nothing is skipped for the want of it: `.ci/run` sets it."""

# How long an example takes says how busy the machine is, and nothing about the code.
settings.register_profile("topup-chaos", deadline=None)
settings.load_profile("topup-chaos")

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """A real server, started when the first test asks for it."""
    directory = run_dir()
    cluster = PostgresCluster(directory)
    asyncio.run(cluster.start())
    yield cluster
    asyncio.run(cluster.close())
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def database_url(postgres: PostgresCluster) -> Iterator[str]:
    """An empty database of the test's own."""
    name = f"test_{next(_numbers)}"
    yield asyncio.run(postgres.create_database(name))
    asyncio.run(postgres.drop_database(name))


@pytest.fixture(scope="session")
def node() -> None:
    """Node.js: without it a test is skipped aloud, and fails where it must not be skipped."""
    if shutil.which("node"):
        return
    remedy = "there is no `node` on the path: install Node.js 18 or newer"
    if "node" in os.environ.get(NEEDED, "").split():
        pytest.fail(remedy)
    pytest.skip(remedy)
