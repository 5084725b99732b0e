"""What is done about time on either side of the door: the source is read where it is there, and answers are timed if asked."""

from collections import Counter

from harness.engines.fuzz import sources, timing
from harness.engines.fuzz.attack import DoesNotFit
from harness.engines.fuzz.bench import Bench
from harness.engines.fuzz.door import Shot
from harness.engines.fuzz.judging import Wrong
from harness.finding import Finding

IN_TIME = (sources.RULE, timing.RULE)


def read_sources(bench: Bench) -> None:
    """Each place is a finding of its own, told apart by the text of its line, which moves less than its number does."""
    rule = sources.RULE
    alike: Counter[tuple[str, str]] = Counter()
    for place in sources.places(bench.wanted.sources):
        bench.counts[rule.id] += 1
        alike[str(place.path), place.text] += 1
        where, nth = str(place.path), alike[str(place.path), place.text]
        says = f"{where}:{place.line}: {place.text}" + ("" if place.sure else " (looks so; it was not parsed)")
        found = Finding(
            rule=rule,
            kind=f"compared: {place.text}" + (f" ({nth})" if nth > 1 else ""),
            grave=False,
            where=where,
            cwe=rule.cwe,
            says=says,
            again=bench.wanted.again,
            line=place.line,
        )
        bench.findings.append(found)
        bench.tell(f"FOUND {rule.id}: {says}")


def time_answers(bench: Bench) -> None:
    """A finding is what two tests in a row say, of fresh samples, that point the same way."""

    def took(shot: Shot) -> float:
        bench.go_on()
        bench.counts[timing.RULE.id] += 1
        return bench.send(shot).took_s

    def test() -> timing.Difference:
        found = timing.measured(bench.scene(), took, bench.pen.rng)
        bench.tell(
            f"timing: {found.later_s * 1e6:+.0f} µs later where more fits, p = {found.p:.4f}; "
            f"from {found.visible_s * 1e6:.0f} µs on it would be seen"
        )
        return found

    try:
        first = test()
        second = test() if first.shown else None
    except DoesNotFit as why:
        bench.left_out.append(f"{timing.RULE.id}: {why}")
        return
    if second is not None and second.shown and first.later_s * second.later_s > 0:
        says = f"it took {second.later_s * 1e6:+.0f} µs where all but one letter fits (p = {first.p:.4f} and {second.p:.4f})"
        bench.note(timing.RULE, Wrong("timed", says, grave=False), timing.pair(bench.scene())[1])
    else:
        smallest = (second or first).visible_s * 1e6
        bench.left_out.append(f"{timing.RULE.id}: a difference of less than {smallest:.0f} µs would not have been seen")
