"""Money: whole minor units, a known currency, shown with the digits that the currency has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.money import EXPONENTS, Money


@pytest.mark.parametrize(
    ("money", "shown"),
    [
        (Money(1000, "EUR"), "10.00 EUR"),
        (Money(5, "USD"), "0.05 USD"),
        (Money(1000, "JPY"), "1000 JPY"),
        (Money(18600, "KWD"), "18.600 KWD"),
    ],
)
def test_is_shown_as_its_currency_is_written(money: Money, shown: str) -> None:
    """Two digits, none, or three."""
    assert shown == str(money)


@pytest.mark.parametrize("amount", [0, -1, 1.0, True, "1"])
def test_is_a_whole_number_above_zero(amount: int) -> None:
    """Nothing else is an amount, not even what compares equal to one."""
    with pytest.raises(ValueError, match="whole number"):
        Money(amount, "EUR")


def test_is_in_a_currency_that_is_known() -> None:
    """Others are refused by name."""
    with pytest.raises(ValueError, match="'XAU'"):
        Money(1, "XAU")


@given(st.integers(min_value=1, max_value=10**15), st.sampled_from(sorted(EXPONENTS)))
def test_shows_every_minor_unit(amount: int, currency: str) -> None:
    """Nothing is rounded away: the digits are the amount."""
    digits, _ = str(Money(amount, currency)).split(" ")
    assert amount == int(digits.replace(".", ""))
