"""The pytest plugin: fixtures for a stack around one's own service, and one item for each scenario where that is asked for.

It is loaded into every pytest run of an environment that has this package, so it imports nothing of weight before somebody
asks for something, and collects nothing of its own without `--topup-chaos`.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from harness.target import Target
    from harness.testing import Provider, WarmStack

REMEDY = (
    "topup-chaos knows of no service to break: name its target.toml, by `pytest --topup-chaos-target target.toml` "
    "or by `topup_chaos_target` in pytest's configuration"
)
SEED = "topup_chaos_seed"

_seed = pytest.StashKey[int]()
_stack = pytest.StashKey["WarmStack"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("topup-chaos", "break a top-up service on purpose")
    group.addoption("--topup-chaos", action="store_true", help="Collect every scenario too, an item each.")
    options = {
        "target": "The service to break: its target.toml, as seen from the root of the tests.",
        "seed": "What every random choice is drawn from. Drawn and printed when left out.",
        "mutant": "Run the service with this planted bug of its own instead: the tests must see it.",
        "out": "Where reports are written, as seen from the root of the tests: .topup-chaos/runs when left out.",
        "kept": "The folder in which findings of explorations are kept, and looked for: the cache's when left out.",
    }
    for name, says in options.items():
        group.addoption(f"--topup-chaos-{name}", metavar=name.upper(), help=says)
        parser.addini(f"topup_chaos_{name}", says)


def pytest_configure(config: pytest.Config) -> None:
    """What is wrong with the configuration is said before anything is collected; nothing is looked at unasked."""
    if not _wanted(config):
        return
    config.stash[_seed] = _drawn(config)
    target = _target_file(config)
    if target is None:
        raise pytest.UsageError(REMEDY)
    from harness.cli import KNOWN, _mutant
    from harness.target import read

    try:
        read(target)
        _mutant(_setting(config, "mutant"), target)
    except KNOWN as error:
        raise pytest.UsageError(str(error)) from None


def pytest_report_header(config: pytest.Config) -> str | None:
    """The seed, which makes the same plans again."""
    if _seed not in config.stash:
        return None
    mutant = _setting(config, "mutant")
    planted = f", mutant {mutant}" if mutant else ""
    return f"topup-chaos: {_target_file(config)}{planted}, --topup-chaos-seed {config.stash[_seed]}"


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Under pytest-xdist every worker draws from the same seed."""
    if _seed in node.config.stash:
        node.workerinput[SEED] = node.config.stash[_seed]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """An item for each scenario, before anybody selects among the items."""
    if not config.getoption("topup_chaos"):
        return
    collector = Scenarios.from_parent(session, name="topup-chaos", nodeid="topup-chaos")
    report = config.hook.pytest_make_collect_report(collector=collector)
    config.hook.pytest_collectreport(report=report)  # so that they are counted like all others
    items.extend(report.result)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whatever was started is ended, once, however the run ended."""
    if (stack := config.stash.get(_stack, None)) is not None:
        del config.stash[_stack]
        stack.__exit__(None, None, None)


class Scenarios(pytest.Collector):
    """All scenarios, under one name."""

    def collect(self) -> list["StoryItem"]:
        from harness.cli import load_everything
        from harness.scenario import SCENARIOS

        load_everything()
        return [StoryItem.from_parent(self, name=name) for name in SCENARIOS]


class StoryItem(pytest.Item):
    """One scenario, carried out on the stack of this session."""

    def runtest(self) -> None:
        from harness.scenario import SCENARIOS

        stack = standing(self.config)
        plan = SCENARIOS[self.name].plan(stack.wanted.seed)
        if why := stack.impossible(plan):
            pytest.skip(why)
        stack.holds(plan)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from harness.testing import NotHeld

        return str(excinfo.value) if isinstance(excinfo.value, NotHeld) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, None, str]:
        return self.config.rootpath, None, f"topup-chaos::{self.name}"


@pytest.fixture(scope="session")
def stack(pytestconfig: pytest.Config) -> "WarmStack":
    """The service of `topup_chaos_target` with database, links and provider around it, up until the tests are over.

    Under pytest-xdist each worker has one of its own.
    """
    return standing(pytestconfig)


@pytest.fixture(scope="session")
def target(stack: "WarmStack") -> "Target":
    """What `topup_chaos_target` says of the service."""
    return stack.target


@pytest.fixture
def provider(stack: "WarmStack") -> Iterator["Provider"]:
    """The payment provider of the stack; callbacks that a test leaves behind run their course before the next begins."""
    yield stack.provider
    stack.provider.play_out()


def standing(config: pytest.Config) -> "WarmStack":
    """The stack of this session, started when it is first asked for."""
    if (there := config.stash.get(_stack, None)) is not None:
        return there
    target = _target_file(config)
    if target is None:
        pytest.fail(REMEDY, pytrace=False)
    from harness.stack import StackError
    from harness.testing import Wanted, WarmStack

    kept = _setting(config, "kept")
    wanted = Wanted(
        target=target,
        seed=config.stash[_seed],
        mutant=_setting(config, "mutant"),
        out=config.rootpath / (_setting(config, "out") or ".topup-chaos/runs"),
        kept=config.rootpath / kept if kept else None,
    )
    try:
        stack = WarmStack(wanted).__enter__()
    except StackError as error:
        pytest.fail(str(error), pytrace=False)
    config.stash[_stack] = stack
    return stack


def _wanted(config: pytest.Config) -> bool:
    return bool(config.getoption("topup_chaos") or _setting(config, "target"))


def _setting(config: pytest.Config, name: str) -> str | None:
    """The option, else what stands in pytest's configuration."""
    given: str | None = config.getoption(f"topup_chaos_{name}")
    return given or config.getini(f"topup_chaos_{name}") or None


def _target_file(config: pytest.Config) -> Path | None:
    given = _setting(config, "target")
    return config.rootpath / given if given else None


def _drawn(config: pytest.Config) -> int:
    """The seed that was given, or that the controller drew for all workers, or a new one."""
    workers: dict[str, Any] = getattr(config, "workerinput", {})
    given = _setting(config, "seed")
    if given is None:
        return int(workers[SEED]) if SEED in workers else secrets.randbelow(1_000_000)
    if not given.isdecimal():
        raise pytest.UsageError(f"topup_chaos_seed is {given!r}: it is a number, such as --topup-chaos-seed 7")
    return int(given)
