"""Which plans need a proxy behind the taps, and what a stack without one says to those that do."""

import asyncio
import inspect
from pathlib import Path
from random import Random

import pytest

from harness.cli import load_everything
from harness.faults import FAULTS, WEATHER, makes_weather
from harness.flow import FLOWS
from harness.meeting import MEETINGS
from harness.scenario import SCENARIOS
from harness.stacks.proxies import find_proxy_server
from harness.stacks.straight import StraightServer
from harness.wire.toxic_kinds import ToxicError

load_everything()


def test_weather_is_what_asks_the_proxy_for_something() -> None:
    """A fault that asks and is not in the list would be given a stack on which it cannot begin."""
    asking = {
        name
        for name, fault in FAULTS.items()
        if any(call in inspect.getsource(inspect.unwrap(fault.begin)) for call in (".toxic(", ".down()"))
    }

    assert asking == WEATHER


def test_a_plan_with_weather_in_it_is_known() -> None:
    assert makes_weather(SCENARIOS["provider-slow"].plan(1))
    assert not makes_weather(SCENARIOS["duplicate-callbacks"].plan(1))
    assert not any(makes_weather(flow.plan(1)) for flow in FLOWS.values())
    assert not any(makes_weather(meeting.plan(1, [], "")) for meeting in MEETINGS.values())


def found(tmp_path: Path, environ: dict[str, str], *, weather: bool) -> str:
    async def look() -> str:
        server = await find_proxy_server(tmp_path, environ, Random(1), weather=weather)
        await server.close()
        return server.backend

    return asyncio.run(look())


def test_a_stack_without_weather_has_no_proxy_unless_one_is_asked_for(tmp_path: Path) -> None:
    assert found(tmp_path, {}, weather=False).startswith("none")
    assert found(tmp_path, {"TOPUP_CHAOS_PROXY": "embedded"}, weather=False) == "embedded"


def test_weather_on_such_a_stack_is_refused_with_the_remedy() -> None:
    """It is never silently left out."""
    proxy = asyncio.run(StraightServer().create("api", ("127.0.0.1", 1)))

    for weather in (lambda: proxy.toxic("latency", "downstream", latency=1), proxy.down):
        with pytest.raises(ToxicError, match="without weather"):
            weather()
