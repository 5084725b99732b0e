"""Nothing of one environment starts in another."""

import asyncio
import os
import subprocess
import sys
from typing import Any

import pytest

from reference_impl.environments import Environments, Mixed, strangers
from reference_impl.migrate import migrate
from reference_impl.parts import Parts
from reference_impl.service import World, running
from reference_impl.settings import Settings

HERE: dict[str, Any] = {
    "database_url": "postgresql://svc@db.internal/topups",
    "provider_url": "https://api.provider.example",
    "provider_api_key": "sk_of_no_mode",
    "callback_secret": "whsec_" + "QUFB" * 8,
    "merchant": "shop",
    "environment": "staging",
}


@pytest.mark.parametrize(
    ("environment", "change", "stranger"),
    [
        ("staging", {}, None),
        ("production", {}, None),
        ("chaos", {"provider_url": "http://127.0.0.1:1", "provider_api_key": "sk_test_1"}, None),
        ("delivery", {"provider_api_key": "sk_test_1"}, None),
        ("production", {"provider_api_key": "sk_live_1"}, None),
        ("production", {"provider_api_key": "sk_test_1"}, "PROVIDER_API_KEY"),
        ("eu-prod", {"provider_api_key": "rk_test_1"}, "PROVIDER_API_KEY"),
        ("staging", {"provider_api_key": "sk_live_1"}, "PROVIDER_API_KEY"),
        ("staging", {"provider_url": "https://live.provider.example"}, "PROVIDER_URL"),
        ("dev", {"database_url": "postgresql://svc:secretword@prod-db.internal/topups"}, "DATABASE_URL"),
        ("live", {"provider_url": "https://sandbox.provider.example"}, "PROVIDER_URL"),
        ("live", {"database_url": "postgresql://svc:secretword@127.0.0.1/topups"}, "DATABASE_URL"),
        ("live", {"notify_url": "https://hooks.staging.example"}, "NOTIFY_URL"),
    ],
)
def test_a_mix_is_refused_before_anything_starts(
    environment: str, change: dict[str, str], stranger: str | None
) -> None:
    """By the name of the setting, and without a word of the secret in it."""
    values = HERE | {"environment": environment} | change
    settings = Settings(**values)
    if stranger is None:
        Environments().insist(environment, settings.marked_keys, settings.endpoints)
        return

    async def start() -> None:
        async with running(settings, Parts(), World()):
            raise AssertionError("it started")

    with pytest.raises(Mixed, match=stranger) as refused:
        asyncio.run(start())
    for secret in ("sk_test_1", "sk_live_1", "rk_test_1", "secretword"):
        assert secret not in str(refused.value)


def test_every_stranger_is_named() -> None:
    keys, endpoints = {"A": "sk_live_1"}, {"B": "https://prod.example", "C": "https://example.org"}
    assert [line.split()[0] for line in strangers("dev", keys, endpoints)] == ["A", "B"]


def test_a_database_belongs_to_the_environment_that_was_there_first(database_url: str) -> None:
    """Of two that start at once on an empty one, too."""

    async def start(environment: str) -> str:
        try:
            await migrate(database_url, environment)
        except Mixed as mixed:
            assert "DATABASE_URL" in str(mixed)
            return "refused"
        return environment

    async def story() -> None:
        first = await asyncio.gather(start("staging"), start("chaos"))
        assert sorted(word == "refused" for word in first) == [False, True]
        [owner] = {"staging", "chaos"} & set(first)
        assert await start(owner) == owner
        assert await start("production") == "refused"

    asyncio.run(story())


def test_a_pipeline_can_ask_before_anything_is_started(database_url: str) -> None:
    """0 and whose the database is, or 2 and what does not belong there."""
    env = {k: v for k, v in os.environ.items() if k.lower() not in HERE}
    env |= {name.upper(): value for name, value in HERE.items()} | {"DATABASE_URL": database_url}

    def check(**change: str) -> tuple[int, str]:
        program = [sys.executable, "-m", "reference_impl", "check"]
        done = subprocess.run(program, env=env | change, capture_output=True, text=True, timeout=60, check=False)
        return done.returncode, (done.stdout or done.stderr).strip()

    assert check() == (0, "all of staging; the database belongs to nobody so far")
    asyncio.run(migrate(database_url, "staging"))
    assert check() == (0, "all of staging; the database belongs to staging")
    code, says = check(ENVIRONMENT="chaos")
    assert code == 2
    assert says.startswith("DATABASE_URL names the database of 'staging'")
    code, says = check(PROVIDER_API_KEY="sk_live_1")
    assert (code, "PROVIDER_API_KEY is a key of production" in says, "sk_live_1" in says) == (2, True, False)
