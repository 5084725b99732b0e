"""What every part of an examination does: send, look, and write down what was wrong."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fake_provider.dialects import Wire
from fake_provider.pen import Pen
from harness.engines.fuzz.attack import Expect, Scene
from harness.engines.fuzz.door import Door, Heard, Shot
from harness.engines.fuzz.judging import Wrong, wrong_answer, wrong_logs, wrong_state
from harness.engines.fuzz.reproduction import reproduction
from harness.engines.fuzz.world import World
from harness.finding import Finding, Rule

BELIEVED = ("credited", "acknowledged")
SIGNED_STRANGELY = ("doors/", "framing/", "generated/http", "generated/structure-forged", "cassette/forged")
"""What is signed with a key that nobody knows, and looks for something else that opens a door."""

CALM = Rule(
    id="calm",
    what="Genuine callbacks, before, between and after all others.",
    correct="they are acknowledged and take effect, whatever came before",
    cwe=(754,),
)

LOGS = Rule(
    id="logs",
    what="What the receiver writes down of what it is sent.",
    correct="neither a key nor a signature stands in a log, and what came from outside begins no line of it",
    cwe=(532, 117),
    numbers=("B-54", "B-53"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked for. `only` are names of attacks or families, or their beginnings; all when empty.

    `sources` are looked through for comparisons that give time away; `timing` asks for the test from outside.
    """

    where: str
    seed: int
    again: str
    generated: int
    time_budget_s: float | None = None
    only: Sequence[str] = ()
    sources: Sequence[Path] = ()
    timing: bool = False

    def wants(self, name: str) -> bool:
        return not self.only or any(name == each or name.startswith(f"{each}/") for each in self.only)


class Stopped(BaseException):
    """The time is over, or somebody said so. No `Exception`, which Hypothesis would take for something that it found."""


@dataclass(slots=True)
class Bench:
    """Sends, looks, and writes down. Runs in a thread of its own; `stop` ends it at the next shot.

    `noted` are the rules that were seen to be broken, and the ways in which they were.
    """

    pen: Pen
    door: Door
    world: World
    wanted: Wanted
    tell: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    findings: list[Finding] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    sent: int = 0
    genuine: Wire | None = None
    as_before: int | None = None
    began: float = 0.0
    noted: set[tuple[str, str]] = field(default_factory=set)
    dead: bool = False

    def calm(self, shot: Shot) -> Heard:
        """Send something genuine that is known already, which must not be credited again."""
        heard = self.send(shot)
        self.counts[CALM.id] += 1
        moved = self.world.moved()
        if moved:
            says = f"genuine news that is known already moved a balance by {moved} minor units"
            self.note(CALM, Wrong("credited-again", says, cwe=(837, 294)), shot)
        return heard

    def still_calm(self) -> None:
        """A genuine callback, answered as before. Where none is, no further attack would show anything."""
        if self.dead:
            return
        shot = self.scene().whole(self.genuine_news())
        heard = self.calm(shot)
        if heard.status != self.as_before:
            self.dead = True
            says = f"after the attacks, a genuine callback was no longer answered {self.as_before}: {heard.because}"
            self.note(CALM, Wrong("refused-afterwards", says, cwe=(400, 754)), shot)

    def genuine_news(self) -> Wire:
        return self.pen.sign(self.pen.write(self.pen.notice(self.world.known)))

    def open_anyway(self, name: str) -> bool:
        """Whether that door is no door: a strange key alone was believed already."""
        return name.startswith(SIGNED_STRANGELY) and any(("forged/wrong-key", kind) in self.noted for kind in BELIEVED)

    def shoot(self, expect: Expect, shot: Shot, *, look: bool) -> Wrong | None:
        """Send one, and say what came of it. The balance is read where *look* says so, and wherever there was success."""
        heard = self.send(shot)
        moved = self.world.moved() if look or heard.accepted else None
        if moved:
            self.world.another_victim()
        wrong = wrong_state(moved) or self.wrong_answer(expect, shot, heard)
        if wrong is not None or not look:
            return wrong
        return self.look_into_logs(self._signatures_in(shot))

    def wrong_answer(self, expect: Expect, shot: Shot, heard: Heard) -> Wrong | None:
        acknowledged = self.pen.is_ack(heard.status, heard.body)
        return wrong_answer(expect, shot, heard, self.world.secrets(), acknowledged=acknowledged)

    def look_into_logs(self, signatures: Sequence[str]) -> Wrong | None:
        lines = self.world.log_lines()
        self.counts[LOGS.id] += bool(lines)
        return wrong_logs(lines, self.world.secrets(), signatures)

    def _signatures_in(self, shot: Shot) -> Sequence[str]:
        """What is written like a signature in the headers of a shot."""
        head = shot.bytes[:20_000].partition(b"\r\n\r\n")[0].decode("latin-1")
        lines = [line.partition(":") for line in head.split("\r\n")]
        tokens = [
            each for name, _, value in lines if "sign" in name.lower() for each in value.replace(",", " ").split()
        ]
        return [token.partition("=")[2] if "=" in token[:4] else token for token in tokens]

    def scene(self) -> Scene:
        return Scene(
            pen=self.pen,
            place=self.door.place,
            victim=self.world.victim,
            known=self.world.known,
            genuine=self.genuine,
        )

    def send(self, shot: Shot) -> Heard:
        self.sent += 1
        return self.door.send(shot)

    def note(self, rule: Rule, wrong: Wrong, shot: Shot | None) -> None:
        """Once for each rule and kind: the first is as good as the hundredth. A log is one place, whatever got into it."""
        only = "" if rule is CALM else f" --attack {rule.id}"
        if wrong.kind in ("logged", "line-injected"):
            rule = LOGS
        if (rule.id, wrong.kind) in self.noted:
            return
        self.noted.add((rule.id, wrong.kind))
        language, shown = ("sh", "") if shot is None else reproduction(shot, self.door.place)
        finding = Finding(
            rule=rule,
            kind=wrong.kind,
            grave=wrong.grave,
            where=self.wanted.where,
            cwe=wrong.weakness(rule),
            says=wrong.says,
            again=self.wanted.again + only,
            shown=shown,
            language=language,
        )
        self.findings.append(finding)
        self.tell(f"FOUND {rule.id}: {wrong.says}")

    def is_over(self) -> bool:
        budget = self.wanted.time_budget_s
        return self.stop.is_set() or (budget is not None and time.monotonic() - self.began > budget)

    def go_on(self) -> None:
        if self.stop.is_set():
            raise Stopped("interrupted")
        if self.is_over():
            raise Stopped(f"the time budget of {self.wanted.time_budget_s:g} s was spent")
        if self.dead:
            raise Stopped("the receiver no longer acknowledges genuine callbacks")
