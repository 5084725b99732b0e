"""The order of an examination: calm, the catalogue, what chance makes up, and calm again.

A receiver that refuses everything would pass any list of attacks. So genuine callbacks open and close every examination, and
come between: without them nothing was shown, and the word is *unknown*.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky

from fake_provider.dialects import Wire
from fake_provider.pen import Pen
from harness.engines.fuzz.attack import Attack, DoesNotFit, Expect, Scene
from harness.engines.fuzz.catalogue import NOT_SENT, catalogue
from harness.engines.fuzz.door import Door, Heard, Shot
from harness.engines.fuzz.generated import GENERATED, Generated, Make
from harness.engines.fuzz.judging import Wrong, wrong_answer, wrong_logs, wrong_state
from harness.engines.fuzz.reproduction import reproduction
from harness.engines.fuzz.world import Unready, World
from harness.finding import Examination, Finding, Rule

LOOK_EVERY = 50
"""So many generated shots that were not acknowledged go by before the balance is read and a genuine callback sent."""
SAME_FAMILY_AT_MOST = 6

BELIEVED = ("credited", "acknowledged")
SIGNED_STRANGELY = ("doors/", "framing/", "generated/http", "generated/structure-forged")
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
    """What is asked for. `only` are names of attacks or families, or their beginnings; all when empty."""

    where: str
    seed: int
    again: str
    generated: int
    time_budget_s: float | None = None
    only: Sequence[str] = ()

    def wants(self, name: str) -> bool:
        return not self.only or any(name == each or name.startswith(f"{each}/") for each in self.only)


class Stopped(BaseException):
    """The time is over, or somebody said so. No `Exception`, which Hypothesis would take for something that it found."""


class _Found(Exception):
    """Tells Hypothesis that something came of what it drew."""


@dataclass(slots=True)
class Examiner:
    """Sends, looks, and writes down. Runs in a thread of its own; `stop` ends it at the next shot."""

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
    _genuine: Wire | None = None
    _as_before: int | None = None
    _began: float = 0.0
    _known: set[tuple[str, str]] = field(default_factory=set)
    _dead: bool = False

    def examine(self) -> Examination:
        """All of it. What was done until it was stopped is kept."""
        self._began = time.monotonic()
        attacks = [each for each in catalogue(self.pen) if self.wanted.wants(each.name)]
        families = [each for name, each in GENERATED.items() if self.wanted.wants(name)]
        try:
            self._open()
            self.tell(f"{len(attacks)} attacks of the catalogue")
            for each in attacks:
                self._play(each)
            for family, budget in zip(families, _shares(self.wanted.generated, len(families)), strict=True):
                self._generate(family, budget)
            self._close()
        except Unready as unready:
            self.unknown.append(str(unready))
        except Stopped as stopped:
            self.unknown.append(f"{stopped}: not all was sent, and no genuine callback closed it")
        finally:
            self.door.close()
        return self._examination(attacks, families)

    # Calm

    def _open(self) -> None:
        """Genuine news, of a payment that is known. Where a payment was seen to be credited, a receiver that refuses to hear
        of it again is wrong; where nothing was seen, it may as well refuse everything.
        """
        self.world.open()
        wire = self._genuine_news()
        shot = self._scene().whole(wire)
        heard = self._calm(shot)
        if not self.pen.is_ack(heard.status, heard.body):
            said = f"{heard.because} {heard.body[:120].decode('utf-8', 'replace')!r}"
            if not self.world.shows_itself or heard.status is None:
                raise Unready(f"a genuine callback was not acknowledged before anything was attacked: {said}")
            self._note(
                CALM,
                Wrong("refused", f"genuine news that is known already was not acknowledged: {said}", cwe=(394,)),
                shot,
            )
        self._genuine, self._as_before = wire, heard.status

    def _calm(self, shot: Shot) -> Heard:
        """Send something genuine that is known already, which must not be credited again."""
        heard = self._send(shot)
        self.counts[CALM.id] += 1
        moved = self.world.moved()
        if moved:
            says = f"genuine news that is known already moved a balance by {moved} minor units"
            self._note(CALM, Wrong("credited-again", says, cwe=(837, 294)), shot)
        return heard

    def _close(self) -> None:
        """The victim pays after all, and is heard of once more."""
        why = self.world.pay_the_victim()
        if why is not None:
            self._note(
                CALM, Wrong("refused-afterwards", f"after the attacks, a genuine payment was not credited: {why}"), None
            )
        self._still_calm()

    def _still_calm(self) -> None:
        """A genuine callback, answered as before. Where none is, no further attack would show anything."""
        if self._dead:
            return
        shot = self._scene().whole(self._genuine_news())
        heard = self._calm(shot)
        if heard.status != self._as_before:
            self._dead = True
            says = f"after the attacks, a genuine callback was no longer answered {self._as_before}: {heard.because}"
            self._note(CALM, Wrong("refused-afterwards", says, cwe=(400, 754)), shot)

    def _genuine_news(self) -> Wire:
        return self.pen.sign(self.pen.write(self.pen.notice(self.world.known)))

    # The catalogue

    def _play(self, attack: Attack) -> None:
        self._go_on()
        scene = self._scene()
        try:
            shot = attack.make(scene)
        except DoesNotFit as why:
            self.left_out.append(f"{attack.name}: {why}")
            return
        self.counts[attack.name] += 1
        wrong = self._shoot(attack.expect, shot, look=True)
        if wrong is None and not shot.whole:
            self._still_calm()
        if wrong is not None and wrong.kind in BELIEVED and self._open_anyway(attack.name):
            self.left_out.append(
                f"{attack.name}: it was let in, and so is whoever has any key at all, so it shows nothing more"
            )
        elif wrong is not None:
            self._note(attack.rule, wrong, shot)

    def _open_anyway(self, name: str) -> bool:
        """Whether that door is no door: a strange key alone was believed already."""
        return name.startswith(SIGNED_STRANGELY) and any(("forged/wrong-key", kind) in self._known for kind in BELIEVED)

    def _shoot(self, expect: Expect, shot: Shot, *, look: bool) -> Wrong | None:
        """Send one, and say what came of it. The balance is read where *look* says so, and wherever there was success."""
        heard = self._send(shot)
        moved = self.world.moved() if look or heard.accepted else None
        if moved:
            self.world.another_victim()
        wrong = wrong_state(moved) or wrong_answer(expect, shot, heard, self.world.secrets())
        if wrong is not None or not look:
            return wrong
        return self._look_into_logs(self._signatures_in(shot))

    def _look_into_logs(self, signatures: Sequence[str]) -> Wrong | None:
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

    # What chance makes up

    def _generate(self, family: Generated, budget: int) -> None:
        began, before = time.monotonic(), self.counts[family.rule.id]
        if self._open_anyway(family.rule.id):
            self._known.update((family.rule.id, kind) for kind in BELIEVED)
        for turn in range(SAME_FAMILY_AT_MOST + 1):
            left = budget - (self.counts[family.rule.id] - before)
            if left <= 0 or self._dead:
                break
            if not self._hunt(family, left, turn):
                break
        if budget and self.counts[family.rule.id] == before:
            self.left_out.append(f"{family.rule.id}: the dialect has nothing that could be changed so")
        self._look_around(family)
        drawn, took_s = self.counts[family.rule.id] - before, time.monotonic() - began
        self.tell(f"{drawn} sent of {family.rule.id}, {drawn / took_s:.0f} a second")
        self._go_on()

    def _hunt(self, family: Generated, budget: int, turn: int) -> bool:
        """Draw until something is found, and make it simple; whether something was."""
        last: list[tuple[Wrong, Shot]] = []
        number = crc32(f"{self.wanted.seed} {family.rule.id} {turn}".encode())

        @seeded(number)
        @settings(
            max_examples=budget,
            database=None,
            deadline=None,
            phases=(Phase.generate, Phase.shrink),
            suppress_health_check=list(HealthCheck),
            report_multiple_bugs=False,
            verbosity=Verbosity.quiet,
        )
        @given(family.drawn)
        def draw(make: Make) -> None:
            self._go_on()
            wrong = self._try(family, make, last)
            if wrong is not None and (family.rule.id, wrong.kind) not in self._known:
                raise _Found

        try:
            draw()
        except _Found:
            pass
        except Flaky:
            self.left_out.append(f"{family.rule.id}: what was found did not come again, so it is told as it was drawn")
        finally:  # also when it is stopped, what was found is told
            if last:
                self._note(family.rule, *last[-1])
        return bool(last)

    def _try(self, family: Generated, make: Make, last: list[tuple[Wrong, Shot]]) -> Wrong | None:
        try:
            shot = make(self._scene())
        except DoesNotFit:
            return None
        self.counts[family.rule.id] += 1
        wrong = self._shoot(family.expect, shot, look=False)
        if wrong is None and self.counts[family.rule.id] % LOOK_EVERY == 0:
            self._look_around(family)
        if wrong is not None and (family.rule.id, wrong.kind) not in self._known:
            last.append((wrong, shot))
        return wrong

    def _look_around(self, family: Generated) -> None:
        """What no answer gave away: a balance that moved unseen, something in the log, a receiver that is gone."""
        wrong = wrong_state(self.world.moved())
        if wrong is not None:
            self.world.another_victim()
            self._note(
                family.rule,
                Wrong(wrong.kind, f"{wrong.says}; it was one of the last {LOOK_EVERY}, none of them acknowledged"),
                None,
            )
        written = self._look_into_logs(())
        if written is not None:
            self._note(family.rule, written, None)
        self._still_calm()

    # Small things

    def _scene(self) -> Scene:
        return Scene(
            pen=self.pen,
            place=self.door.place,
            victim=self.world.victim,
            known=self.world.known,
            genuine=self._genuine,
        )

    def _send(self, shot: Shot) -> Heard:
        self.sent += 1
        return self.door.send(shot)

    def _note(self, rule: Rule, wrong: Wrong, shot: Shot | None) -> None:
        """Once for each rule and kind: the first is as good as the hundredth. A log is one place, whatever got into it."""
        only = "" if rule is CALM else f" --attack {rule.id}"
        if wrong.kind in ("logged", "line-injected"):
            rule = LOGS
        if (rule.id, wrong.kind) in self._known:
            return
        self._known.add((rule.id, wrong.kind))
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

    def _is_over(self) -> bool:
        budget = self.wanted.time_budget_s
        return self.stop.is_set() or (budget is not None and time.monotonic() - self._began > budget)

    def _go_on(self) -> None:
        if self.stop.is_set():
            raise Stopped("interrupted")
        if self._is_over():
            raise Stopped(f"the time budget of {self.wanted.time_budget_s:g} s was spent")
        if self._dead:
            raise Stopped("the receiver no longer acknowledges genuine callbacks")

    def _examination(self, attacks: Sequence[Attack], families: Sequence[Generated]) -> Examination:
        whole = not self.wanted.only
        not_sent = [f"{number}: {why}" for number, why in NOT_SENT.items()] if whole else []
        return Examination(
            name="fuzz",
            where=self.wanted.where,
            rules=[CALM, LOGS, *(each.rule for each in attacks), *(each.rule for each in families)],
            findings=self.findings,
            counts=self.counts,
            unknown=self.unknown,
            unseen=self.world.unseen,
            left_out=[*self.left_out, *not_sent],
            seed=self.wanted.seed,
            again="".join((self.wanted.again, *(f" --attack {each}" for each in self.wanted.only))),
            took_s=time.monotonic() - self._began,
            sent=self.sent,
        )


def _shares(whole: int, parts: int) -> Sequence[int]:
    """A number in that many parts that differ by one at most."""
    return [whole // parts + (number < whole % parts) for number in range(parts)]
