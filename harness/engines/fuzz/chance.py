"""What chance makes up is sent in volleys. Hypothesis draws one, and makes the one in which something was found simple.

The judge is as strict as with single shots, and asks once for a volley: every answer is looked at, the balance is read behind the
last of them, and the volley ends with a genuine callback. What was found is then looked for again in its callbacks one by
one, so that it is told of the one that did it.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any
from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from hypothesis import seed as seeded
from hypothesis.errors import Flaky

from harness.engines.fuzz.attack import DoesNotFit
from harness.engines.fuzz.bench import BELIEVED, CALM, Bench
from harness.engines.fuzz.door import Heard, Shot
from harness.engines.fuzz.drawing import AT_ONCE, Batch, Generated, Make, Simpler
from harness.engines.fuzz.judging import Wrong, wrong_state
from harness.engines.fuzz.volley import Row, each_alone, side_by_side

SETTINGS = settings(
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    report_multiple_bugs=False,
    verbosity=Verbosity.quiet,
)
FOUND_AT_MOST = 6
"""So many findings of one family are made simple; there are hardly so many kinds of them."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was wrong, and with what. `dice` are those of the callback, and None where none of its volley did it alone."""

    wrong: Wrong
    shot: Shot | None
    dice: bytes | None


@dataclass(frozen=True, slots=True)
class Sent:
    """One callback of a volley: the dice that made it, how it is made anew, and as what it was sent."""

    dice: bytes
    make: Make
    shot: Shot


class _Found(Exception):
    """Tells Hypothesis that something came of what it drew."""


@dataclass(slots=True)
class Chance:
    """One family of what chance makes up, against one receiver."""

    bench: Bench
    family: Generated
    one_by_one: bool = False

    @property
    def name(self) -> str:
        return self.family.rule.id

    def spend(self, budget: int) -> None:
        """Send so many, or a few more: the last volley is not cut short."""
        began, bench = time.monotonic(), self.bench
        if bench.open_anyway(self.name):
            bench.noted.update((self.name, kind) for kind in BELIEVED)
            bench.left_out.append(
                f"{self.name}: whoever has any key at all is let in, so that it was shows nothing more"
            )
        turn, found = 0, 0
        while (left := budget - bench.counts[self.name]) > 0 and found <= FOUND_AT_MOST and not bench.dead:
            before = bench.counts[self.name]
            found += self._hunt(min(left, AT_ONCE), turn)
            turn += 1
            if bench.counts[self.name] == before:
                bench.left_out.append(f"{self.name}: the dialect has nothing that could be changed so")
                break
        sent = bench.counts[self.name]
        bench.tell(f"{sent} sent of {self.name}, {sent / (time.monotonic() - began):.0f} a second")
        bench.go_on()

    def _hunt(self, size: int, turn: int) -> bool:
        """Draw one volley, and if something comes of it, make that simple; whether something did.

        The first that Hypothesis draws is always the plainest, of which nothing is sent: so two are asked for. Of several it
        would make most by shuffling the one before.
        """
        found: list[tuple[Evidence, Batch]] = []

        @seeded(crc32(f"{self.bench.wanted.seed} {self.name} {turn}".encode()))
        @settings(SETTINGS, max_examples=2, phases=(Phase.generate,))
        @given(self.family.drawn(size))
        def draw(batch: Batch) -> None:
            self.bench.go_on()
            if (evidence := self._volley(self.family.makes(batch))) is not None:
                found.append((evidence, batch))

        draw()
        for evidence, (values, _) in found:
            simple = evidence if evidence.dice is None else self._made_simple(evidence, values, evidence.dice)
            self.bench.note(self.family.rule, simple.wrong, simple.shot)
        return bool(found)

    def _made_simple(self, evidence: Evidence, values: Sequence[Any], dice: bytes) -> Evidence:
        """The simplest callback of which the same comes. The one there was, where nothing simpler does it."""
        last, simpler = [evidence], Simpler(values, dice)

        @settings(SETTINGS, max_examples=1, phases=(Phase.reuse, Phase.shrink), database=simpler)
        @given(simpler.drawn)
        def draw(batch: Batch) -> None:
            if self.bench.is_over():
                return
            for one, make in self.family.makes(batch).items():
                found = self._alone(make, one, evidence.wrong.kind)
                if found is not None:
                    last.append(found)
                    raise _Found

        with suppress(_Found, Flaky):
            draw()
        return last[-1]

    def _alone(self, make: Make, dice: bytes, kind: str) -> Evidence | None:
        """Written anew, about a payment that still waits, and sent alone: whether the same kind of thing comes of it."""
        try:
            shot = make(self.bench.scene())
        except DoesNotFit:
            return None
        wrong = self.bench.shoot(self.family.expect, shot, look=kind == "credited")
        return Evidence(wrong, shot, dice) if wrong is not None and wrong.kind == kind else None

    def _volley(self, makes: Mapping[bytes, Make]) -> Evidence | None:
        """Send one for each, and the worst that came of it, unless that is known already."""
        sent: list[Sent] = []
        heard = self._send(self._made(makes, sent))
        self.bench.sent += len(sent)
        self.bench.counts[self.name] += len(sent)
        found = self._of_the_balance(sent) or self._of_the_answers(sent, heard)
        written = self.bench.look_into_logs(())
        if written is not None:
            self.bench.note(self.family.rule, written, None)
        return found

    def _made(self, makes: Mapping[bytes, Make], sent: list[Sent]) -> Iterator[Shot]:
        """One shot after the other, so that a receiver has the first while the second is written."""
        scene = self.bench.scene()
        for dice, make in makes.items():
            try:
                shot = make(scene)
            except DoesNotFit:
                continue
            sent.append(Sent(dice, make, shot))
            yield shot

    def _send(self, shots: Iterator[Shot]) -> Sequence[Heard]:
        """All of them, and a genuine callback behind: its answer shows that the receiver is there, and the answers in step."""
        bench, door = self.bench, self.bench.door
        if not self.family.plain:
            heard = side_by_side(door, shots)
        elif self.one_by_one:
            heard = each_alone(door, shots)
        else:
            row, kept = Row(door), list[Shot]()
            *heard, last = row.send(chain(_keeping(shots, kept), [bench.scene().whole(bench.genuine_news())]))
            bench.sent, bench.counts[CALM.id] = bench.sent + 1, bench.counts[CALM.id] + 1
            if row.in_step and last.status == bench.as_before:
                return heard
            self.one_by_one = True
            return self._send(iter(kept))
        bench.still_calm()
        return heard

    def _of_the_balance(self, sent: Sequence[Sent]) -> Evidence | None:
        """Whether it moved, and for which of them it moves again."""
        wrong = wrong_state(self.bench.world.moved())
        if wrong is None:
            return None
        self.bench.world.another_victim()
        if (self.name, wrong.kind) in self.bench.noted:
            return None
        for each in sent:
            if (alone := self._alone(each.make, each.dice, wrong.kind)) is not None:
                return alone
        says = f"{wrong.says}; it was one of {len(sent)}, and none of them did it alone"
        return Evidence(Wrong(wrong.kind, says), None, None)

    def _of_the_answers(self, sent: Sequence[Sent], heard: Sequence[Heard]) -> Evidence | None:
        for each, answer in zip(sent, heard, strict=True):
            wrong = self.bench.wrong_answer(self.family.expect, each.shot, answer)
            if wrong is None or (self.name, wrong.kind) in self.bench.noted:
                continue
            says = f"{wrong.says}; sent alone, it was not"
            return self._alone(each.make, each.dice, wrong.kind) or Evidence(replace(wrong, says=says), each.shot, None)
        return None


def _keeping(shots: Iterator[Shot], kept: list[Shot]) -> Iterator[Shot]:
    for shot in shots:
        kept.append(shot)
        yield shot
