"""Somebody's own suite around the reference service, with the pytest plugin: one stack, and one for each worker."""

import re

import pytest

from harness.cli import REFERENCE

pytest_plugins = ["pytester"]
pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]


@pytest.fixture
def suite(pytester: pytest.Pytester) -> pytest.Pytester:
    """As in the README, but for the machine's examples."""
    pytester.makeini(f"[pytest]\ntopup_chaos_target = {REFERENCE}\nfilterwarnings = error\n")
    pytester.makepyfile(
        """
        import httpx

        from harness.testing import Draft, TopUpMachine, rule


        class Wallet(TopUpMachine):
            @rule(top_up=TopUpMachine.payments)
            def pay_and_look(self, top_up):
                self.tale.pay(top_up)
                self.tale.status(top_up)


        def test_own_client(stack, target, provider):
            assert target.name == "reference"
            with provider.mood("drop") as spoiled, stack.fault("latency", link="edge", ms=100) as slowed:
                assert httpx.get(f"{stack.url}/healthz", timeout=10).is_success
                assert spoiled() == 0 and slowed() > 0


        def test_own_story(stack):
            def they_come_twice(draft: Draft) -> None:
                with draft.fault("mood", mood="duplicate"):
                    draft.top_ups(2)
                    draft.quiet()

            stack.tell(they_come_twice)


        def test_own_machine(stack):
            told = stack.explore(Wallet, examples=6, shorten_s=20)
            assert len(told.runs) == 6
        """
    )
    return pytester


def test_it_holds_and_a_planted_bug_is_seen(suite: pytest.Pytester) -> None:
    """By a story of the suite's own and by a scenario, with the evidence and the command that repeats it."""
    ran = suite.runpytest_subprocess("--topup-chaos", "-k", "own_client or own_story or calm")
    assert "failed" not in (outcomes := ran.parseoutcomes()) and outcomes["passed"] == 3, ran.stdout.str()

    broken = suite.runpytest_subprocess(
        "--topup-chaos",
        "--topup-chaos-mutant",
        "credits-every-delivery",
        "-k",
        "own_story or duplicate-callbacks or calm",
    )

    outcomes = broken.parseoutcomes()
    assert (outcomes["failed"], outcomes["passed"]) == (2, 1)
    broken.stdout.fnmatch_lines(["*BROKEN   credited-at-most-once", "*was credited 2 times"])
    broken.stdout.fnmatch_lines(["*again:   topup-chaos replay *-pytest* --target *target.toml"])
    assert list(suite.path.glob(".topup-chaos/runs/*-pytest/report.html"))


@pytest.mark.slow
def test_each_worker_has_a_stack_of_its_own(suite: pytest.Pytester) -> None:
    """Under pytest-xdist, all from one seed; what each did is in a folder of its own."""
    ran = suite.runpytest_subprocess(
        "-n", "2", "--topup-chaos", "--topup-chaos-seed", "5", "--topup-chaos-kept", "kept", "-k", "forged or own"
    )

    assert "failed" not in ran.parseoutcomes(), ran.stdout.str()
    assert ran.parseoutcomes()["passed"] >= 10
    folders = list(suite.path.glob(".topup-chaos/runs/*-pytest*/run.json"))
    assert len(folders) == 2
    seeds = {seed for file in folders for seed in re.findall(r'"seed": (\d+)', file.read_text(encoding="utf-8"))}
    assert seeds == {"5"}


@pytest.mark.slow
def test_a_machine_finds_a_planted_bug_and_tells_it_first_the_next_time(suite: pytest.Pytester) -> None:
    """The first time it is found, replayed and made shorter; the second time the first story told is the one that was kept."""
    options = ("-k", "own_machine", "--topup-chaos-mutant", "credits-every-delivery", "--topup-chaos-kept", "kept")
    first = suite.runpytest_subprocess(*options, "--topup-chaos-seed", "1")
    first.assert_outcomes(failed=1, deselected=2)
    first.stdout.fnmatch_lines(["*BROKEN   credited-at-most-once", "*seen in * of 5 replays*", "*as short as it got*"])
    second = suite.runpytest_subprocess(*options, "--topup-chaos-seed", "2")

    (kept,) = [file for file in (suite.path / "kept").rglob("*") if file.is_file() and b'"steps"' in file.read_bytes()]
    name = re.search(r'"name": "(explored-\w+)"', kept.read_text(encoding="utf-8"))
    assert name
    second.stdout.fnmatch_lines([f"*{name.group(1)}  A story that nobody wrote.*"])
