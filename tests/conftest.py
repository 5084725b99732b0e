"""What tests share: one PostgreSQL for the session, a fresh database for each test that asks for one."""

import asyncio
import itertools
import shutil
from collections.abc import Iterator

import pytest

from harness.cache import run_dir
from harness.stacks.postgres import PostgresCluster

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
