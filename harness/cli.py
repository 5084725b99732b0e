"""The command line. The roof: the one module that may know everything by name."""

import asyncio
import os
import secrets
import shlex
import signal
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from importlib.metadata import version as installed_version
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer
from rich.console import Console

import harness.faults
import harness.invariants
import scenarios
import scenarios.flows
import scenarios.meetings
from harness.engines.explore.engine import Explore, explore_side_by_side
from harness.engines.explore.engine import explore as explore_plans
from harness.engines.explore.kept import Kept
from harness.engines.explore.told import Told
from harness.engines.explore.writing import as_scenario, as_test
from harness.engines.fuzz.cassette import BadCassette
from harness.engines.fuzz.guard import Forbidden
from harness.engines.interleave import Interleave
from harness.engines.load import load_plan
from harness.engines.measure import KINDS
from harness.engines.shrink import TOO_RARE, Shrink, Shrunk, choose
from harness.engines.shrink import shrink as shrink_plan
from harness.engines.side_by_side import carry_out_side_by_side
from harness.engines.suite import NAME, RUNS, Job, Order, Progress, begin, carry_out_all, program, today
from harness.engines.sweep import FAILURES, LINKS, Hit, Shard, Sweep
from harness.engines.sweep_pairs import BUDGET, Pairs
from harness.faults import FAULTS, makes_weather
from harness.flow import FLOWS
from harness.gate.profile import ProfileError
from harness.history import HistoryError
from harness.judge import judge as judge_history
from harness.judge import plan_event, status_of
from harness.meeting import MEETINGS
from harness.meeting import Order as Turns
from harness.plan import PlanError
from harness.registry import UnknownName
from harness.registry import load as load_all
from harness.run import Recorded, histories, recorded
from harness.scenario import SCENARIOS
from harness.shorter import weight
from harness.stack import StackError
from harness.stacks.ports import free_port
from harness.stacks.postgres_files import PostgresError
from harness.stacks.processes import processes
from harness.stacks.proxies import Refused, ToxicError
from harness.target import TargetError
from harness.target import read as read_target
from harness.verdict import INVARIANTS, Status
from harness.weather import weather_panel


class UsageError(Exception):
    """Wrong usage; the message says what to do instead."""


HOLDS, BROKEN, USAGE, UNKNOWN, CRASHED, INTERRUPTED = 0, 1, 2, 3, 70, 130
KNOWN = (
    BadCassette,
    Forbidden,
    UsageError,
    ProfileError,
    PlanError,
    TargetError,
    HistoryError,
    UnknownName,
    StackError,
    PostgresError,
    Refused,
    ToxicError,
)
EXIT = {Status.HOLDS: HOLDS, Status.BROKEN: BROKEN, Status.UNKNOWN: UNKNOWN}
WORKERS = 4 * (os.cpu_count() or 1)
EXPLORERS = 2 * (os.cpu_count() or 1)
REFERENCE = Path(__file__).parent.parent / "reference_impl" / "target.toml"

app = typer.Typer(
    name="topup-chaos",
    epilog="Exit codes: 0 holds · 1 broken · 2 wrong usage · 3 unknown · 70 the harness itself crashed.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
)

Seed = Annotated[
    int | None, typer.Option(help="What every random choice is drawn from. Drawn and printed when left out.")
]
Target = Annotated[
    Path, typer.Option(help="The service to break: its target.toml.", show_default="the reference service")
]
Mutant = Annotated[str | None, typer.Option(help="Run the service with this planted bug of its own instead.")]
Dialects = Annotated[
    list[str] | None,
    typer.Option(
        "--dialect",
        help="Callbacks in this dialect, in the place of the target's; named several times, everything in each of them.",
    ),
]
Out = Annotated[Path, typer.Option(help="Where the folder of this command is made.")]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(Console(), f"{NAME} {installed_version(NAME)}")
        raise typer.Exit(HOLDS)


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
]


@app.callback()
def topup_chaos(version: Version = False) -> None:
    """Break a top-up service on purpose, and prove from three books that no credit is doubled, lost or forged."""


@app.command(
    epilog="Examples: topup-chaos run · topup-chaos run duplicate-callbacks --seed 7 --mutant credits-every-delivery"
)
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[SCENARIO]...", help="All of them when left out.")
    ] = None,
    seed: Seed = None,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
    time_budget: Annotated[
        float | None,
        typer.Option(help="Begin no further scenario after so many seconds; which come first, the seed draws."),
    ] = None,
    dialect: Dialects = None,
) -> None:
    """The default suite, or the scenarios named: does the service survive the stories everyone should know?"""
    seed = _seed(seed)
    chosen = [SCENARIOS[name] for name in dict.fromkeys(names or SCENARIOS)]
    if time_budget is not None:
        # else it would be the end of the alphabet that is never run, in any night of any pipeline
        Random(seed).shuffle(chosen)
    options = _options(seed=seed, target=target, mutant=mutant)
    jobs = [
        Job(
            each.plan(seed),
            f"{program()} run {each.name}{options}{_speaking(each_dialect)}",
            _mutant(mutant, target),
            each_dialect,
        )
        for each_dialect in _dialects(dialect)
        for each in chosen
    ]
    again = " ".join([program(), "run", *(names or [])]) + options + _speaking(*(dialect or ()))
    name = chosen[0].name if len(chosen) == 1 else "suite"
    order = Order(name=name, jobs=jobs, target=target, seed=seed, again=again, out=out, time_budget_s=time_budget)
    raise typer.Exit(_carry_out(order))


@app.command(
    epilog="Examples: topup-chaos sweep top-up-paid · topup-chaos sweep --link db --fault cut-before --shard 1/4"
)
def sweep(
    names: Annotated[list[str] | None, typer.Argument(metavar="[FLOW]...", help="All of them when left out.")] = None,
    link: Annotated[list[str] | None, typer.Option(help=f"Only this link: {', '.join(LINKS)}.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help=f"Only this fault: {', '.join(FAILURES)}.")] = None,
    crossing: Annotated[
        str | None, typer.Option(help='Only "db COMMIT 2", as on the map; or every "db COMMIT".')
    ] = None,
    shard: Annotated[str, typer.Option(metavar="I/N", help="The I-th of N parts, for several machines.")] = "1/1",
    pairs: Annotated[
        bool, typer.Option("--pairs", help="Two failures in a run: the second hits what came after the first.")
    ] = False,
    budget: Annotated[int, typer.Option(min=2, help="With --pairs, at most so many plans.")] = BUDGET,
    second: Annotated[
        str | None, typer.Option(help='After the failure that is named, this one: "hook POST /callbacks 2, cut-after".')
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many stacks side by side.")] = WORKERS,
    allow_unreached: Annotated[bool, typer.Option(help="Exit 0 though some messages did not come again.")] = False,
    time_budget: Annotated[float | None, typer.Option(help="Begin no further plan after so many seconds.")] = None,
    seed: Seed = None,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
) -> None:
    """Every single failure, everywhere: each message of a flow, broken in every way, each in a plan of its own."""
    from reports.sweep_map import only_unreached, text
    from reports.terminal import Live

    seed = _seed(seed)
    asked = Sweep(
        flows=[FLOWS[name] for name in dict.fromkeys(names or FLOWS)],
        seed=seed,
        options=_options(seed=seed, target=target, mutant=mutant),
        mutant=_mutant(mutant, target),
        links=_among("link", link, LINKS),
        failures=_among("fault", fault, tuple(FAILURES)),
        crossing=crossing,
        shard=_shard(shard),
    )
    again = " ".join([program(), "sweep", *(names or []), *asked.narrowed()])
    makers: list[Callable[[Sequence[Any]], Sequence[Job]]] = [asked.jobs]
    if pairs:
        makers = [(two := Pairs(asked, budget)).firsts, two.seconds]
        again += f" --pairs --budget {budget}"
    elif second is not None:
        makers = [lambda runs: [asked.job(replace(cell, second=_hit(second))) for cell in asked.all_cells(runs)]]
        again += f" --second {shlex.quote(second)}"
    recordings = asked.recordings()
    console = Console()
    say(console, f"seed {seed} · {len(recordings)} calm recordings first")
    with Live("sweep", total=len(recordings), console=console, terse=True) as live:

        def made_of(runs: Sequence[Any]) -> Sequence[Job]:
            if not makers:
                return []  # all that came of the recordings is done
            jobs = makers.pop(0)(runs)
            if not jobs:
                raise UsageError("there is nothing to break: no message that was recorded is what was asked for")
            live.expects(len(runs) + len(jobs))
            say(console, f"{len(jobs)} plans came of them")
            return jobs

        order = Order(
            name="sweep",
            jobs=recordings,
            target=target,
            seed=seed,
            again=again + asked.options,
            out=out,
            time_budget_s=time_budget,
            then=made_of,
            weather=any(makes_weather(job.plan) for job in recordings),
            workers=workers,
        )
        interrupted, progress = work(order, live)

    def show(suite: Any) -> None:
        console.print(text(suite), soft_wrap=True)
        if suite.runs:
            say(console, f"{len(suite.runs) / progress.spent['runs']:.2f} plans a second\n")

    code = _conclude(order, interrupted, progress, console, show)
    forgiven = code == UNKNOWN and allow_unreached and only_unreached(progress.suite(order))
    raise typer.Exit(HOLDS if forgiven else code)


@app.command(
    epilog="Examples: topup-chaos interleave · topup-chaos interleave duplicate-callbacks --mutant checks-then-acts"
)
def interleave(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[MEETING]...", help="All of them when left out.")
    ] = None,
    preemptions: Annotated[
        int | None,
        typer.Option(min=0, help="Leave a request that could go on at most so often. Any number when left out."),
    ] = None,
    order: Annotated[
        str | None, typer.Option(help='Only this order: whose turn it is, as in "1 1 2 1"; then as it comes.')
    ] = None,
    seed: Seed = None,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
    time_budget: Annotated[float | None, typer.Option(help="Begin no further plan after so many seconds.")] = None,
) -> None:
    """Every order in which the database statements of concurrent requests can meet: is there a race?"""
    from reports.orders_table import searches, text
    from reports.terminal import Live

    seed = _seed(seed)
    options = _options(seed=seed, target=target, mutant=mutant)
    bounds = "" if preemptions is None else f" --preemptions {preemptions}"

    def again(meeting: str, turns: str) -> str:
        only = f" --order {shlex.quote(turns)}" if turns else bounds
        return f"{program()} interleave {meeting}{only}{options}"

    asked = Interleave(
        meetings=[MEETINGS[name] for name in dict.fromkeys(names or MEETINGS)],
        seed=seed,
        again=again,
        mutant=_mutant(mutant, target),
        bound=preemptions,
        only=_turns(order),
    )
    jobs = asked.first()
    console = Console()
    say(console, f"seed {seed} · {len(asked.meetings)} meetings")
    with Live("interleave", total=None, console=console, terse=True) as live:
        whole = Order(
            name="interleave",
            jobs=jobs,
            target=target,
            seed=seed,
            again=" ".join([program(), "interleave", *(names or [])]) + bounds + options,
            out=out,
            time_budget_s=time_budget,
            weather=any(makes_weather(job.plan) for job in jobs),
            then=asked.further,
            unfinished=asked.unfinished,
            searched=lambda: [" ".join(line.plain.split()) for line in searches(asked.searches)],
        )
        interrupted, progress = work(whole, live)

    def show(suite: Any) -> None:
        console.print(text(asked, suite), soft_wrap=True)

    raise typer.Exit(_conclude(whole, interrupted, progress, console, show, but=asked.retold()))


@app.command(epilog="Examples: topup-chaos explore --time 600 · topup-chaos explore --examples 50 --seed 7")
def explore(
    time: Annotated[float | None, typer.Option(min=1, help="Begin no further story after so many seconds.")] = None,
    examples: Annotated[int | None, typer.Option(min=1, help="Tell so many stories at most.")] = None,
    seed: Seed = None,
    target: Target = REFERENCE,
    dialect: Annotated[
        str | None, typer.Option(help="Callbacks in this dialect, in the place of the target's.")
    ] = None,
    mutant: Mutant = None,
    out: Out = RUNS,
    kept: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            help="What was found and kept in this folder is told first. The cache's, where neither this nor --seed is given.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many stacks side by side.")] = EXPLORERS,
    shorten: Annotated[float, typer.Option(min=0, help="Shorten what was found for so many seconds.")] = 120.0,
    scenario_file: Annotated[
        Path | None, typer.Option("--as-scenario", help="Write the shortest plan as a file for scenarios/.")
    ] = None,
    test_file: Annotated[
        Path | None, typer.Option("--as-test", help="Write the shortest plan as a pytest test.")
    ] = None,
) -> None:
    """Stories that nobody wrote, drawn by Hypothesis until one is broken or the budget is spent; 60 s when none is given."""
    from reports.terminal import Live

    for path in filter(None, (scenario_file, test_file)):
        if path.suffix != ".py" or not path.stem.isidentifier():
            raise UsageError(f"{path} is to be a Python file, named like a function: a_story.py")
    if time is None and examples is None:
        time = 60.0
    reuse = kept is not None or seed is None  # a seed tells the same stories each time
    seed, chosen = _seed(seed), _mutant(mutant, target)
    [speaks] = _dialects([dialect] if dialect else None)
    name = read_target(target).speaking(speaks).name  # before anything is made
    budget = "".join(f" --{name} {at_most:g}" for name, at_most in (("time", time), ("examples", examples)) if at_most)
    where = f" --kept {shlex.quote(str(kept))}" if kept else ""
    again = f"{program()} explore{budget}{_options(seed=seed, target=target, mutant=mutant)}{_speaking(speaks)}{where}"
    order = Order(name="explore", jobs=[], target=target, seed=seed, again=again, out=out, drawn=True, workers=workers)
    progress, console = begin(order), Console()
    folder = shlex.quote(os.path.relpath(progress.folder))
    order = replace(order, searched=lambda: Told.of(progress.runs).lines())
    say(console, f"seed {seed} · until a story is broken{budget.replace(' --', ', at most ')}")
    with Live("explore", total=examples, console=console, terse=True) as live:
        asked = Explore(
            order=order,
            mutant=chosen,
            dialect=speaks,
            again=lambda plan: f"{program()} replay {folder} {plan.name}{_options(target=target)}",
            kept=Kept(kept, name, chosen, speaks),
            reuse=reuse,
            examples=examples,
            time_s=time,
            found=lambda: _write_reports(progress.suite(replace(order, jobs=[Job(r.plan, "") for r in progress.runs]))),
        )
        if workers > 1:
            interrupted = explore_side_by_side(asked, progress, live)
        else:
            interrupted = asyncio.run(_until_interrupted(lambda: explore_plans(asked, progress, live)))
    done = replace(order, jobs=[Job(run.plan, "") for run in progress.runs])

    def show(suite: Any) -> None:
        for line in suite.searched:
            say(console, line)

    idle = [run.plan.name for run in progress.runs if run.unproved]
    code = _conclude(done, interrupted, progress, console, show, but=idle)
    if code == BROKEN and (shorten or scenario_file or test_file):
        found, by = choose(recorded(progress.folder), None, None)
        plan, stopped = _shortest(found, by, target, chosen, out, shorten, console)
        for file in filter(None, (scenario_file, test_file)):
            story = replace(plan, story=f"Told by Hypothesis, and made as short as it gets: {by} was broken.")
            made = as_scenario(story, file.stem) if file == scenario_file else as_test(story, target, chosen, file.stem)
            file.write_text(made, encoding="utf-8")
            say(console, f"written: {file}")
        raise typer.Exit(INTERRUPTED if stopped else BROKEN)
    raise typer.Exit(code)


def _shortest(
    found: Recorded, by: str, target: Path, mutant: str | None, out: Path, budget_s: float, console: Console
) -> tuple[Any, bool]:
    """Replay what was found, and make it shorter; the shortest plan, and whether somebody interrupted."""
    order = Order(
        name="shrink", jobs=[Job(found.plan, "", mutant)], target=target, seed=found.plan.seed, again="", out=out
    )
    progress, shrunk = begin(order), Shrunk(found.plan)
    again = f"{program()} replay {shlex.quote(os.path.relpath(progress.folder))} --times 10{_options(target=target)}"
    wanted = Shrink(
        plan=found.plan,
        promise=by,
        target=target,
        mutant=mutant,
        dialect=found.dialect,
        again=again,
        time_budget_s=budget_s,
    )

    def tell(so_far: Shrunk) -> None:
        if so_far.plan.steps == found.plan.steps:
            broken, of = so_far.times
            say(console, f"seen in {broken} of {of} replays; what was seen once happened")

    interrupted = asyncio.run(_until_interrupted(lambda: shrink_plan(wanted, progress, shrunk, tell)))
    _shortened(console, replace(order, again=again), progress, shrunk, interrupted)
    return shrunk.plan, interrupted


@app.command(epilog="Example: topup-chaos replay reports/runs/latest --times 10")
def replay(
    recorded_run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder under reports/runs, or a run.json.")],
    name: Annotated[str | None, typer.Argument(metavar="[PLAN]", help="Only this plan of it.")] = None,
    times: Annotated[int, typer.Option(min=1, help="How often.")] = 1,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
) -> None:
    """The same plans again, on the same service (or on a mutant); says how often the verdict repeats."""
    earlier = _of_target(target, _named(recorded(recorded_run), name))
    options = (f" {shlex.quote(name)}" if name else "") + (f" --times {times}" if times > 1 else "")
    lies = Path(os.path.relpath(recorded_run.resolve()))  # `latest` will soon mean another run
    again = f"{program()} replay {shlex.quote(str(lies))}{options}{_options(target=target, mutant=mutant)}"
    # One stack for each dialect and one service start for each mutant, however the runs were ordered.
    asked = sorted(
        (each for each in earlier for _ in range(times)), key=lambda each: (each.dialect or "", each.mutant or "")
    )
    jobs = [Job(each.plan, again, _mutant(mutant or each.mutant, target), each.dialect) for each in asked]
    seed = earlier[0].plan.seed if earlier else 0
    order = Order(name="replay", jobs=jobs, target=target, seed=seed, again=again, out=out)

    def repeats(runs: Sequence[Any]) -> str:
        same = sum(run.status.word == each.status for run, each in zip(runs, asked, strict=False))
        return f"the verdict repeated in {same} of {len(runs)} runs"

    raise typer.Exit(_carry_out(order, repeats))


@app.command(epilog="Examples: topup-chaos shrink reports/runs/latest · topup-chaos shrink RUN --tries 20 --needed 3")
def shrink(
    recorded_run: Annotated[Path, typer.Argument(metavar="RUN", help="A folder under reports/runs, or a run.json.")],
    name: Annotated[
        str | None, typer.Argument(metavar="[PLAN]", help="Which broken plan of it; the first when left out.")
    ] = None,
    promise: Annotated[str | None, typer.Option(help="Which of the promises that it broke must stay broken.")] = None,
    tries: Annotated[int, typer.Option(min=1, help="How often a plan is tried before it counts as broken.")] = 5,
    needed: Annotated[
        int | None,
        typer.Option(min=1, help="In how many of them it must be broken; as often as the plan itself when left out."),
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Make no more tries than this, of all plans together.")] = 600,
    time_budget: Annotated[float, typer.Option(help="Try nothing more after so many seconds.")] = 300.0,
    target: Target = REFERENCE,
    out: Out = RUNS,
) -> None:
    """The shortest plan that is still broken: leaves out of a recorded plan whatever it does not need."""
    from reports.words import count

    if needed is not None and needed > tries:
        raise UsageError(f"--needed {needed} cannot be met in --tries {tries}")
    chosen, by = choose(_of_target(target, recorded(recorded_run)), name, promise)
    mutant = _mutant(chosen.mutant, target)
    job = Job(chosen.plan, "", mutant)
    order = Order(name="shrink", jobs=[job], target=target, seed=chosen.plan.seed, again="", out=out)
    progress = begin(order)
    lies = shlex.quote(os.path.relpath(progress.folder))
    again = f"{program()} replay {lies} --times 10{_options(target=target)}"
    wanted = Shrink(
        plan=chosen.plan,
        promise=by,
        target=target,
        mutant=mutant,
        dialect=chosen.dialect,
        again=again,
        needed=needed,
        tries=tries,
        tries_max=most,
        time_budget_s=time_budget,
    )
    console, shrunk = Console(), Shrunk(chosen.plan)
    size = weight(chosen.plan)
    say(console, f"{chosen.plan.name}, by {by}: {count(size.operations, 'operation')} in {count(size.steps, 'step')}")

    def tell(so_far: Shrunk) -> None:
        size, (broken, of) = so_far.weight, so_far.times
        left = f"{count(size.operations, 'operation')} in {count(size.steps, 'step')}"
        say(console, f"  {left:<27} broken in {broken} of {of}   (try {so_far.tried})")
        if so_far.plan.steps == chosen.plan.steps and broken >= so_far.needed > 0:
            say(console, f"  a shorter plan counts when it is broken in {so_far.needed} of at most {tries} tries")

    interrupted = asyncio.run(_until_interrupted(lambda: shrink_plan(wanted, progress, shrunk, tell)))
    raise typer.Exit(_shortened(console, replace(order, again=again), progress, shrunk, interrupted))


@app.command(epilog="Example: topup-chaos judge reports/runs/latest/history.jsonl")
def judge(history: Annotated[Path, typer.Argument(help="A history.jsonl, or the folder that holds it.")]) -> None:
    """Verdicts from a recorded history alone: nothing is started."""
    console = Console()
    worst = Status.HOLDS
    if not history.exists():
        raise UsageError(f"{history} does not exist: name a history.jsonl, or a folder under reports/runs/")
    found = histories(history)
    if not found:
        raise UsageError(f"{history} holds no events: it was not written to the end of its first plan")
    for each in found:
        verdicts = judge_history(each, INVARIANTS)
        status = status_of(verdicts)
        worst = max(worst, status)
        say(console, f"{status.word:<8} {plan_event(each)['plan']['name']}")
        for verdict in verdicts:
            if verdict.status is Status.BROKEN:
                says = "; ".join(violation.says for violation in verdict.violations)
                say(console, f"           {verdict.invariant}: {says}")
            elif verdict.status is Status.UNKNOWN and verdict.weighs:
                say(console, f"           {verdict.invariant}: {verdict.because}")
    raise typer.Exit(EXIT[worst])


@app.command(
    epilog="Examples: topup-chaos mutants --seed 1 · topup-chaos mutants --engine suite --engine explore --budget 30"
)
def mutants(
    names: Annotated[list[str] | None, typer.Argument(metavar="[MUTANT]...", help="All of them when left out.")] = None,
    seed: Seed = None,
    out: Out = RUNS,
    write: Annotated[bool, typer.Option(help="Write reports/track_record.md when all were run.")] = True,
    engine: Annotated[
        list[str] | None,
        typer.Option(help=f"Measure how fast this one catches them, and keep that: {', '.join(KINDS)}."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="With --engine: so many trials of each, by seeds in a row.")] = 1,
    budget: Annotated[float, typer.Option(min=1, help="With --engine: the seconds of one trial.")] = 30.0,
    workers: Annotated[int, typer.Option(min=1, help="How many stacks side by side.")] = 1,
) -> None:
    """The track record: which planted bug is caught where, by what. Exits 0 only when all are, as claimed."""
    from harness.engines.track_record import TrackRecord, track_record_plans
    from harness.measuring import PAGE, keep_claims
    from reference_impl.mutants import by_theme, catalogue

    seed = _seed(seed)
    known = catalogue()
    chosen = [known[name] for name in (names or known)]
    folder = REFERENCE.parent.parent / "reports"
    if engine:
        raise typer.Exit(_measure(chosen, engine, range(seed, seed + seeds), budget, workers, folder))
    jobs = track_record_plans(chosen, seed)
    again = " ".join([program(), "mutants", *(names or [])]) + _options(seed=seed)
    order = Order(name="mutants", jobs=jobs, target=REFERENCE, seed=seed, again=again, out=out, workers=workers)
    console = Console()
    result = TrackRecord(chosen)
    interrupted, progress = work(order, result.watch(console))
    result.print(console)
    if write and not names and not interrupted:
        (folder / PAGE).write_text(result.markdown(), encoding="utf-8")
        keep_claims(chosen, result.runs, by_theme(), folder, today())
        say(console, f"written: {folder / PAGE}")
    _write_reports(progress.suite(order))
    raise typer.Exit(INTERRUPTED if interrupted else HOLDS if result.as_claimed else BROKEN)


def _measure(
    chosen: Sequence[Any], engine: Sequence[str], seeds: range, budget: float, workers: int, folder: Path
) -> int:
    """Let engines loose on mutants; 0 when every trial came to its end, whatever came of it."""
    from harness.engines.power import Budget
    from harness.measuring import measure_power
    from reference_impl.mutants import by_theme

    for name in engine:
        if name not in KINDS:
            raise UsageError(f"there is no engine {name!r}: there are {', '.join(KINDS)}")
    failed = measure_power(
        chosen,
        by_theme(),
        engines=[name for name in KINDS if name in engine],
        seeds=seeds,
        budget=Budget(target=REFERENCE, seconds=budget),
        workers=workers,
        folder=folder,
        today=today(),
        ready=load_everything,
        console=Console(),
    )
    return UNKNOWN if failed else HOLDS


@app.command(epilog="Example: topup-chaos load --users 50 --time 60")
def load(
    users: Annotated[int, typer.Option(min=1, help="Payers at once.")] = 20,
    spawn_rate: Annotated[float, typer.Option(min=0.1, help="Payers that begin in a second.")] = 10.0,
    time: Annotated[int, typer.Option(min=5, help="How long, in seconds.")] = 20,
    seed: Seed = None,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
) -> None:
    """Locust puts concurrent payers on the stack while the links have weather; then every payment is judged."""
    seed = _seed(seed)
    options = (
        f" --users {users} --spawn-rate {spawn_rate:g} --time {time}{_options(seed=seed, target=target, mutant=mutant)}"
    )
    again = f"{program()} load{options}"
    jobs = [Job(load_plan(seed, users, spawn_rate, time), again, _mutant(mutant, target))]
    order = Order(name="load", jobs=jobs, target=target, seed=seed, again=again, out=out, named=False)

    def statistics(runs: Sequence[Any]) -> str:
        said = [event["summary"].partition("Type ") for run in runs for event in run.history.of("load")]
        return "\n".join(f"{head}{table}" for _, head, table in said)

    raise typer.Exit(_carry_out(order, statistics))


@app.command(
    epilog="Examples: topup-chaos fuzz --mutant accepts-any-signature · "
    "topup-chaos fuzz http://127.0.0.1:8000/callbacks --dialect stripe --secret-env MY_SECRET"
)
def fuzz(
    url: Annotated[
        str | None, typer.Argument(help="A receiver that is up; without one, the target's is started.")
    ] = None,
    dialect: Annotated[str | None, typer.Option(help="What it speaks, in the place of the target's.")] = None,
    secret_env: Annotated[
        str | None,
        typer.Option(help="The variable that holds the key of a receiver that is up, as its provider signs."),
    ] = None,
    claim: Annotated[
        list[str] | None, typer.Option(help="What a receiver that is up knows of a payment: reference=order-7.")
    ] = None,
    attack: Annotated[
        list[str] | None, typer.Option(help="Only this one, or these: forged/unsigned, money, generated/http.")
    ] = None,
    generated: Annotated[int, typer.Option(min=0, help="How many are drawn beside the catalogue.")] = 1000,
    time_budget: Annotated[float | None, typer.Option(help="Send nothing more after so many seconds.")] = None,
    i_own: Annotated[list[str] | None, typer.Option(help="A host that is yours and says so itself.")] = None,
    status_only: Annotated[
        bool, typer.Option(help="Answers are enough: without this or --target, a URL that answers well is unknown.")
    ] = False,
    cassette: Annotated[
        Path | None, typer.Option(help="What `topup-chaos record` kept, sent again and varied.", exists=True)
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(help="A file or folder of the receiver's: how are signatures compared?", exists=True),
    ] = None,
    timing: Annotated[bool, typer.Option(help="Time some thousand refusals; read what it can miss first.")] = False,
    seed: Seed = None,
    target: Target = REFERENCE,
    mutant: Mutant = None,
    out: Out = RUNS,
) -> None:
    """Hostile callbacks: those that worked somewhere, and those that chance makes up. State is judged, and not status."""
    from harness.fuzzing import Typed, fuzz_as_typed

    _dialects([dialect] if dialect else None)
    typed = Typed(
        url,
        dialect,
        secret_env,
        claim or (),
        attack or (),
        generated,
        time_budget,
        i_own or (),
        target != REFERENCE,
        status_only,
        cassette,
        source or (),
        timing,
    )
    seed = _seed(seed)
    where = read_target(target).name if url is None else url
    options = _options(seed=seed, target=target, mutant=_mutant(mutant, target) if url is None else None)
    order = Order(name="fuzz", jobs=[], target=target, seed=seed, again=options, out=out, time_budget_s=time_budget)
    raise typer.Exit(fuzz_as_typed(typed, order, where, mutant, Console(), _until_interrupted))


@app.command(
    epilog="Examples: topup-chaos gate · topup-chaos gate --init · topup-chaos gate --profile release.toml --only suite · "
    "topup-chaos gate --accept 3f9c21ab --owner jo --reason 'fixed in 2.3' --until 2027-01-31"
)
def gate(
    profile: Annotated[
        Path | None,
        typer.Option(
            help="Where the release profile stands.", show_default="topup-chaos.toml, or pyproject.toml, or a default"
        ),
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="ENGINE", help="Only this engine of the profile.")] = None,
    time_budget: Annotated[
        float | None, typer.Option(min=45, help="Seconds for the whole, in the place of the profile's.")
    ] = None,
    baseline: Annotated[Path | None, typer.Option(help="The accepted findings, in the place of the profile's.")] = None,
    previous: Annotated[
        Path | None,
        typer.Option(help="An earlier gate to compare with: its folder or its gate.json; else the last one."),
    ] = None,
    seed: Seed = None,
    target: Annotated[
        Path | None, typer.Option(help="The service to break: its target.toml.", show_default="the profile's")
    ] = None,
    mutant: Mutant = None,
    out: Out = RUNS,
    init: Annotated[bool, typer.Option("--init", help="Write a commented profile, topup-chaos.toml, and end.")] = False,
    accept: Annotated[
        str | None,
        typer.Option(metavar="FINGERPRINT", help="Put a finding of the last gate into the baseline, and end."),
    ] = None,
    owner: Annotated[str | None, typer.Option(help="With --accept: who answers for it.")] = None,
    reason: Annotated[str | None, typer.Option(help="With --accept: why it may stand.")] = None,
    until: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="With --accept: the last day on which it does not count.")
    ] = None,
) -> None:
    """May this be released? Every engine of the profile within one time budget; what nobody accepted breaks it.

    Exits 0 when all holds, 1 when something is broken that is new, not accepted or no longer accepted, 3 when something
    was not shown: an engine without its turn, a promise that was nowhere put to the test.
    """
    from harness.gating import Typed, accept_as_typed, gate_as_typed, write_template

    console = Console()
    typed = Typed(
        profile=profile,
        target=target,
        reference=REFERENCE,
        mutant=mutant,
        seed=seed,
        time_budget_s=time_budget,
        baseline=baseline,
        previous=previous,
        only=only or (),
        out=out,
    )
    if accept is None and (owner or reason or until):
        raise UsageError("--owner, --reason and --until are about a finding: name it with --accept")
    if init:
        write_template(console)
        raise typer.Exit(HOLDS)
    if accept is not None:
        accept_as_typed(typed, accept, owner, reason, until, console)
        raise typer.Exit(HOLDS)
    _mutant(mutant, typed.read()[0].target or REFERENCE)
    raise typer.Exit(gate_as_typed(typed, _seed(None), console, _until_interrupted))


@app.command(epilog="Examples: topup-chaos guard · topup-chaos guard --target yours.toml")
def guard(
    target: Annotated[
        Path | None, typer.Option(help="A target.toml.", show_default="the profile's, or the reference service")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Where the release profile stands.", show_default="as for the gate")
    ] = None,
) -> None:
    """Which credentials, endpoints and databases a configuration points at; what is mixed, or looks like production, is refused.

    It reads the target and the environment that its service would inherit, starts nothing, and shows no secret. Exits 2 when
    something is refused, and names the field and the remedy. Every command that starts a stack does the same first.
    """
    from harness.gate.profile import read_profile
    from harness.gating import show_guard

    show_guard(target or read_profile(profile, Path())[0].target or REFERENCE, Console())


@app.command(
    epilog="Example: topup-chaos record http://127.0.0.1:8000/callbacks --dialect stripe --cassette real.jsonl --port 9000"
)
def record(
    url: Annotated[str, typer.Argument(help="The receiver that callbacks are passed on to.")],
    dialect: Annotated[str, typer.Option(help="What the provider speaks.")],
    cassette: Annotated[Path, typer.Option(help="The file to write.")],
    port: Annotated[int | None, typer.Option(help="Where to listen on 127.0.0.1; some free one if not said.")] = None,
    take_out: Annotated[
        list[str] | None, typer.Option(help="A field of the body to take out, beside the usual.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="End after so many.")] = 1000,
    time_budget: Annotated[float | None, typer.Option(help="End after so many seconds.")] = None,
    i_own: Annotated[list[str] | None, typer.Option(help="A host that is yours and says so itself.")] = None,
) -> None:
    """Real callbacks, passed on as they come and kept on a cassette for `fuzz --cassette`, without signatures and keys."""
    from harness.fuzzing import record_as_typed

    _dialects([dialect])
    chosen = port or free_port()
    raise typer.Exit(
        record_as_typed(
            url,
            dialect,
            cassette,
            chosen,
            take_out or (),
            most,
            time_budget,
            i_own or (),
            Console(),
            _until_interrupted,
        )
    )


@app.command(name="list")
def list_() -> None:
    """What there is: scenarios, flows, faults, invariants, mutants by what they do to people; each with its sentence."""
    from reference_impl.mutants import by_theme

    console = Console()
    kinds = {
        "scenarios": {name: each.story for name, each in SCENARIOS.items()},
        "flows": {name: each.story for name, each in FLOWS.items()},
        "meetings": {name: each.story for name, each in MEETINGS.items()},
        "faults": {name: each.effect for name, each in FAULTS.items()},
        "invariants": {name: each.promise for name, each in INVARIANTS.items()},
        **{f"mutants: {theme}": {each.name: each.lie for each in of} for theme, of in by_theme().items()},
    }
    for kind, sentences in kinds.items():
        console.print(f"[bold]{kind}[/bold]")
        for name, sentence in sentences.items():
            say(console, f"  {name:<28} {sentence}")


@app.command()
def doctor(
    install: Annotated[
        bool, typer.Option(help="Also prepare what can be prepared, so that later runs need no network.")
    ] = False,
) -> None:
    """What the stack would be made of on this machine, and why."""
    from harness.doctor import examine

    raise typer.Exit(asyncio.run(examine(Console(), install=install)))


@app.command()
def up(target: Target = REFERENCE, mutant: Mutant = None, out: Out = RUNS) -> None:
    """The stack, left running until Ctrl-C, to try things by hand."""
    console = Console()

    async def stay() -> None:
        port = free_port()
        panel = f"http://127.0.0.1:{port}/"
        starting = processes(
            target, out / "up" / "logs", Random(_seed(None)), mutant=_mutant(mutant, target), panel_url=panel
        )
        async with starting as stack, weather_panel(stack.links, port, f"{stack.provider_url}/"):
            for name, link in stack.links.items():
                say(console, f"  {name:<9} {'postgresql' if name == 'db' else 'http'}://{link.url}")
            say(console, f"  page      {stack.provider_url}/")
            say(console, f"  provider  {stack.provider_url}/control/openapi.json")
            say(console, f"  weather   {panel}")
            say(console, f"  proxies   {stack.proxies}")
            say(console, f"  logs      {stack.directory}\nCtrl-C ends it.")
            await asyncio.Event().wait()

    asyncio.run(_until_interrupted(stay))


def say(console: Console, line: str) -> None:
    """One line, as it is: not wrapped, not coloured by guesswork."""
    console.print(line, highlight=False, markup=False, soft_wrap=True)


def _carry_out(order: Order, remark: Callable[[Sequence[Any]], str] | None = None) -> int:
    """Carry out an order in front of somebody who watches; write its reports; the exit code."""
    from reports.terminal import Live

    console = Console()
    say(console, f"seed {order.seed} · {len(order.jobs)} to run")
    several = len({job.dialect for job in order.jobs}) > 1
    with Live(order.name, total=len(order.jobs), console=console, by_dialect=several) as live:
        interrupted, progress = work(order, live)

    def show(suite: Any) -> None:
        if remark:
            say(console, remark(suite.runs))

    return _conclude(order, interrupted, progress, console, show)


def _shortened(console: Console, order: Order, progress: Progress, shrunk: Shrunk, interrupted: bool) -> int:
    """Tell the story that is left, and write its report; the exit code, which is that of a finding."""
    from reports.steps import told

    broken, of = shrunk.times
    if shrunk.ended == TOO_RARE:
        say(console, f"broken in {broken} of {of}: too rare to be made shorter; ask for less with --needed and --tries")
        say(console, "It remains a finding: what was seen once happened.")
    for line in () if shrunk.run is None else told(shrunk.plan):
        say(console, f"  {line}")
    if shrunk.run is None:
        return INTERRUPTED if interrupted else BROKEN
    if shrunk.ended and shrunk.ended != TOO_RARE:
        say(console, f"perhaps it can be made shorter still: {shrunk.ended}")
    return _conclude(order, interrupted, progress, console, lambda _: None)


def _conclude(
    order: Order,
    interrupted: bool,
    progress: Any,
    console: Console,
    show: Callable[[Any], None],
    but: Collection[str] = (),
) -> int:
    """Write the reports of what was carried out, tell of it, *show* what the command is about; the exit code.

    The terminal says no more of the runs that *but* names than that they did not hold: others tell their story.
    """
    from reports.terminal import print_suite

    suite = progress.suite(order)
    for line in (*progress.remarks, *(f"left out: {why}" for why in suite.left_out)):
        say(console, line)
    _write_reports(suite)
    show(suite)
    print_suite(suite, console, spent=progress.spent, but=but)
    if suite.left:
        why = "interrupted" if interrupted else "the time budget was spent"
        say(
            console,
            f"{why}: {suite.left} of {suite.left + len(suite.runs)} were not run, so the whole is unknown at best",
        )
    return INTERRUPTED if interrupted else EXIT[suite.status]


def work(order: Order, watcher: Any) -> tuple[bool, Any]:
    """Carry out an order; whether it was interrupted, and what is done."""
    read_target(order.target)  # before anything is made
    progress = begin(order)
    if order.workers > 1:
        return carry_out_side_by_side(order, progress, watcher), progress
    interrupted = asyncio.run(_until_interrupted(lambda: carry_out_all(order, progress, watcher)))
    return interrupted, progress


async def _until_interrupted(work: Callable[[], Any]) -> bool:
    """Await *work*; Ctrl-C and SIGTERM cancel it, so that all it opened is closed. True when one of them came."""
    task = asyncio.ensure_future(work())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return True
    return False


def _write_reports(suite: Any) -> None:
    from reports import write_all

    write_all(suite)


def _seed(seed: int | None) -> int:
    return secrets.randbelow(1_000_000) if seed is None else seed


def _among(kind: str, asked: Sequence[str] | None, there_are: Sequence[str]) -> Sequence[str]:
    """What was asked for, in the order of what there is; all of it when nothing was."""
    for name in asked or ():
        if name not in there_are:
            raise UsageError(f"there is no {kind} {name!r} to sweep: there are {', '.join(there_are)}")
    return [name for name in there_are if not asked or name in asked]


def _hit(text: str) -> Hit:
    try:
        return Hit.read(text)
    except ValueError as error:
        raise UsageError(f"--second: {error}") from None


def _shard(text: str) -> Shard:
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of)):
        raise UsageError(f"--shard {text} is not a part of a whole: 1/4 is the first of four")
    return Shard(int(number), int(of))


def _turns(text: str | None) -> Turns | None:
    if text is None:
        return None
    if not text.split() or not all(word.isdecimal() for word in text.split()):
        raise UsageError(f"--order {text!r} is not an order: the numbers of requests, as in --order '1 1 2'")
    return Turns(tuple(map(int, text.split())))


def _mutant(name: str | None, target: Path) -> str | None:
    """The mutant's name, once it is known to exist: in the reference's catalogue, or in the target's own `mutants`."""
    if name is None:
        return None
    if target.resolve() != REFERENCE.resolve():
        return read_target(target).known_mutant(name)
    from reference_impl.mutants import catalogue

    catalogue()[name]
    return name


def _of_target(target: Path, earlier: Sequence[Recorded]) -> Sequence[Recorded]:
    """Runs that were recorded, once it is known that they were of this target."""
    name = read_target(target).name
    for each in earlier:
        if each.target != name:
            raise UsageError(
                f"{each.plan.name!r} was run on {each.target}, and {target} is {name}: name its own with --target"
            )
    return earlier


def _named(earlier: Sequence[Recorded], name: str | None) -> Sequence[Recorded]:
    """Those of the plan that is named; all where none is."""
    found = [each for each in earlier if name in (None, each.plan.name)]
    if not found and earlier:
        there_are = ", ".join(dict.fromkeys(each.plan.name for each in earlier))
        raise UsageError(f"no plan of these runs is named {name!r}: there are {there_are}")
    return found


def _dialects(names: Sequence[str] | None) -> Sequence[str | None]:
    """The dialects asked for, each once, known to exist; only None, which is the target's own, when none was."""
    from fake_provider.dialects import find

    for name in names or ():
        try:
            find(name)
        except LookupError as unknown:
            raise UsageError(str(unknown)) from None
    return list(dict.fromkeys(names or ())) or [None]


def _speaking(*dialects: str | None) -> str:
    return "".join(f" --dialect {name}" for name in dialects if name)


def _options(*, seed: int | None = None, target: Path = REFERENCE, mutant: str | None = None) -> str:
    """The options that a command needs to be the same again."""
    options = [] if seed is None else [f"--seed {seed}"]
    if target != REFERENCE:
        options.append(f"--target {shlex.quote(str(target))}")
    if mutant:
        options.append(f"--mutant {mutant}")
    return "".join(f" {option}" for option in options)


def load_everything() -> None:
    """Have every fault, invariant, scenario and flow register itself."""
    load_all(harness.faults)
    load_all(harness.invariants)
    load_all(scenarios, but=("locustfile", "flows", "meetings"))
    load_all(scenarios.flows)
    load_all(scenarios.meetings)


def main() -> None:
    """The entry point: known errors are one helpful line and exit code 2; what is left is a fault of ours, and 70."""
    load_everything()
    try:
        app()
    except KNOWN as error:
        sys.stderr.write(f"topup-chaos: {error.args[0] if error.args else error}\n")
        sys.exit(USAGE)
    except Exception:
        Console(stderr=True).print_exception(max_frames=12)
        sys.stderr.write("topup-chaos: the harness itself crashed; this says nothing about the service\n")
        sys.exit(CRASHED)


if __name__ == "__main__":
    main()
