"""The state machine: the table, the ways through it, and the word for each state."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.states import State, States
from reference_impl.statuses import status_of

states = States()
every_state = st.sampled_from(State)
every_event = st.sampled_from(sorted(States.TARGETS))


@given(every_state, every_event)
def test_whatever_happens_only_legal_steps_are_taken(current: State, event: str) -> None:
    """Where `advance` says go, `path` leads there, each step of it in the table."""
    target = states.advance(current, event)
    if target is not None:
        way = (current, *states.path(current, target))
        assert way[-1] is target
        for here, there in itertools.pairwise(way):
            assert there in States.TABLE[here]


@given(every_state, st.lists(every_event, max_size=12))
def test_a_credit_is_only_undone_by_money_that_goes_back(current: State, events: list[str]) -> None:
    """Once credited, a top-up stays among the states of that; and within them only what the ledger has left moves it."""
    for event in events:
        before, current = current, states.advance(current, event) or current
        if before in States.ONCE_CREDITED:
            assert current in States.ONCE_CREDITED
            assert current is before or event in States.STANDINGS


@given(every_state, every_event)
def test_hearing_it_again_changes_nothing(current: State, event: str) -> None:
    """An event moves a top-up at most once."""
    moved = states.advance(current, event)
    assert moved is None or states.advance(moved, event) is None


@pytest.mark.parametrize(
    ("current", "event", "way"),
    [
        (State.CREATED, "initiated", [State.INITIATED]),
        (State.INITIATED, "captured", [State.AWAITING_PAYMENT, State.CALLBACK_RECEIVED, State.CREDITED]),
        (State.INITIATED, "failed", [State.FAILED]),
        (State.AWAITING_PAYMENT, "captured", [State.CALLBACK_RECEIVED, State.CREDITED]),
        (State.FAILED, "captured", [State.CALLBACK_RECEIVED, State.CREDITED]),
        (State.CREDITED, "partly reversed", [State.PARTLY_REVERSED]),
        (State.CREDITED, "reversed", [State.REVERSED]),
        (State.PARTLY_REVERSED, "reversed", [State.REVERSED]),
        (State.REVERSED, "restored", [State.CREDITED]),
        (State.REVERSED, "partly reversed", [State.PARTLY_REVERSED]),
    ],
)
def test_every_step_is_taken(current: State, event: str, way: list[State]) -> None:
    """A capture that comes early walks through the states that it overtook."""
    target = states.advance(current, event)
    assert target is not None
    assert way == list(states.path(current, target))


@pytest.mark.parametrize(
    ("current", "event"),
    [
        (State.CREDITED, "failed"),
        (State.CREDITED, "accepted"),
        (State.CREDITED, "captured"),
        (State.FAILED, "accepted"),
        (State.REVERSED, "captured"),
        (State.REVERSED, "failed"),
        (State.PARTLY_REVERSED, "captured"),
        (State.CREDITED, "restored"),
        (State.AWAITING_PAYMENT, "initiated"),
    ],
)
def test_what_comes_late_changes_nothing(current: State, event: str) -> None:
    """News that has been overtaken is no news."""
    assert states.advance(current, event) is None


def test_every_state_has_one_of_five_words() -> None:
    """Customers never read anything else, and "Credit applied" only while some credit is there."""
    words = {state: status_of(state) for state in State}
    four = {"Processing", "Payment confirmed", "Credit applied", "Payment failed"}
    assert set(words.values()) == four | {"Credit reversed"}
    applied = [state for state, word in words.items() if word == "Credit applied"]
    assert applied == [State.CREDITED, State.PARTLY_REVERSED]
    assert [state for state, word in words.items() if word == "Credit reversed"] == [State.REVERSED]
