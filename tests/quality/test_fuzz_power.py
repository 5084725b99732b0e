"""Does `fuzz` see? Every weakness that is planted in the reference service is found, by its name and its number, in half a minute.

That each of them is healthy in calm weather, and caught by the scenario that it names, is `test_power.py`'s to ask.
"""

import asyncio
import time
from pathlib import Path

import pytest

from harness.cli import REFERENCE
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.command import Receiver, examine
from harness.finding import Examination
from reference_impl.mutants import catalogue

pytestmark = [pytest.mark.stack, pytest.mark.slow, pytest.mark.timeout(300)]

WITHIN_S = 30.0
FOUND = {
    "trusts-unsigned-callbacks": ("forged/unsigned", "credited", 345),
    "accepts-any-signature": ("forged/wrong-key", "credited", 347),
    "accepts-the-empty-key": ("forged/empty-key", "credited", 1188),
    "accepts-old-timestamps": ("forged/stale-timestamp", "credited", 294),
    "accepts-future-timestamps": ("forged/future-timestamp", "credited", 294),
    "lets-the-message-choose": ("forged/downgraded-algorithm", "credited", 757),
    "ignores-the-merchant": ("forged/cross-account", "credited", 639),
    "ignores-the-mode": ("forged/other-mode", "credited", 841),
    "verifies-what-it-writes": ("spelling/reformatted", "refused", 347),
    "believes-what-it-cannot-verify": ("forged/malformed-signature", "credited", 755),
    "crashes-on-crafted-signatures": ("forged/malformed-signature", "crashed", 755),
    "recognises-before-verifying": ("forged/tampered-body", "acknowledged", 345),
    "ignores-the-currency": ("money/other-currency", "credited", 345),
    "credits-authorisations": ("news/authorised", "credited", 841),
    "logs-what-it-refuses": ("logs", "logged", 532),
    "credits-every-delivery": ("calm", "credited-again", 837),
    "dedupes-by-delivery": ("calm", "credited-again", 837),
    "errs-on-duplicates": ("calm", "refused", 394),
}


def examined(folder: Path, mutant: str) -> tuple[Examination, float]:
    """What was found, and the seconds from the start, the stack's own included, until the claimed weakness was."""
    receiver = Receiver(place=None, dialect="standard-webhooks", claims={}, target=REFERENCE, mutant=mutant)
    wanted = Wanted(where="reference", seed=1, again="topup-chaos fuzz", generated=0)
    began, found_s = time.monotonic(), float("inf")

    def tell(line: str) -> None:
        nonlocal found_s
        if line.startswith(f"FOUND {FOUND[mutant][0]}:"):
            found_s = min(found_s, time.monotonic() - began)

    return asyncio.run(examine(receiver, wanted, folder, tell)), found_s


@pytest.mark.parametrize("mutant", FOUND)
def test_a_planted_weakness_is_found_with_its_number(mutant: str, tmp_path: Path) -> None:
    """What the money did outweighs what was answered."""
    assert mutant in catalogue()
    examination, found_s = examined(tmp_path, mutant)

    assert FOUND[mutant] in {(each.rule.id, each.kind, each.cwe[0]) for each in examination.findings}
    assert examination.word == "broken"
    assert found_s < WITHIN_S
