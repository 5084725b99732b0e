"""Hostile callbacks against the reference service and its security mutants, on a stack of the test's own."""

import asyncio
from pathlib import Path
from random import Random

import pytest

from harness.cli import REFERENCE
from harness.engines.fuzz.bench import Wanted
from harness.engines.fuzz.command import Receiver, examine
from harness.engines.fuzz.door import Place
from harness.finding import Examination
from harness.stacks.processes import processes
from harness.target import KEYS

pytestmark = [pytest.mark.stack, pytest.mark.timeout(300)]


def examined(
    folder: Path, *only: str, dialect: str = "standard-webhooks", mutant: str | None = None, generated: int = 0
) -> Examination:
    receiver = Receiver(place=None, dialect=dialect, claims={}, target=REFERENCE, mutant=mutant)
    wanted = Wanted(where="reference", seed=1, again="topup-chaos fuzz", generated=generated, only=only)
    return asyncio.run(examine(receiver, wanted, folder, lambda _: None))


def of(examination: Examination) -> set[tuple[str, str, int]]:
    """Where, how, and the nearest weakness."""
    return {(each.rule.id, each.kind, each.cwe[0]) for each in examination.findings}


@pytest.mark.parametrize("dialect", ["standard-webhooks", "stripe", "alipay"])
def test_the_reference_stands_all_of_the_catalogue(dialect: str, tmp_path: Path) -> None:
    """No balance moved, no server error, nothing genuine refused afterwards."""
    examination = examined(tmp_path, dialect=dialect, generated=80)

    assert examination.findings == []
    assert examination.word == "holds"
    assert examination.counts["calm"] > 2 and examination.counts["generated/structure-forged"] > 10


@pytest.mark.parametrize(("mutant", "expected"), [(None, "holds"), ("trusts-unsigned-callbacks", "broken")])
def test_a_service_that_is_up_is_watched_by_its_own_account_of_itself(
    mutant: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its URL, its keys, and a target.toml: balances are read, and the provider is not asked for anything."""

    async def both() -> Examination:
        async with processes(REFERENCE, tmp_path, Random(1), mutant=mutant, named=False) as stack:
            monkeypatch.setenv(KEYS, " ".join(f"{name}={key}" for name, key in stack.principal_keys.items()))
            receiver = Receiver(
                place=Place.of(stack.service_url + stack.callback_path),
                dialect="standard-webhooks",
                key=stack.secrets["callback secret"],
                claims={},
                target=REFERENCE,
                watched=True,
            )
            wanted = Wanted(where="up", seed=1, again="topup-chaos fuzz", generated=0, only=("forged", "news", "money"))
            return await examine(receiver, wanted, tmp_path, lambda _: None)

    examination = asyncio.run(both())

    assert (examination.word, examination.unknown) == (expected, [])
    if mutant:
        assert of(examination) == {("forged/unsigned", "credited", 345)}


FOUND = {
    "accepts-any-signature": ("forged/wrong-key", "credited", 347),
    "trusts-unsigned-callbacks": ("forged/unsigned", "credited", 345),
}


@pytest.mark.parametrize("mutant", FOUND)
def test_a_planted_weakness_is_found_by_its_name(mutant: str, tmp_path: Path) -> None:
    """With the weakness that it has, in a balance and not only in a status."""
    assert FOUND[mutant] in of(examined(tmp_path, "forged", mutant=mutant))
