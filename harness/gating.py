"""What `topup-chaos gate` and `guard` do, apart from reading what was typed: on the roof, beside the command line."""

import asyncio
import os
import shlex
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console

from harness.engines.suite import Order, begin, program
from harness.gate.baseline import Baseline, accept, chosen, read_baseline
from harness.gate.budget import REPORTS_S
from harness.gate.classing import classed
from harness.gate.profile import OWN, Profile, ProfileError, read_profile
from harness.gate.reading import service
from harness.gate.result import Result, State, Turn, last_record, read_record
from harness.gate.thresholds import not_shown
from harness.gate.turns import Wanted, take_turns
from harness.guard import inspect
from harness.target import read as read_target
from harness.verdict import Status
from reports.gate import write_gate
from reports.words import count, duration, plain

INTERRUPTED = 130
EXIT = {Status.HOLDS: 0, Status.BROKEN: 1, Status.UNKNOWN: 3}
SUMMARY = "GITHUB_STEP_SUMMARY"

UntilInterrupted = Callable[[Callable[[], Any]], Coroutine[Any, Any, bool]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Typed:
    """The options of the command, as they were typed; None is what the profile says."""

    profile: Path | None
    target: Path | None
    reference: Path
    mutant: str | None
    seed: int | None
    time_budget_s: float | None
    baseline: Path | None
    previous: Path | None
    only: Sequence[str]
    out: Path

    def read(self) -> tuple[Profile, Path | None]:
        """The profile with what was typed in the place of what stands in it, and its file."""
        profile, file = read_profile(self.profile, Path())
        typed: dict[str, Any] = {"target": self.target, "time_budget_s": self.time_budget_s, "baseline": self.baseline}
        said = {name: value for name, value in typed.items() if value is not None}
        return profile.model_copy(update=said).only(self.only), file

    def again(self, seed: int) -> str:
        options: dict[str, Any] = {
            "--profile": self.profile,
            "--target": self.target,
            "--mutant": self.mutant,
            "--time-budget": None if self.time_budget_s is None else f"{self.time_budget_s:g}",
            "--baseline": self.baseline,
        }
        words = [str(word) for name, value in options.items() if value is not None for word in (name, value)]
        return shlex.join(
            ["gate", *words, *(word for name in self.only for word in ("--only", name)), "--seed", str(seed)]
        )


def gate_as_typed(typed: Typed, drawn_seed: int, console: Console, until_interrupted: UntilInterrupted) -> int:
    """Guard, give every engine its turn, class what was found, write the reports, tell; the exit code.

    Raises `ProfileError` and `TargetError`, naming the field and the remedy, before anything is started.
    """
    began = time.monotonic()
    profile, file = typed.read()
    target = profile.target or typed.reference
    described = read_target(target)
    baseline = read_baseline(profile.baseline)
    seed = next(each for each in (typed.seed, profile.seed, drawn_seed) if each is not None)
    name = service(described.name, typed.mutant)
    previous = read_record(typed.previous) if typed.previous else last_record(typed.out, name)
    inspection = inspect(described, os.environ)
    inspection.insist()
    options = ["--seed", str(seed)]
    options += ["--target", str(target)] if target.resolve() != typed.reference.resolve() else []
    options += ["--mutant", typed.mutant] if typed.mutant else []
    again = f"{program()} {typed.again(seed)}"
    progress = begin(Order(name="gate", jobs=[], target=target, seed=seed, again=again, out=typed.out))
    say = _sayer(console)
    say(f"seed {seed} · {name} · {file or 'no profile here: the default'} · {duration(profile.time_budget_s)} at most")
    say(
        f"guard    {count(len(inspection.pointed), 'field')} point at nothing but this stack and what its target allows"
    )
    turns: list[Turn] = []
    wanted = Wanted(profile=profile, seed=seed, options=options, folder=progress.folder)
    ends = began + profile.time_budget_s - REPORTS_S

    interrupted = asyncio.run(until_interrupted(lambda: take_turns(wanted, ends, say, turns)))

    if previous is not None and previous.service != name:
        say(f"the earlier gate was of {previous.service}: nothing of it is compared")
        previous = None
    today = progress.started.date()
    result = Result(
        service=name,
        seed=seed,
        started=progress.started,
        took_s=time.monotonic() - began,
        budget_s=profile.time_budget_s,
        again=again,
        folder=progress.folder,
        inspection=inspection,
        turns=turns,
        findings=classed(turns, previous, baseline, today, profile.fail_on),
        missing=list(not_shown(profile, turns)),
        notes=_notes(profile, file, previous is not None, baseline),
    )
    write_gate(result, os.environ.get(SUMMARY))
    _tell(result, say)
    return INTERRUPTED if interrupted else EXIT[result.status]


def _notes(profile: Profile, file: Path | None, compared: bool, baseline: Baseline) -> Sequence[str]:
    notes = (
        [] if file else [f"there is no profile here, so the default was used: `topup-chaos gate --init` writes {OWN}"]
    )
    notes += (
        [] if compared else ["there is no earlier gate of this service to compare with: what is not accepted is new"]
    )
    if profile.fail_on == "error":
        notes.append('findings below an error are listed and do not count: the profile says fail_on = "error"')
    return [*notes, f"{baseline.path}: {count(len(baseline.accepted), 'accepted finding')}"]


def _tell(result: Result, say: Callable[[str], None]) -> None:
    say("")
    for each in result.findings:
        if not each.seen:
            continue
        word = "BROKEN  " if each.counts else "accepted" if each.accepted else "lesser  "
        say(f"{word} {each.state.value:<8} {each.finding.rule.id}   {each.finding.where}")
        say(f"         {plain(each.finding.says, 400)}")
        if each.accepted:
            ended = "ended" if each.expired else "ends"
            say(
                f"         accepted by {each.accepted.owner}: {each.accepted.reason}; that {ended} on {each.accepted.until}"
            )
        say(f"         fingerprint {each.fingerprint[:16]}   again: {each.finding.again}")
    for why in result.unknown:
        say(f"UNKNOWN  {plain(why, 400)}")
    for state in (State.RESOLVED, State.NOT_LOOKED_FOR):
        for each in result.of(state):
            stale = (
                f", and {each.accepted.owner} need no longer answer for it"
                if each.accepted and state is State.RESOLVED
                else ""
            )
            say(f"{state.value}: {each.finding.rule.id}   {each.finding.where}{stale}")
    for note in result.notes:
        say(f"note: {note}")
    say(f"{result.status.word.upper():<8} {standing(result)} · {result.took_s:.1f} s of {result.budget_s:.0f} s")
    say(f"again:   {result.again}")
    say(f"look:    {result.folder / 'gate.html'}")


def standing(result: Result) -> str:
    """How many findings there are of each class."""
    expired = sum(each.expired and each.seen for each in result.findings)
    accepted = sum(each.seen and not each.counts and each.accepted is not None for each in result.findings)
    said = [f"{len(result.of(state))} {state.value}" for state in State if result.of(state) or state is State.NEW]
    return " · ".join(
        [*said, *([f"{accepted} accepted"] if accepted else []), *([f"{expired} expired"] if expired else [])]
    )


def _sayer(console: Console) -> Callable[[str], None]:
    def say(line: str) -> None:
        shown = "".join(letter if letter.isprintable() else "?" for letter in line)
        console.print(shown, highlight=False, markup=False, soft_wrap=True)

    return say


def write_template(console: Console) -> None:
    """A commented profile, where there is none. Raises `ProfileError` where there is one."""
    path = Path(OWN)
    text = (files("harness.gate") / "template.toml").read_text(encoding="utf-8")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise ProfileError(f"{path} is there already, and is left as it is: move it away first") from None
    _sayer(console)(f"written: {path}")


def accept_as_typed(
    typed: Typed, fingerprint: str, owner: str | None, reason: str | None, until: str | None, console: Console
) -> None:
    """Add a finding of the last gate to the baseline. Raises `ProfileError` naming the option that is wrong."""
    for option, value in (("--owner", owner), ("--reason", reason), ("--until", until)):
        if not value:
            raise ProfileError(f"--accept needs {option}: nothing is accepted without an owner, a reason and an end")
    profile, _ = typed.read()
    name = service(read_target(profile.target or typed.reference).name, typed.mutant)
    record = read_record(typed.previous) if typed.previous else last_record(typed.out, name)
    if record is None:
        raise ProfileError(f"there is no gate of {name} under {typed.out}: run it first, or name one with --previous")
    finding = chosen(fingerprint, [each.finding for each in record.findings])
    entry = accept(profile.baseline, finding, owner or "", reason or "", until or "", datetime.now(UTC).date())
    say = _sayer(console)
    say(f"accepted until {entry.until}: {finding.rule.id}   {finding.where}")
    say(f"written: {profile.baseline}")


def show_guard(target: Path, console: Console) -> None:
    """What the configuration points at. Raises `TargetError` when any of it is refused."""
    inspection = inspect(read_target(target), os.environ)
    say = _sayer(console)
    say(f"{target}, and the environment of this shell")
    width = max((len(each.field) for each in inspection.pointed), default=0)
    for each in inspection.pointed:
        mark = "REFUSED" if each.why else "ok"
        say(f"{mark:<8} {each.field:<{width}}  {each.kind:<11} {each.side:<9}  {each.shown}")
    inspection.insist()
    say(f"{count(len(inspection.pointed), 'field')}: nothing leads out of the stack")
