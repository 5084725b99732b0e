"""What comparing the books finds, on books of a few lines."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference_impl.findings import (
    ACTIONS,
    Adjusted,
    Balance,
    Book,
    Class,
    Credited,
    balances_against_sums,
    ledger_against_provider,
    states_against_callbacks,
)
from reference_impl.money import Money
from reference_impl.provider_answers import Payment

PAID = Payment(
    id="pay_1",
    reference="tu_1",
    state="captured",
    amount_minor=1000,
    captured_minor=1000,
    currency="EUR",
    account="acc",
    merchant="shop",
    environment="test",
    refunded_minor=0,
    refunds=(),
    disputes=(),
)
CREDIT = Credited("pay_1", "acc", Money(1000, "EUR"))
BOOK = Book("tu_1", "acc", "Credited", (CREDIT,), (), True)
PENDING = replace(PAID, state="pending", captured_minor=0)


@pytest.mark.parametrize(
    ("credits", "payments", "found"),
    [
        ((CREDIT,), [PAID], []),
        ((), [PENDING], []),
        ((), [], []),
        ((), [PAID], ["missing credit"]),
        ((CREDIT, CREDIT), [PAID], ["duplicate credit"]),
        ((replace(CREDIT, money=Money(999, "EUR")),), [PAID], ["amount mismatch"]),
        ((replace(CREDIT, money=Money(1000, "USD")),), [PAID], ["amount mismatch"]),
        ((replace(CREDIT, account="other"),), [PAID], ["wrong account"]),
        ((replace(CREDIT, payment="pay_2"),), [PAID], ["amount mismatch", "missing credit"]),
        ((CREDIT,), [PENDING], ["amount mismatch"]),
        ((CREDIT, replace(CREDIT, payment="pay_2")), [PAID, replace(PAID, id="pay_2")], []),
    ],
)
def test_the_ledger_beside_the_provider(
    credits: tuple[Credited, ...], payments: Sequence[Payment], found: Sequence[str]
) -> None:
    """Payment by payment: as many on both sides is not the same on both sides."""
    assert (
        sorted(finding.class_ for finding in ledger_against_provider(replace(BOOK, credits=credits), payments)) == found
    )


@pytest.mark.parametrize(
    ("credits", "adjusted", "differs"),
    [
        ((), [("acc", 1000, "EUR")], False),
        ((CREDIT, CREDIT), [("acc", -1000, "EUR")], False),
        ((replace(CREDIT, account="other"),), [("other", -1000, "EUR"), ("acc", 1000, "EUR")], False),
        ((replace(CREDIT, account="other"),), [("other", -1000, "EUR")], True),
        ((), [("acc", 999, "EUR")], True),
        ((), [("acc", 1000, "USD")], True),
        ((CREDIT,), [("acc", -1000, "EUR")], True),
    ],
)
def test_after_a_correction_the_sums_count(
    credits: tuple[Credited, ...], adjusted: list[tuple[str, int, str]], differs: bool
) -> None:
    """Account by account: what is corrected to the end is no finding any more, what is corrected halfway is one."""
    corrections = tuple(Adjusted("pay_1", account, amount, currency) for account, amount, currency in adjusted)
    book = replace(BOOK, credits=credits, adjusted=corrections)
    assert [finding.class_ for finding in ledger_against_provider(book, [PAID])] == [Class.AMOUNT] * differs


@pytest.mark.parametrize(
    ("state", "credits", "told", "found"),
    [
        ("Credited", (CREDIT,), True, 0),
        ("Reversed", (CREDIT,), False, 0),
        ("AwaitingPayment", (), False, 0),
        ("Credited", (), False, 1),
        ("AwaitingPayment", (CREDIT,), False, 1),
        ("Failed", (), True, 1),
    ],
)
def test_the_state_beside_what_led_to_it(state: str, credits: tuple[Credited, ...], told: bool, found: int) -> None:
    findings = list(states_against_callbacks(Book("tu_1", "acc", state, credits, (), told)))
    assert [finding.class_ for finding in findings] == [Class.STATUS] * found


@given(st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9)), max_size=5))
def test_a_balance_that_is_not_the_sum_is_found_and_no_other(balances: list[tuple[int, int]]) -> None:
    books = [Balance(f"acc{n}", told, total) for n, (told, total) in enumerate(balances)]
    assert {f.about for f in balances_against_sums(books)} == {b.account for b in books if b.told_minor != b.sum_minor}


def test_there_is_something_to_do_about_each_class() -> None:
    assert set(ACTIONS) == set(Class)
