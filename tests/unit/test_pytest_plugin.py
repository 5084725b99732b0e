"""What the pytest plugin does to a suite that asks for it, and to one that does not. No stack is started here."""

import pytest

from harness.cli import REFERENCE, load_everything
from harness.scenario import SCENARIOS

pytest_plugins = ["pytester"]

load_everything()
TARGET = ("--topup-chaos-target", str(REFERENCE))


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """Somebody's own tests: one that wants a stack, and one that wants nothing."""
    pytester.makepyfile(
        """
        import sys

        def test_of_their_own():
            assert "harness.testing" not in sys.modules and "hypothesis.stateful" not in sys.modules

        def test_with_a_stack(stack):
            raise AssertionError("never reached")
        """
    )
    return pytester


def test_who_does_not_ask_for_it_is_not_disturbed(suite: pytest.Pytester) -> None:
    """Nothing is collected, printed or loaded; a fixture that nobody can fill says what is missing."""
    ran = suite.runpytest_subprocess()

    ran.assert_outcomes(passed=1, errors=1)
    ran.stdout.fnmatch_lines(["*name its target.toml, by `pytest --topup-chaos-target target.toml`*"])
    ran.stdout.no_fnmatch_line("topup-chaos: *")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--topup-chaos"], "by `pytest --topup-chaos-target target.toml` or by `topup_chaos_target`"),
        (["--topup-chaos-target", "nowhere.toml"], "nowhere.toml does not exist"),
        ([*TARGET, "--topup-chaos-seed", "x"], "topup_chaos_seed is 'x': it is a number"),
        ([*TARGET, "--topup-chaos-mutant", "never-ask"], "Did you mean 'never-asks'?"),
    ],
    ids=["no target", "no such file", "no number", "no such mutant"],
)
def test_what_is_wrong_is_said_before_anything_is_collected(
    suite: pytest.Pytester, options: list[str], says: str
) -> None:
    """Usage errors of pytest, with the remedy."""
    ran = suite.runpytest_inprocess(*options)

    assert ran.ret == pytest.ExitCode.USAGE_ERROR
    assert says in ran.stderr.str()


def test_every_scenario_is_an_item_that_can_be_selected(suite: pytest.Pytester) -> None:
    """They are counted and deselected like all others, and the seed stands in the header."""
    ran = suite.runpytest_inprocess(
        "--topup-chaos", *TARGET, "--topup-chaos-seed", "7", "--collect-only", "-k", "calm or duplicate"
    )

    for name in ("calm", "duplicate-callbacks", "instant-duplicates"):
        ran.stdout.fnmatch_lines([f"*<StoryItem {name}>"])
    ran.stdout.no_fnmatch_line("*of_their_own*")
    ran.stdout.fnmatch_lines(["topup-chaos: *target.toml, --topup-chaos-seed 7"])
    ran.stdout.re_match_lines([rf"collected {2 + len(SCENARIOS)} items / \d+ deselected / \d+ selected"])


def test_the_configuration_is_as_good_as_an_option(suite: pytest.Pytester) -> None:
    """Paths there are seen from the root of the tests, wherever pytest is called; a seed that is drawn is told."""
    suite.makeini(f"[pytest]\ntopup_chaos_target = {REFERENCE}\n")
    ran = suite.runpytest_inprocess("--collect-only")

    assert ran.ret == 0
    ran.stdout.re_match_lines([r"topup-chaos: .*target\.toml, --topup-chaos-seed \d+"])
    ran.stdout.no_fnmatch_line("*topup-chaos::*")


def test_own_scenarios_are_items_too(suite: pytest.Pytester) -> None:
    """A story that is registered by a file of the suite stands among the others, under that file's name."""
    suite.makepyfile(
        paid_at_noon="""
        from harness.testing import Draft, scenario

        @scenario()
        def paid_at_noon(draft: Draft) -> None:
            "At noon everybody pays."
            draft.top_ups_at_once(3)
        """
    )
    suite.makeconftest("import paid_at_noon")
    ran = suite.runpytest_subprocess("--topup-chaos", *TARGET, "--collect-only", "-q", "-k", "noon")

    assert "topup-chaos::paid-at-noon" in ran.outlines
