"""Amounts that name their payments: a bare balance says which were credited, and how often."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from harness.amounts import TIMES_AT_MOST, UNIT_MINOR, Amounts, as_few_mistakes, times_each

seeds = st.integers()
counts = st.lists(st.integers(0, TIMES_AT_MOST), min_size=1, max_size=8)


def drawn(seed: int, count: int) -> list[int]:
    source = Amounts(Random(seed))
    return [source.next() for _ in range(count)]


def balance(times: list[int], amounts: list[int]) -> int:
    return sum(n * amount for n, amount in zip(times, amounts, strict=True))


@given(seeds, counts)
def test_a_balance_says_how_often_each_payment_was_credited(seed: int, times: list[int]) -> None:
    """Lost, once, doubled or tripled, in any mixture."""
    amounts = drawn(seed, len(times))
    assert times_each(balance(times, amounts), amounts) == dict(zip(amounts, times, strict=True))


@given(seeds, counts, st.data())
def test_no_two_stories_make_the_same_balance(seed: int, times: list[int], data: st.DataObject) -> None:
    other = data.draw(st.lists(st.integers(0, TIMES_AT_MOST), min_size=len(times), max_size=len(times)))
    amounts = drawn(seed, len(times))
    assert (balance(times, amounts) == balance(other, amounts)) == (times == other)


@given(seeds, counts, st.integers(1, UNIT_MINOR - 1))
def test_a_credit_of_a_little_less_or_more_is_not_taken_for_another(seed: int, times: list[int], error: int) -> None:
    """No sum of amounts makes such a balance."""
    amounts = drawn(seed, len(times))
    assert times_each(balance(times, amounts) + error, amounts) is None
    if any(times):
        assert times_each(balance(times, amounts) - error, amounts) is None


@given(seeds, counts)
def test_a_credit_beyond_the_most_that_can_be_told_is_not_taken_for_others(seed: int, times: list[int]) -> None:
    """Of the last payment, which nothing larger hides."""
    amounts = drawn(seed, len(times))
    too_often = [*times[:-1], TIMES_AT_MOST + 1]
    assert times_each(balance(too_often, amounts), amounts) is None


@given(st.integers(max_value=-1), seeds, st.integers(1, 8))
def test_a_balance_below_zero_is_made_by_no_payment(below: int, seed: int, count: int) -> None:
    assert times_each(below, drawn(seed, count)) is None


@given(seeds, st.integers(1, 8))
def test_an_empty_account_was_credited_nothing(seed: int, count: int) -> None:
    amounts = drawn(seed, count)
    assert times_each(0, amounts) == dict.fromkeys(amounts, 0)


def test_without_payments_only_nothing_is_explained() -> None:
    assert times_each(0, []) == {}
    assert times_each(1, []) is None


@given(seeds, counts, st.randoms())
def test_the_order_in_which_the_amounts_are_listed_does_not_matter(seed: int, times: list[int], rng: Random) -> None:
    """Nor that one is listed twice."""
    amounts = drawn(seed, len(times))
    listed = [*amounts, *amounts]
    rng.shuffle(listed)
    assert times_each(balance(times, amounts), listed) == dict(zip(amounts, times, strict=True))


@given(seeds, st.integers(1, 8))
def test_each_amount_is_more_than_three_times_all_before_it(seed: int, count: int) -> None:
    """And the first is at least one unit of money."""
    amounts = drawn(seed, count)
    assert amounts[0] >= UNIT_MINOR
    assert all(amount > TIMES_AT_MOST * sum(amounts[:place]) for place, amount in enumerate(amounts))


@given(seeds)
def test_the_same_seed_is_the_same_amounts(seed: int) -> None:
    assert drawn(seed, 6) == drawn(seed, 6)


def test_other_seeds_are_other_amounts() -> None:
    assert len({drawn(seed, 1)[0] for seed in range(50)}) > 10


signs = st.lists(st.sampled_from([-1, 1]), min_size=4, max_size=4)


@given(seeds, st.lists(st.integers(0, TIMES_AT_MOST), min_size=1, max_size=4), signs)
def test_a_balance_says_as_much_of_parts_that_went_back(seed: int, times: list[int], ways: list[int]) -> None:
    """Amounts below zero name themselves as well, however many of them are forgotten or there twice."""
    amounts = [way * amount for way, amount in zip(ways, drawn(seed, len(times)), strict=False)]
    assert as_few_mistakes(balance(times, amounts), amounts) == tuple(times)


def test_of_two_explanations_the_one_with_fewer_mistakes_is_taken() -> None:
    """And of those that are as good, the one that blames the last amount: which of the two it was, a balance cannot say."""
    whole = [500, -500]
    assert as_few_mistakes(0, whole) == (1, 1), "or neither, and nobody can tell"
    assert as_few_mistakes(500, whole) == (1, 0), "or credited twice"
    assert as_few_mistakes(-500, whole) == (1, 2), "or never credited"


def test_a_balance_that_nothing_explains_is_not_explained() -> None:
    assert as_few_mistakes(777, [500, -200]) is None
    assert as_few_mistakes(1, []) is None
    assert as_few_mistakes(0, []) == ()
