"""What a person types and what a machine reads of it: names, messages, exit codes. No stack is started here."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import cli
from harness.engines import shrink, suite
from harness.engines.shrink import TOO_RARE
from harness.engines.suite import Job
from harness.engines.sweep import FAILURES
from harness.faults import FAULTS
from harness.flow import FLOWS
from harness.history import Event, History, write
from harness.plan import Begin, Plan, PlanError, encode
from harness.run import Run
from harness.run import recorded as read_runs
from harness.scenario import SCENARIOS
from harness.stacks.processes import StackError
from harness.verdict import INVARIANTS, Status, Verdict
from reference_impl.mutants import catalogue

COMMANDS = (
    "run",
    "replay",
    "judge",
    "mutants",
    "load",
    "list",
    "doctor",
    "up",
    "sweep",
    "shrink",
    "fuzz",
    "explore",
    "gate",
    "guard",
)

OTHER = ("--target", str(Path(__file__).parent.parent / "other_language" / "target.toml"))

Answer = tuple[int, str, str]
Type = Callable[..., Answer]


@pytest.fixture
def type_(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Type:
    """Types a command where nothing can be started: exit code, what was printed, and what was complained of."""

    def no_stack(*_: Any, **__: Any) -> Any:
        raise AssertionError("a stack was started")

    monkeypatch.setattr(suite, "processes", no_stack)
    monkeypatch.setattr(shrink, "processes", no_stack)
    monkeypatch.setattr(cli, "processes", no_stack)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.chdir(tmp_path)

    def type_(*words: str) -> Answer:
        monkeypatch.setattr("sys.argv", ["topup-chaos", *words])
        with pytest.raises(SystemExit) as end:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, printed.out, printed.err

    return type_


def carried_out(*statuses: Status) -> Callable[..., Any]:
    """In place of the executor: runs that ended like this."""

    async def carry_out_all(order: Any, progress: Any, watcher: Any) -> None:
        for job, status in zip(order.jobs, statuses, strict=False):
            plan = encode(job.plan)
            history = History((Event(at=1.0, actor="harness", kind="plan", facts={"plan": plan}),))
            verdict = Verdict("kept", "It is kept.", status, because="no reason")
            ran = Run(
                plan=job.plan,
                target="till",
                mutant=job.mutant,
                proxies="none",
                versions={},
                started=datetime.now(UTC),
                took_s=0.0,
                history=history,
                verdicts=(verdict,),
                payments=(),
                again=job.again,
            )
            progress.runs.append(ran)
            watcher.begins(job.plan.name)
            watcher.finished(ran)
            write(history, progress.folder / "history.jsonl")

    return carry_out_all


def breaks(error: BaseException) -> Callable[..., Any]:
    async def carry_out_all(*_: Any) -> None:
        raise error

    return carry_out_all


# Exit codes


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ([Status.HOLDS, Status.HOLDS], 0),
        ([Status.HOLDS, Status.BROKEN], 1),
        ([Status.BROKEN, Status.UNKNOWN], 1),
        ([Status.HOLDS, Status.UNKNOWN], 3),
        ([Status.HOLDS], 3),
        ([], 3),
    ],
    ids=["holds", "one broken", "broken outranks unknown", "one unknown", "one was not run", "none was run"],
)
def test_the_exit_code_is_the_worst_verdict(
    type_: Type, monkeypatch: pytest.MonkeyPatch, statuses: list[Status], code: int
) -> None:
    """What was not run is not known, so it is never green."""
    monkeypatch.setattr(cli, "carry_out_all", carried_out(*statuses))
    assert type_("run", "calm", "duplicate-callbacks", "--seed", "7")[0] == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PlanError("the plan is about nothing"), 2),
        (StackError("the service does not start"), 2),
        (RuntimeError("oops"), 70),
        (KeyError("balance_minor"), 70),
        (IndexError("list index out of range"), 70),
        (AssertionError("never"), 70),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_what_is_wrong_with_the_order_is_2_and_what_is_wrong_with_the_harness_70(
    type_: Type, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    """A crash of the harness must not look like somebody's typing error, nor like a verdict."""
    monkeypatch.setattr(cli, "carry_out_all", breaks(error))
    exit_code, _, complaint = type_("run", "calm")
    assert exit_code == code
    if code == 2:
        assert complaint == f"topup-chaos: {error}\n", "one line, no traceback"
    if code == 70:
        assert "the harness itself crashed" in complaint


# Wrong usage


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (
            ["run", "duplicate-calbacks"],
            "There is no scenario named 'duplicate-calbacks'. Did you mean 'duplicate-callbacks'?",
        ),
        (["run", "calm", "--mutant", "never-ask"], "Did you mean 'never-asks'?"),
        (["mutants", "never-ask"], "Did you mean 'never-asks'?"),
        (["run", "calm", *OTHER, "--mutant", "lost-credits"], "no mutant 'lost-credits': there are race, lost-credit"),
        (["sweep", *OTHER, "--mutant", "never-asks"], "no mutant 'never-asks': there are race, lost-credit"),
        (["run", "calm", "--target", "nowhere/target.toml"], "nowhere/target.toml does not exist"),
        (["sweep", "top-up-payed"], "There is no flow named 'top-up-payed'. Did you mean 'top-up-paid'?"),
        (["sweep", "--link", "hok"], "there is no link 'hok' to sweep: there are edge, api, hook, db"),
        (["sweep", "--fault", "cut"], "there is no fault 'cut' to sweep: there are cut-before, cut-after"),
        (["sweep", "--shard", "0/4"], "--shard 0/4 is not a part of a whole"),
        (["sweep", "--shard", "5/4"], "--shard 5/4 is not a part of a whole"),
        (["load", "--target", "nowhere/target.toml"], "nowhere/target.toml does not exist"),
        (["up", "--target", "nowhere/target.toml"], "nowhere/target.toml"),
        (["replay", "nowhere"], "nowhere"),
        (["explore", "--dialect", "klingon"], "klingon"),
        (["explore", "--as-test", "found.txt"], "found.txt is to be a Python file, named like a function"),
        (["shrink", "nowhere"], "nowhere"),
        (["shrink", "nowhere", "--tries", "2", "--needed", "3"], "--needed 3 cannot be met in --tries 2"),
        (["judge", "nowhere.jsonl"], "nowhere.jsonl does not exist"),
    ],
)
def test_a_name_that_there_is_not_is_2_with_the_nearest_one(
    type_: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: list[str], says: str
) -> None:
    """Before anything is started, and before anything is written."""
    if words[0] == "up":
        monkeypatch.undo()
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr("sys.argv", ["topup-chaos"])
    code, _, complaint = type_(*words)
    assert (code, complaint.count("\n")) == (2, 1)
    assert says in complaint
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", [["rum"], ["run", "--sed", "1"], ["run", "--seed", "x"], ["load", "--users", "0"]])
def test_options_that_there_are_not_are_2(type_: Type, words: list[str]) -> None:
    assert type_(*words)[0] == 2


def test_a_production_target_is_refused(type_: Type, tmp_path: Path) -> None:
    described = cli.REFERENCE.read_text().replace('environment = "chaos"', 'environment = "production-eu"')
    (tmp_path / "target.toml").write_text(described)
    code, _, complaint = type_("run", "calm", "--target", "target.toml")
    assert code == 2
    assert "looks like production" in complaint


# Judging what was recorded


def recorded(path: Path, *histories: list[Event]) -> str:
    write(History(tuple(event for history in histories for event in history)), path)
    return str(path)


def told(*more: tuple[str, dict[str, Any]], steps: tuple[Begin, ...] = (), audited: bool = True) -> list[Event]:
    plan = {"plan": encode(Plan("story", "A story.", 7, steps, ())), "unoffered": {}}
    events = [("plan", plan), *more, *([("audited", {})] if audited else [])]
    return [Event(at=float(at), actor="harness", kind=kind, facts=facts) for at, (kind, facts) in enumerate(events)]


CALM = told(("settled", {"reason": None, "took_s": 0.1}))
RESTLESS = told(("settled", {"reason": "1 callback held", "took_s": 30.0}))
UNAUDITED = told(audited=False)
IDLE = told(steps=(Begin("x1", "latency"),))


@pytest.mark.parametrize(
    ("histories", "code", "says"),
    [
        ([CALM], 0, "holds    story"),
        ([RESTLESS], 1, "still waiting for: 1 callback held"),
        ([UNAUDITED], 3, "the run ended before its audit"),
        ([IDLE], 3, "latency (x1) never ended"),
        ([CALM, UNAUDITED], 3, "books-are-read"),
        ([UNAUDITED, RESTLESS, CALM], 1, "settles-in-time"),
    ],
    ids=["holds", "broken", "not audited", "idle fault", "one of two unknown", "one of three broken"],
)
def test_judge_needs_a_history_and_nothing_else(
    type_: Type, tmp_path: Path, histories: list[list[Event]], code: int, says: str
) -> None:
    exit_code, printed, _ = type_("judge", recorded(tmp_path / "history.jsonl", *histories))
    assert exit_code == code
    assert says in printed
    assert type_("judge", str(tmp_path))[:2] == (code, printed), "the folder will do as well"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "holds no events"),
        ("not json\n", "history.jsonl:1"),
        ('{"at": 1, "actor": "client", "kind": "invoked"}\n', "not a plan"),
        ('{"at": 1, "actor": "harness", "kind": "plan"}\n', "plan"),
        ('{"at": 1, "actor": "harness", "kind": "plan", "plan": {"name": "story"}}\n', "story"),
    ],
    ids=["empty", "no JSON", "no plan first", "a plan event without its plan", "half a plan"],
)
def test_a_file_that_is_no_history_is_2(type_: Type, tmp_path: Path, text: str, says: str) -> None:
    """With file and line, or what is missing."""
    (tmp_path / "history.jsonl").write_text(text)
    code, _, complaint = type_("judge", "history.jsonl")
    assert (code, complaint.count("\n")) == (2, 1)
    assert says in complaint


# Help


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_what_it_is_for_and_shows_an_example(type_: Type, command: str) -> None:
    """An example for whatever takes an argument; and every name in an example exists."""
    code, printed, _ = type_(command, "--help")
    assert code == 0
    assert len(printed.split()) > 10
    examples = re.findall(r"topup-chaos (\w+)([^·│\n]*)", printed.partition("Example")[2])
    assert examples or command in ("list", "doctor", "up")
    for named, words in examples:
        assert named == command
        for word in re.findall(r"(?<= )[a-z]+-[a-z-]+", words):
            assert word in {*SCENARIOS, *FLOWS, *catalogue(), *FAILURES}


def test_help_lists_every_command_and_the_exit_codes(type_: Type) -> None:
    code, printed, _ = type_("--help")
    assert code == 0
    assert all(re.search(rf"\b{command}\b", printed) for command in COMMANDS)
    assert all(part in printed for part in ("0 holds", "1 broken", "2 wrong usage", "3 unknown", "70 the harness"))


def test_list_names_everything_with_its_sentence(type_: Type) -> None:
    code, printed, _ = type_("list")
    assert code == 0
    lines = {line.split()[0]: line for line in printed.splitlines() if line.startswith("  ")}
    for names in (SCENARIOS, FAULTS, INVARIANTS, catalogue()):
        for name in names:
            assert len(lines[name].split()) > 4, f"{name} has no sentence"


# Repeating


def test_a_run_prints_the_seed_it_drew_and_the_command_that_repeats_it(
    type_: Type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Typed again, it makes the same plans."""
    monkeypatch.setattr(cli, "carry_out_all", carried_out(Status.BROKEN))
    _, printed, _ = type_("run", "calm")
    found = re.search(r"seed (\d+)", printed)
    assert found
    assert re.search(rf"topup-chaos'? run calm --seed {found.group(1)}", printed)
    assert list((tmp_path / "reports" / "runs").glob("*-calm/run.json"))


def test_what_a_time_budget_leaves_out_is_another_part_for_another_seed(
    type_: Type, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipeline whose time is short would else never run the end of the alphabet."""
    orders: list[list[str]] = []

    async def note(order: Any, *_: Any) -> None:
        orders.append([job.plan.name for job in order.jobs])

    monkeypatch.setattr(cli, "carry_out_all", note)
    for words in (["--seed", "7"], ["--seed", "7"], ["--seed", "8"]):
        type_("run", "--time-budget", "9", *words)
    type_("run", "--seed", "7")
    first, again, other, whole = orders
    assert first == again != other
    assert first[: len(first) // 2] != whole[: len(whole) // 2]
    assert sorted(first) == sorted(other) == sorted(whole)
    assert whole == list(SCENARIOS)


@pytest.mark.parametrize("command", ["replay", "shrink"])
def test_runs_of_another_target_are_not_repeated_on_this_one(
    type_: Type, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """A verdict about one service says nothing of another; what was recorded here was of one called `till`."""
    monkeypatch.setattr(cli, "carry_out_all", carried_out(Status.BROKEN))
    type_("run", "calm")
    code, _, complaint = type_(command, "reports/runs/latest")
    assert code == 2
    assert "'calm' was run on till, and " in complaint
    assert "target.toml is reference: name its own with --target" in complaint


def test_one_plan_of_many_is_replayed_by_its_name(type_: Type, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that there is not is told with those that there are. What was recorded here was of a target called `till`."""
    monkeypatch.setattr(cli, "carry_out_all", carried_out(Status.BROKEN, Status.BROKEN))
    type_("run", "calm", "duplicate-callbacks")
    code, _, complaint = type_("replay", "reports/runs/latest", "clam")
    assert code == 2
    assert "named 'clam': there are calm, duplicate-callbacks" in complaint
    assert "'duplicate-callbacks' was run on till" in type_("replay", "reports/runs/latest", "duplicate-callbacks")[2]


# Making shorter


def shrinks(*, broken: int, ended: str = "", interrupted: bool = False) -> Callable[..., Any]:
    """In place of the shrinker: a plan without its second half, *broken* of three times."""

    async def shrink_plan(order: Any, progress: Any, shrunk: Any, tell: Any) -> None:
        if broken:
            shrunk.plan = replace(order.start, steps=order.plan.steps[: len(order.plan.steps) // 2])
            await carried_out(Status.BROKEN)(
                SimpleNamespace(jobs=[Job(shrunk.plan, order.again, order.mutant)]), progress, SimpleNamespace(**SILENT)
            )
            shrunk.run = progress.runs[-1]
        shrunk.times, shrunk.tried, shrunk.ended = (broken, 3), 3, ended
        tell(shrunk)
        if interrupted:
            raise asyncio.CancelledError

    return shrink_plan


SILENT = {"begins": lambda _: None, "finished": lambda _: None}


@pytest.fixture
def broken_run(type_: Type, monkeypatch: pytest.MonkeyPatch) -> str:
    """A recorded run of the reference that broke something."""
    monkeypatch.setattr(cli, "carry_out_all", carried_out(Status.BROKEN))
    type_("run", "calm", "--seed", "7")
    path = next(Path("reports/runs").glob("*-calm/run.json"))
    path.write_text(path.read_text().replace('"target": "till"', '"target": "reference"'))
    return str(path)


def test_shrink_tells_the_story_that_is_left_and_how_to_repeat_it(
    type_: Type, monkeypatch: pytest.MonkeyPatch, broken_run: str
) -> None:
    """And writes a report of it alone, from which `replay` reads the plan."""
    monkeypatch.setattr(cli, "shrink_plan", shrinks(broken=3))
    code, printed, _ = type_("shrink", broken_run)

    assert code == 1, "a finding remains one"
    assert "calm, by kept: " in printed
    assert "  a1: open account (customer " in printed
    found = re.search(r"again: +\S+ replay (\S+) --times 10", printed)
    assert found
    [left] = read_runs(Path(found.group(1)))
    assert (left.plan.name, left.plan.about, left.broken) == ("calm", ("kept",), ("kept",))
    assert "too rare" not in printed
    assert "shorter still" not in printed


@pytest.mark.parametrize(
    ("done", "code", "says"),
    [
        (shrinks(broken=0, ended=TOO_RARE), 1, "broken in 0 of 3: too rare to be made shorter"),
        (shrinks(broken=1, ended=TOO_RARE), 1, "broken in 1 of 3: too rare to be made shorter"),
        (shrinks(broken=3, ended="9 s were spent"), 1, "perhaps it can be made shorter still: 9 s were spent"),
        (shrinks(broken=3, ended="it was interrupted", interrupted=True), 130, "a1: open account"),
    ],
    ids=["never again", "too rare", "out of time", "interrupted"],
)
def test_what_could_not_be_made_shorter_to_the_end_is_said(
    type_: Type, monkeypatch: pytest.MonkeyPatch, broken_run: str, done: Callable[..., Any], code: int, says: str
) -> None:
    monkeypatch.setattr(cli, "shrink_plan", done)
    exit_code, printed, _ = type_("shrink", broken_run)

    assert exit_code == code
    assert says in printed
