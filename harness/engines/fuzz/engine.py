"""The order of an examination: calm, the catalogue, what chance makes up, and calm again.

A receiver that refuses everything would pass any list of attacks. So genuine callbacks open and close every examination, and
come between: without them nothing was shown, and the word is *unknown*.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.engines.fuzz.attack import Attack, DoesNotFit
from harness.engines.fuzz.bench import BELIEVED, CALM, LOGS, Bench, Stopped
from harness.engines.fuzz.catalogue import NOT_SENT, catalogue
from harness.engines.fuzz.chance import Chance
from harness.engines.fuzz.drawing import Generated
from harness.engines.fuzz.generated import GENERATED
from harness.engines.fuzz.in_time import read_sources, time_answers
from harness.engines.fuzz.judging import Wrong
from harness.engines.fuzz.tape import Tape
from harness.engines.fuzz.world import Unready
from harness.finding import Examination


@dataclass(slots=True)
class Examiner(Bench):
    """The order of it; with a *tape*, what was recorded comes behind the catalogue, and is varied like the rest."""

    tape: Tape = Tape()  # noqa: RUF009 - nothing changes it

    def examine(self) -> Examination:
        """All of it. What was done until it was stopped is kept."""
        self.began = time.monotonic()
        attacks = [each for each in (*catalogue(self.pen), *self.tape.attacks) if self.wanted.wants(each.name)]
        every = {**GENERATED, **self.tape.families}
        families = [each for name, each in every.items() if self.wanted.wants(name)]
        read_sources(self)
        try:
            self._open()
            self.tell(
                f"{len(attacks)} attacks of the catalogue" + (", and of the cassette" if self.tape.attacks else "")
            )
            for each in attacks:
                self._play(each)
            for family, budget in zip(families, _shares(self.wanted.generated, len(families)), strict=True):
                Chance(self, family).spend(budget)
            if self.wanted.timing:
                time_answers(self)
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
        wire = self.genuine_news()
        shot = self.scene().whole(wire)
        heard = self.calm(shot)
        if not self.pen.is_ack(heard.status, heard.body):
            said = f"{heard.because} {heard.body[:120].decode('utf-8', 'replace')!r}"
            if not self.world.shows_itself or heard.status is None:
                raise Unready(f"a genuine callback was not acknowledged before anything was attacked: {said}")
            self.note(
                CALM,
                Wrong("refused", f"genuine news that is known already was not acknowledged: {said}", cwe=(394,)),
                shot,
            )
        self.genuine, self.as_before = wire, heard.status

    def _close(self) -> None:
        """The victim pays after all, and is heard of once more."""
        why = self.world.pay_the_victim()
        if why is not None:
            self.note(
                CALM, Wrong("refused-afterwards", f"after the attacks, a genuine payment was not credited: {why}"), None
            )
        self.still_calm()

    # The catalogue

    def _play(self, attack: Attack) -> None:
        self.go_on()
        scene = self.scene()
        try:
            shot = attack.make(scene)
        except DoesNotFit as why:
            self.left_out.append(f"{attack.name}: {why}")
            return
        self.counts[attack.name] += 1
        wrong = self.shoot(attack.expect, shot, look=True)
        if wrong is None and not shot.whole:
            self.still_calm()
        if wrong is not None and wrong.kind in BELIEVED and self.open_anyway(attack.name):
            self.counts[attack.name] -= 1
            self.left_out.append(
                f"{attack.name}: it was let in, and so is whoever has any key at all, so it shows nothing more"
            )
        elif wrong is not None:
            self.note(attack.rule, replace(wrong, cwe=attack.refused) if wrong.kind == "refused" else wrong, shot)

    def _examination(self, attacks: Sequence[Attack], families: Sequence[Generated]) -> Examination:
        whole = not self.wanted.only
        not_sent = [f"{number}: {why}" for number, why in NOT_SENT.items()] if whole else []
        if self.wanted.timing:
            not_sent = [each for each in not_sent if not each.startswith("B-42:")]
        return Examination(
            name="fuzz",
            where=self.wanted.where,
            rules=list(
                dict.fromkeys([CALM, LOGS, *(each.rule for each in attacks), *(each.rule for each in families)])
            ),
            findings=self.findings,
            counts=self.counts,
            unknown=self.unknown,
            unseen=self.world.unseen,
            left_out=[*self.left_out, *self.tape.left_out, *not_sent],
            seed=self.wanted.seed,
            again="".join((self.wanted.again, *(f" --attack {each}" for each in self.wanted.only))),
            took_s=time.monotonic() - self.began,
            sent=self.sent,
        )


def _shares(whole: int, parts: int) -> Sequence[int]:
    """A number in that many parts that differ by one at most."""
    return [whole // parts + (number < whole % parts) for number in range(parts)]
