"""A provider that dies has lost what it was doing, and nothing that it knew."""

import asyncio
import pickle
from pathlib import Path
from typing import Any

import pytest
from provider_world import dry_world, provider_with, world

from fake_provider.clock import HandClock
from fake_provider.idempotency import Keys
from fake_provider.memory import Memory, recalled
from fake_provider.moods import make
from fake_provider.provider import Provider


def reborn(provider: Provider, tmp_path: Path, sender: Any) -> Provider:
    """The next life, by way of a file."""
    (tmp_path / "books").write_bytes(pickle.dumps(provider.memory()))
    memory = recalled(tmp_path / "books")
    assert isinstance(memory, Memory)
    after = provider_with(sender, HandClock())
    after.recall(memory)
    return after


def test_books_journal_and_answers_are_those_of_the_life_before(tmp_path: Path) -> None:
    """The same key gets the same answer; entries go on counting; ids are new."""

    async def story() -> None:
        w, sender = dry_world(204)
        first = await w.create(key="k1")
        await w.landed()
        after = reborn(w.provider, tmp_path, sender)
        before = w.journal()

        assert [entry.to_json() for entry in after.journal.after(0)] == before
        assert [payment.id for payment in after.book] == [first["id"]]
        w.provider, w.made = after, 0  # the same order, asked for again
        assert (await w.create(key="k1"))["id"] == first["id"]
        second = await w.create(key="k2")
        assert second["id"] != first["id"]
        assert [entry.seq for entry in after.journal.after(0)] == list(range(1, len(after.journal.after(0)) + 1))
        await w.landed()

    asyncio.run(story())


def test_what_was_in_flight_is_tried_again_on_its_schedule(tmp_path: Path) -> None:
    """Nobody will ever know whether it was heard."""

    async def story() -> None:
        async with world("hang") as w:
            await w.create()
            assert w.provider.deliveries.unsettled().in_flight == 1
            (tmp_path / "books").write_bytes(pickle.dumps(w.provider.memory()))
            await w.provider.close()
            memory = recalled(tmp_path / "books")
            assert memory is not None
            _, sender = dry_world(204)
            after = provider_with(sender, HandClock())
            after.recall(memory)
            assert (after.deliveries.unsettled().in_flight, after.deliveries.unsettled().due) == (0, 1)

    asyncio.run(story())


def test_a_mood_outlives_the_process_with_what_it_has_touched(tmp_path: Path) -> None:
    async def story() -> None:
        w, sender = dry_world(204)
        id = w.provider.put_on(make("duplicate", {"copies": 2}))
        await w.create()
        await w.landed()
        after = reborn(w.provider, tmp_path, sender)

        assert after.mood(id).touched == w.provider.mood(id).touched == 1

    asyncio.run(story())


def test_a_request_that_was_running_is_over_and_its_key_free() -> None:
    keys = Keys()
    assert keys.claim("k1", "one") is None
    assert keys.after_a_death().claim("k1", "another") is None


@pytest.mark.parametrize("there", [True, False])
def test_a_memory_is_recalled_once(tmp_path: Path, there: bool) -> None:
    """A life that ended well leaves none, and must not be given the one before it."""

    async def story() -> None:
        w, _ = dry_world(204)
        path = tmp_path / "books"
        if there:
            path.write_bytes(pickle.dumps(w.provider.memory()))
        assert (recalled(path) is not None) == there
        assert recalled(path) is None

    asyncio.run(story())
