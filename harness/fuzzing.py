"""What `topup-chaos fuzz` does, apart from reading what was typed: on the roof, beside the command line."""

import asyncio
import os
import shlex
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis.configuration import set_hypothesis_home_dir
from rich.console import Console

from fake_provider.dialects import find
from harness.cache import cache_dir
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.cassette import FIELDS
from harness.engines.fuzz.catalogue import catalogue_names
from harness.engines.fuzz.command import Receiver, examine
from harness.engines.fuzz.generated import GENERATED
from harness.engines.fuzz.guard import allowed
from harness.engines.fuzz.recording import record
from harness.engines.fuzz.tape import TAPE_NAMES
from harness.engines.suite import Order, begin, program
from harness.finding import Examination
from harness.target import TargetError
from reports.findings import write_findings
from reports.words import count

INTERRUPTED, UNKNOWN = 130, 3
CLAIMS = ("payment", "reference", "amount_minor", "currency", "account", "merchant", "environment")
ENDS = 100  # characters of a line that is told


@dataclass(frozen=True, slots=True)
class Typed:
    """The options of the command, as they were typed."""

    url: str | None
    dialect: str | None
    secret_env: str | None
    claims: Sequence[str]
    attacks: Sequence[str]
    generated: int
    time_budget_s: float | None
    owned: Sequence[str]
    watched: bool
    status_only: bool = False
    cassette: Path | None = None
    sources: Sequence[Path] = ()
    timing: bool = False

    def again(self) -> str:
        words = [self.url] if self.url else []
        words += ["--dialect", self.dialect] if self.dialect else []
        words += ["--secret-env", self.secret_env] if self.secret_env else []
        words += [word for each in self.claims for word in ("--claim", each)]
        words += [word for each in self.owned for word in ("--i-own", each)]
        words += ["--status-only"] if self.status_only else []
        words += ["--cassette", str(self.cassette)] if self.cassette else []
        words += [word for each in self.sources for word in ("--source", str(each))]
        words += ["--timing"] if self.timing else []
        return shlex.join([*words, "--generated", str(self.generated)])


def fuzz_as_typed(
    typed: Typed,
    order: Order,
    where: str,
    mutant: str | None,
    console: Console,
    until_interrupted: Callable[[Callable[[], Any]], Coroutine[Any, Any, bool]],
) -> int:
    """Examine, tell, write the reports; the exit code. Raises `Forbidden` and `TargetError` before anything is sent."""
    receiver = _receiver(typed, order, mutant)
    unknown = [
        each for each in typed.attacks if not any(name == each or name.startswith(f"{each}/") for name in known_names())
    ]
    if unknown:
        raise TargetError(f"there is no attack {unknown[0]!r}: the families are {', '.join(families())}")
    again = f"{program()} fuzz {typed.again()}{order.again}"
    wanted = Wanted(
        where=where if mutant is None else f"{where}.{mutant}",
        seed=order.seed,
        again=again,
        generated=typed.generated,
        time_budget_s=typed.time_budget_s,
        only=typed.attacks,
        sources=typed.sources,
        timing=typed.timing,
    )
    set_hypothesis_home_dir(cache_dir() / "hypothesis")  # else it makes a folder wherever the command was typed
    progress = begin(order)
    found: list[Examination] = []

    def tell(line: str) -> None:
        console.print(f"  {line}", highlight=False, markup=False, soft_wrap=True)

    async def work() -> None:
        found.append(await examine(receiver, wanted, progress.folder / "logs", tell))

    console.print(f"seed {order.seed} · {wanted.where}", highlight=False, markup=False, soft_wrap=True)
    interrupted = asyncio.run(until_interrupted(work))
    if not found:
        return INTERRUPTED
    write_findings(found[0], progress.folder)
    _tell(found[0], progress.folder, console)
    return INTERRUPTED if interrupted or "interrupted" in " ".join(found[0].unknown) else found[0].exit_code


def record_as_typed(
    url: str,
    dialect: str,
    cassette: Path,
    port: int,
    fields: Sequence[str],
    most: int,
    within_s: float | None,
    owned: Sequence[str],
    console: Console,
    until_interrupted: Callable[[Callable[[], Any]], Coroutine[Any, Any, bool]],
) -> int:
    """Record until there are enough, or until Ctrl-C, which is the usual end; 3 where nothing came by."""
    place = allowed(url, owned)
    if cassette.exists():
        raise TargetError(f"--cassette {cassette} is there already: name another, or remove it")

    def tell(line: str) -> None:
        console.print(
            "".join(letter if letter.isprintable() else "?" for letter in line), highlight=False, markup=False
        )

    tell(f"deliver to http://127.0.0.1:{port}{place.target}: it is passed on to {url} and kept in {cassette}")
    tell("signatures, keys and personal fields are taken out before anything is written; Ctrl-C ends it")
    kept: list[None] = []

    def keep(line: str) -> None:
        kept.append(None)
        tell(line)

    async def work() -> None:
        settings = {"port": port, "most": most, "within_s": within_s}
        await record(place, find(dialect), cassette, fields=(*FIELDS, *fields), tell=keep, **settings)  # type: ignore[arg-type]

    asyncio.run(until_interrupted(work))
    tell(f"{count(len(kept), 'callback')} kept in {cassette}")
    if not kept:
        cassette.unlink(missing_ok=True)
    return 0 if kept else UNKNOWN


def known_names() -> Sequence[str]:
    return (*catalogue_names(), *GENERATED, *TAPE_NAMES)


def families() -> Sequence[str]:
    return list(dict.fromkeys(name.partition("/")[0] for name in known_names()))


def _receiver(typed: Typed, order: Order, mutant: str | None) -> Receiver:
    claims = _claims(typed.claims)
    if typed.url is None:
        if typed.secret_env or claims or typed.owned or typed.status_only:
            raise TargetError(
                "--secret-env, --claim, --i-own and --status-only are about a receiver that is up: name its URL first"
            )
        return Receiver(
            place=None, dialect=typed.dialect, claims={}, target=order.target, mutant=mutant, cassette=typed.cassette
        )
    if typed.dialect is None:
        raise TargetError("say which dialect the receiver speaks: --dialect stripe")
    if typed.status_only and typed.watched:
        raise TargetError("--status-only says that no balance is read, and --target how: leave out one of them")
    if mutant is not None:
        raise TargetError("a receiver that is up cannot be started as a mutant: leave out the URL or --mutant")
    key = None
    if typed.secret_env is not None:
        key = os.environ.get(typed.secret_env)
        if not key:
            raise TargetError(f"--secret-env {typed.secret_env}: the variable is not set, or empty")
    place = allowed(typed.url, typed.owned)
    return Receiver(
        place=place,
        dialect=typed.dialect,
        key=key,
        claims=claims,
        target=order.target,
        watched=typed.watched,
        by_status=typed.status_only,
        cassette=typed.cassette,
    )


def _claims(said: Sequence[str]) -> Mapping[str, str]:
    claims = dict(each.partition("=")[::2] for each in said)
    for name, value in claims.items():
        if name not in CLAIMS or not value:
            raise TargetError(f"--claim {name}={value}: name one of {', '.join(CLAIMS)}, and its value behind a =")
        if name == "amount_minor" and not value.isdecimal():
            raise TargetError(f"--claim amount_minor={value}: a whole number of minor units")
    return claims


def _tell(found: Examination, folder: Path, console: Console) -> None:
    def say(line: str) -> None:
        console.print(
            "".join(letter if letter.isprintable() else "?" for letter in line),
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    say("")
    for each in found.findings:
        say(f"BROKEN   {each.rule.id}   {', '.join(f'CWE-{number}' for number in each.cwe)}")
        say(f"         {each.rule.what}")
        say(f"         {each.says}")
        say(f"         again: {each.again}")
    for why in found.unknown:
        say(f"UNKNOWN  {why}")
    for why in found.unseen:
        say(f"unseen   {why}")
    if found.left_out:
        say(f"not sent: {count(len(found.left_out), 'attack')}; {folder / 'summary.md'} says why")
    rate = found.sent / found.took_s if found.took_s else 0.0
    say(f"{found.verdict}: {count(found.sent, 'callback')} in {found.took_s:.1f} s, {rate:.0f} a second")
    say(f"again:   {found.again}")
    say(f"look:    {folder / 'report.html'}")
