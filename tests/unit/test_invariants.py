"""Every promise, on histories written by hand: kept, broken, and with nothing to judge it by."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from histories import BEFORE, FINAL, Story

import harness.invariants
from harness.books import payment_verdicts, unread
from harness.history import History
from harness.registry import load
from harness.verdict import INVARIANTS, Status, Verdict

load(harness.invariants)

Tell = Callable[[Story], Any]


@dataclass(frozen=True)
class Case:
    """A story, and what one invariant says of it."""

    invariant: str
    status: Status
    tell: Tell
    says: str
    payment: str | None = None
    verdict: str | None = None

    def __str__(self) -> str:
        return f"{self.invariant} {self.status.word}: {self.tell.__name__.replace('_', ' ')}"


CASES: list[Case] = []


def holds(invariant: str) -> Callable[[Tell], Tell]:
    return _case(invariant, Status.HOLDS, "")


def unknown(invariant: str, because: str) -> Callable[[Tell], Tell]:
    return _case(invariant, Status.UNKNOWN, because)


def broken(invariant: str, says: str, payment: str | None = None, verdict: str | None = None) -> Callable[[Tell], Tell]:
    """Exactly one violation, which says so."""
    return _case(invariant, Status.BROKEN, says, payment, verdict)


def _case(invariant: str, status: Status, says: str, *of_payment: str | None) -> Callable[[Tell], Tell]:
    def add(tell: Tell) -> Tell:
        CASES.append(Case(invariant, status, tell, says, *of_payment))
        return tell

    return add


# credited-at-most-once


@holds("credited-at-most-once")
def one_payment_reported_three_times_and_credited_once(story: Story) -> None:
    story.captured()
    for _ in range(3):
        story.callback()
    story.entry()


@holds("credited-at-most-once")
def the_same_entry_read_before_the_service_asked_and_at_the_end(story: Story) -> None:
    story.captured()
    story.entry(snapshot=BEFORE)
    story.entry()


@holds("credited-at-most-once")
def the_other_side_of_a_posting(story: Story) -> None:
    story.captured()
    story.entry()
    story.entry(account="provider", own=False)
    story.entry(amount=-500)


@broken("credited-at-most-once", "pay_1 was credited 2 times", "pay_1", "doubled")
@holds("told-the-truth")
@holds("every-payment-is-credited")
@holds("credit-matches-payment")
def a_second_credit_written_after_the_customer_read_of_the_first(story: Story) -> None:
    story.captured()
    first = story.now
    story.reads(1, "credited")
    story.entry(written=first)
    story.entry(written=story.now)
    story.audited()


@holds("credited-at-most-once")
@broken("only-real-payments-credit", "A was credited for pay_9, for which no money was taken", "pay_9", "phantom")
def one_credit_for_a_payment_that_nobody_made(story: Story) -> None:
    story.captured()
    story.entry()
    story.entry(9)
    story.audited()


@unknown("credited-at-most-once", "no entry in the history")
@broken("every-payment-is-credited", "pay_1 was captured but never credited", "pay_1", "lost")
def a_ledger_without_entries(story: Story) -> None:
    story.captured()
    story.audited()


# every-payment-is-credited


@holds("every-payment-is-credited")
def a_credit_that_came_only_when_the_service_asked(story: Story) -> None:
    story.captured()
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured but never credited", "pay_1", "lost")
def a_credit_that_was_gone_in_the_end(story: Story) -> None:
    story.captured()
    story.entry(snapshot=BEFORE)
    story.audited()


@holds("every-payment-is-credited")
@holds("acknowledged-is-durable")
def a_payment_of_another_amount_set_aside_for_all_to_see(story: Story) -> None:
    story.asks()
    story.captured(captured=300)
    story.callback()
    story.set_aside()
    story.entry(2)
    story.balance(0, BEFORE)
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured", "pay_1", "lost")
def a_payment_set_aside_although_it_is_what_was_asked_for(story: Story) -> None:
    story.asks()
    story.captured()
    story.set_aside()
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured", "pay_1", "lost")
def a_payment_of_another_amount_dropped_without_a_word(story: Story) -> None:
    story.asks()
    story.captured(captured=300)
    story.audited()


@unknown("every-payment-is-credited", "no payment was captured")
@unknown("captured-at-most-once", "no payment was captured")
def a_payment_that_was_declined(story: Story) -> None:
    story.asks()
    story.told()
    story.payment(1, "failed")
    story.audited()


@unknown("every-payment-is-credited", "no audited in the history")
def a_run_that_ended_before_its_audit(story: Story) -> None:
    story.captured()


@holds("every-payment-is-credited")
@holds("acknowledged-is-durable")
@holds("told-the-truth")
def payments_of_an_account_whose_books_could_not_be_read(story: Story) -> None:
    story.captured(1)
    story.captured(2, account="B")
    story.callback(1)
    story.callback(2)
    story.reads(1, "credited")
    story.reads(2, "credited", account="B")
    story.entry(1, snapshot=BEFORE)
    story.entry(1)
    story.unread(account="B")
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured", "pay_1", "lost")
def a_payment_lost_beside_an_account_whose_books_could_not_be_read(story: Story) -> None:
    story.captured()
    story.unread(account="B")
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured", "pay_1", "lost")
def a_payment_lost_while_the_providers_book_was_unread(story: Story) -> None:
    story.captured()
    story.event("harness", "book-unread", book="provider", because="it is gone")
    story.audited()


@holds("every-payment-is-credited")
def a_payment_that_is_not_what_was_asked_for_at_a_target_that_shows_no_doubts(story: Story) -> None:
    story.plan(unoffered={"discrepancy": "it has no [operations.discrepancies]"})
    story.asks()
    story.captured(captured=300)
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured", "pay_1", "lost")
def a_payment_that_is_what_was_asked_for_at_a_target_that_shows_no_doubts(story: Story) -> None:
    story.plan(unoffered={"discrepancy": "it has no [operations.discrepancies]"})
    story.asks()
    story.captured()
    story.audited()


# only-real-payments-credit


@holds("only-real-payments-credit")
def a_credit_for_money_that_was_taken(story: Story) -> None:
    story.captured()
    story.entry()
    story.audited()


@broken("only-real-payments-credit", "for pay_1, for which no money was taken", "pay_1", "phantom")
@holds("told-the-truth")
@holds("credit-matches-payment")
def a_credit_for_a_payment_that_was_declined(story: Story) -> None:
    story.payment(1, "failed")
    story.entry(1)
    story.reads(1, "credited")
    story.audited()


@broken("only-real-payments-credit", "no payment at all", "", "phantom")
def a_balance_that_no_payments_make(story: Story) -> None:
    story.captured()
    story.entry(payment=None, inferred=True, amount=501)
    story.audited()


@unknown("only-real-payments-credit", "no entry in the history")
def nobody_was_credited(story: Story) -> None:
    story.audited()


# credit-matches-payment


@holds("credit-matches-payment")
def a_part_was_captured_and_that_part_was_credited(story: Story) -> None:
    story.captured(captured=300)
    story.entry(amount=300)


@broken("credit-matches-payment", "took 300 EUR (minor units), and credited 500 EUR", "pay_1", "wrong amount")
@holds("every-payment-is-credited")
@holds("only-real-payments-credit")
def a_part_was_captured_and_the_whole_was_credited(story: Story) -> None:
    story.captured(captured=300)
    story.entry(amount=500)
    story.audited()


@broken("credit-matches-payment", "and credited 500 JPY", "pay_1", "wrong amount")
def the_right_number_in_another_currency(story: Story) -> None:
    story.captured()
    story.entry(currency="JPY")


@broken("credit-matches-payment", "pay_1 is of A, and credited B", "pay_1", "wrong account")
@holds("every-payment-is-credited")
def the_right_amount_to_somebody_else(story: Story) -> None:
    story.captured()
    story.entry(account="B")
    story.audited()


@unknown("credit-matches-payment", "no payment in the history")
def a_credit_and_a_provider_that_knows_of_nothing(story: Story) -> None:
    story.entry()


# captured-at-most-once


@holds("captured-at-most-once")
def two_wishes_for_the_same_amount_under_two_keys(story: Story) -> None:
    for n in (1, 2):
        story.asks(n)
        story.told(n)
        story.captured(n)


@holds("captured-at-most-once")
def a_payment_declined_at_first_and_paid_at_the_second_attempt(story: Story) -> None:
    story.asks()
    story.told()
    story.payment(1, "failed")
    story.captured()
    story.captured(cause="reported again")


@broken("captured-at-most-once", "charged 2 times for one intent: pay_1 and pay_2", "pay_2", "charged again")
@holds("credited-at-most-once")
def two_payments_of_one_top_up(story: Story) -> None:
    story.asks()
    story.told()
    story.captured(1)
    story.captured(2, reference="tu_1")
    story.entry(1)
    story.entry(2)


@broken("captured-at-most-once", "charged 2 times for one intent: pay_1 and pay_2", "pay_2", "charged again")
def one_wish_asked_twice_under_one_key_that_became_two_top_ups(story: Story) -> None:
    for attempt in (1, 2):
        story.asks(1, attempt=attempt)
    story.told(1)
    story.captured(1)
    story.captured(2)


@broken("captured-at-most-once", "charged 3 times", "pay_3", "charged again")
def three_payments_of_one_top_up_reported_once_though_they_are_one_wish_too(story: Story) -> None:
    story.asks()
    story.told()
    for n in (1, 2, 3):
        story.captured(n, reference="tu_1")


@holds("captured-at-most-once")
def a_payment_that_no_client_of_ours_asked_for(story: Story) -> None:
    story.asks(1, amount_minor=700)
    story.told(1)
    story.captured(1)
    story.captured(2)


@unknown("captured-at-most-once", "no answered in the history")
def a_payment_and_no_client(story: Story) -> None:
    story.captured()


# access-is-kept


@holds("access-is-kept")
def everybody_is_refused_what_is_not_theirs(story: Story) -> None:
    story.trespasses("stranger", "balance", "not-done", 404)
    story.trespasses("former", "status", "not-done", 401)
    story.trespasses("initiator", "reconcile", "not-done", 403)
    story.trespasses("initiator", "top_up", "done", 201)
    story.done("reconcile", "r1")


@broken("access-is-kept", "another tenant asked for balance about A and was served (200)")
def another_tenant_reads_a_balance(story: Story) -> None:
    story.trespasses("stranger", "balance", "done", 200, account="A")


@broken("access-is-kept", "a key that may not asked for compare and was served (200)")
def a_till_compares_the_books(story: Story) -> None:
    story.trespasses("initiator", "compare", "done", 200)


@broken("access-is-kept", "a key that was revoked asked for top up about tu_1 and was served (202)")
def whoever_has_left_comes_in(story: Story) -> None:
    story.trespasses("former", "top_up", "done", 202, top_up="tu_1")


@broken("access-is-kept", "somebody who had overheard it asked for send again and was served (200)")
def what_was_overheard_is_good_again(story: Story) -> None:
    story.trespasses("signer", "status", "done", 200)
    story.trespasses("eavesdropper", "send_again", "done", 200, overheard="x1")


@unknown("access-is-kept", "nobody asked for what was not theirs, and was answered")
def an_eavesdropper_who_is_the_first_to_be_served(story: Story) -> None:
    """Whose request never arrived has used no nonce."""
    story.trespasses("signer", "status", "unknown", None)
    story.trespasses("eavesdropper", "send_again", "done", 200, overheard="x1")


@unknown("access-is-kept", "nobody asked for what was not theirs, and was answered")
def a_trespasser_whom_nothing_answered(story: Story) -> None:
    story.trespasses("stranger", "balance", "unknown", None)
    story.trespasses("initiator", "status", "done", 200)


# charged-as-ordered


@holds("charged-as-ordered")
def less_captured_than_was_asked_for_rightly(story: Story) -> None:
    story.asks()
    story.told()
    story.captured(captured=300)


@broken(
    "charged-as-ordered",
    "pay_1 was asked for 50 EUR (minor units), and A ordered no such top-up",
    "pay_1",
    "wrong amount",
)
@holds("credit-matches-payment")
def a_tenth_of_what_was_ordered(story: Story) -> None:
    story.asks()
    story.told()
    story.captured(amount_minor=50)
    story.entry(amount=50)
    story.audited()


@broken("charged-as-ordered", "pay_1 was asked for 500 JPY (minor units)", "pay_1", "wrong amount")
def the_same_number_of_other_money(story: Story) -> None:
    story.asks()
    story.told()
    story.captured(currency="JPY")


@holds("charged-as-ordered")
def one_of_two_orders_under_one_key(story: Story) -> None:
    story.asks(1)
    story.asks(1, amount_minor=700)
    story.told()
    story.captured(amount_minor=700)


@holds("charged-as-ordered")
def a_payment_of_an_account_that_is_none_of_ours(story: Story) -> None:
    story.asks()
    story.told()
    story.captured(account="B", amount_minor=1)


@unknown("charged-as-ordered", "no payment was captured")
def an_order_that_was_declined(story: Story) -> None:
    story.asks()
    story.told()
    story.payment(1, "failed")


# balance-is-sum-of-entries


@holds("balance-is-sum-of-entries")
def a_balance_of_two_credits_and_a_debit(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.entry(2, 300)
    story.entry(3, -100)
    story.balance(700)


@holds("balance-is-sum-of-entries")
def a_balance_that_was_behind_before_the_service_asked(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE)
    story.balance(0, BEFORE)
    story.ledger_read()
    story.entry(1, 500)
    story.balance(500)


@holds("balance-is-sum-of-entries")
def the_entry_of_somebody_else_in_the_same_listing(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.entry(1, -500, account="provider", own=False)
    story.balance(500)


@holds("balance-is-sum-of-entries")
def an_account_that_was_never_credited(story: Story) -> None:
    story.ledger_read()
    story.balance(0)


@broken("balance-is-sum-of-entries", "A reads 499, and its entries sum to 500 (minor units)", "pay_1")
def a_balance_that_is_one_short(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.balance(499)


@broken("balance-is-sum-of-entries", "A reads 1, and its entries sum to 800", "pay_2")
def a_balance_that_is_laid_to_the_last_of_the_credits(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.entry(2, 300)
    story.balance(1)


@broken("balance-is-sum-of-entries", "B reads 1, and its entries sum to 0")
def a_balance_without_any_entry_of_its_own(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.ledger_read(account="B")
    story.balance(1, account="B")


@broken("balance-is-sum-of-entries", "A reads 500, and its entries sum to 0")
def a_balance_without_any_entry_at_all(story: Story) -> None:
    story.ledger_read()
    story.balance(500)


@holds("balance-is-sum-of-entries")
def a_wrong_balance_of_an_account_whose_entries_could_not_be_read(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500)
    story.balance(500)
    story.ledger_read(account="B")
    story.balance(500, account="B")
    story.unread(account="B")


@unknown("balance-is-sum-of-entries", "no account's entries were read at the end")
def the_entries_of_the_only_account_could_not_be_read(story: Story) -> None:
    story.ledger_read()
    story.unread()
    story.balance(500)


@unknown("balance-is-sum-of-entries", "no account's entries were read at the end")
def entries_that_were_read_only_before_the_service_asked(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.balance(500)


@unknown("balance-is-sum-of-entries", "no ledger-read in the history")
def entries_that_were_inferred_from_the_balance(story: Story) -> None:
    story.entry(1, 500, inferred=True)
    story.balance(777)


@unknown("balance-is-sum-of-entries", "no balance in the history")
def entries_without_a_balance(story: Story) -> None:
    story.ledger_read()
    story.entry()


# acknowledged-is-durable


def heard_and_forgotten(story: Story) -> None:
    story.captured()
    story.callback()
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@holds("acknowledged-is-durable")
def acknowledged_and_there_without_asking(story: Story) -> None:
    story.captured()
    story.callback()
    story.entry(snapshot=BEFORE)
    story.entry()
    story.audited()


@broken("acknowledged-is-durable", "the callback of pay_1 was acknowledged", "pay_1", "late")
@holds("every-payment-is-credited")
def acknowledged_and_there_only_after_asking(story: Story) -> None:
    heard_and_forgotten(story)


@broken("acknowledged-is-durable", "the callback of pay_1 was acknowledged", "pay_1", "late")
def acknowledged_before_anybody_looked_and_not_there(story: Story) -> None:
    story.captured()
    story.callback()
    story.event("harness", "looked", snapshot=BEFORE)
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@unknown("acknowledged-is-durable", "no callback of a capture was acknowledged")
@holds("every-payment-is-credited")
def acknowledged_while_the_accounts_were_being_read(story: Story) -> None:
    story.event("harness", "looked", snapshot=BEFORE)
    story.balance(0, BEFORE)
    story.captured()
    story.callback()
    story.balance(0, BEFORE, account="B")
    story.entry()
    story.audited()


@holds("acknowledged-is-durable")
@broken("every-payment-is-credited", "pay_1", "pay_1", "lost")
def acknowledged_and_lost_for_good(story: Story) -> None:
    story.captured()
    story.callback()
    story.balance(0, BEFORE)
    story.entry(2)
    story.audited()


@holds("acknowledged-is-durable")
def a_target_that_never_asks_and_has_it_in_the_end(story: Story) -> None:
    story.captured()
    story.callback()
    story.entry()
    story.audited()


@unknown("acknowledged-is-durable", "no callback of a capture was acknowledged")
def acknowledged_only_after_the_service_had_asked(story: Story) -> None:
    story.captured()
    story.balance(0, BEFORE)
    story.callback()
    story.entry()
    story.audited()


@unknown("acknowledged-is-durable", "no callback of a capture was acknowledged")
def refused_and_there_only_after_asking(story: Story) -> None:
    story.captured()
    story.callback(status=503)
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@unknown("acknowledged-is-durable", "no callback of a capture was acknowledged")
def acknowledged_but_the_news_was_of_a_failure(story: Story) -> None:
    story.callback(event="payment.failed")
    story.captured()
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@unknown("acknowledged-is-durable", "no callback of a capture was acknowledged")
def only_a_forgery_was_acknowledged(story: Story) -> None:
    story.captured()
    story.callback(forgery="unsigned")
    story.balance(0, BEFORE)
    story.entry()
    story.audited()


@broken("acknowledged-is-durable", "the callback of pay_1 was acknowledged", "pay_1", "late")
def the_acknowledged_payment_of_a_readable_account_beside_one_that_is_not(story: Story) -> None:
    heard_and_forgotten(story)
    story.captured(2, account="B")
    story.unread(account="B")


# told-the-truth


@holds("told-the-truth")
def processing_until_it_was_credited(story: Story) -> None:
    story.told(1, "processing")
    story.captured()
    story.reads(1, "confirmed")
    written = story.now
    story.reads(1, "credited")
    story.entry(written=written)
    story.reads(1, "credited", final=True)
    story.audited()


@broken("told-the-truth", "'Credit applied' before the credit was in the ledger", "pay_1")
def announced_before_it_was_written(story: Story) -> None:
    story.captured()
    story.reads(1, "credited")
    story.later(1)
    story.entry(written=story.now)
    story.audited()


@holds("told-the-truth")
def a_ledger_that_does_not_say_when(story: Story) -> None:
    story.captured()
    story.reads(1, "credited")
    story.entry(written=None)
    story.audited()


@broken("told-the-truth", "'Credit applied', and the ledger has no such credit")
def announced_for_a_payment_that_was_declined(story: Story) -> None:
    story.payment(1, "failed")
    story.reads(1, "credited")
    story.audited()


@broken("told-the-truth", "'Payment failed', and the money had been taken", "pay_1")
def called_failed_after_the_money_was_taken(story: Story) -> None:
    story.captured()
    story.told(1, "failed")
    story.reads(1, "failed")
    story.entry()
    story.audited()


@holds("told-the-truth")
def called_failed_as_the_provider_did_the_moment_it_took_that_back(story: Story) -> None:
    story.payment(1, "failed")
    story.captured()
    story.reads(1, "failed")
    story.entry()
    story.audited()


@broken("told-the-truth", "'Payment failed', and the money had been taken", "pay_1")
def called_failed_because_of_what_the_provider_said_of_another_payment(story: Story) -> None:
    story.payment(2, "failed")
    story.captured()
    story.reads(1, "failed")
    story.entry()
    story.audited()


@broken("told-the-truth", "'failed' after all had settled, and the credit is in the ledger", "pay_1")
def still_called_failed_when_all_had_settled_though_the_provider_said_so_once(story: Story) -> None:
    story.payment(1, "failed")
    story.captured()
    story.entry()
    story.reads(1, "failed", final=True)
    story.audited()


@holds("told-the-truth")
def called_failed_before_the_money_was_taken(story: Story) -> None:
    story.payment()
    story.reads(1, "failed")
    story.captured()
    story.entry()
    story.audited()


@holds("told-the-truth")
def called_failed_while_it_was_and_paid_later(story: Story) -> None:
    story.payment(1, "failed")
    story.reads(1, "failed")
    story.captured()
    story.reads(1, "credited")
    story.entry()
    story.audited()


@broken("told-the-truth", "'processing' after all had settled, and the credit is in the ledger", "pay_1")
def still_processing_when_all_had_settled(story: Story) -> None:
    story.captured()
    story.entry()
    story.reads(1, "processing", final=True)
    story.audited()


@holds("told-the-truth")
@broken("every-payment-is-credited", "pay_1", "pay_1", "lost")
def announced_and_lost(story: Story) -> None:
    story.captured()
    story.reads(1, "credited")
    story.audited()


@holds("told-the-truth")
@broken("status-never-goes-back", "tu_1 read 'credited' and later 'failed'", "pay_1", "regressed")
def announced_and_taken_back(story: Story) -> None:
    story.captured()
    story.entry()
    story.reads(1, "credited")
    story.looks(1)
    story.reads(1, "failed")
    story.audited()


@holds("told-the-truth")
@broken("status-never-goes-back", "tu_1 went back from Credited to Failed", "pay_1", "regressed")
@holds("transitions-are-legal")
def credited_and_then_failed_by_its_own_record(story: Story) -> None:
    story.plan()
    story.captured()
    story.entry()
    story.reads(1, "failed", final=True)
    story.step(None, "Created")
    story.step("Created", "Credited")
    story.step("Credited", "Failed")
    story.audited()


@unknown("told-the-truth", "no status of a top-up was read")
def answers_without_a_word(story: Story) -> None:
    story.captured()
    story.unanswered()
    story.told(1, None)
    story.audited()


@pytest.mark.parametrize("word", ["credited", "failed"])
def test_one_untruth_is_reported_once(word: str) -> None:
    """However often it is read."""
    story = Story()
    story.captured()
    for _ in range(3):
        story.reads(1, word)
    story.entry(written=story.now)
    story.audited()
    [untruth] = judged("told-the-truth", story).violations
    assert untruth.payment == "pay_1"


# status-never-goes-back


@holds("status-never-goes-back")
def failed_and_then_credited_after_all(story: Story) -> None:
    for word in ("processing", "failed", "processing", "confirmed", "credited", "credited"):
        story.looks(1)
        story.reads(1, word)


@broken("status-never-goes-back", "tu_1 read 'confirmed' and later 'processing'", None, "regressed")
def confirmed_and_then_processing_again(story: Story) -> None:
    story.reads(1, "confirmed")
    story.looks(1)
    story.reads(1, "processing")


@holds("status-never-goes-back")
def the_first_answer_replayed_for_its_key(story: Story) -> None:
    story.told(1, "processing")
    story.reads(1, "credited")
    story.asks(1, attempt=2)
    story.told(1, "processing", attempt=2)


@holds("status-never-goes-back")
def two_reads_at_once_that_were_answered_the_other_way_round(story: Story) -> None:
    story.looks(1, look="slow")
    story.looks(1, look="fast")
    story.reads(1, "credited", look="fast")
    story.reads(1, "processing", look="slow")
    story.reads(1, "credited", look="last")


@broken("status-never-goes-back", "tu_1 read 'credited' and later 'processing'", None, "regressed")
def a_read_that_began_after_the_success_was_read_though_another_overlapped_it(story: Story) -> None:
    story.looks(1, look="slow")
    story.looks(1, look="fast")
    story.reads(1, "credited", look="fast")
    story.reads(1, "processing", look="slow")
    story.looks(1, look="last")
    story.reads(1, "processing", look="last")


@holds("status-never-goes-back")
def two_top_ups_at_different_points(story: Story) -> None:
    story.reads(1, "credited")
    story.reads(2, "processing")


@holds("status-never-goes-back")
def a_credit_that_was_reversed_as_the_machine_allows(story: Story) -> None:
    story.plan()
    story.reads(1, "credited")
    story.step(None, "Created")
    story.step("Created", "Credited")
    story.step("Credited", "Reversed")


@unknown("status-never-goes-back", "no status of a top-up was read")
def answers_that_name_no_top_up(story: Story) -> None:
    story.unanswered()


# transitions-are-legal


@holds("transitions-are-legal")
def a_creation_without_a_from_and_legal_steps(story: Story) -> None:
    story.plan()
    story.step(None, "Created", cause=None)
    story.step("Created", "Failed")
    story.step("Failed", "Credited")


@holds("transitions-are-legal")
def a_record_that_begins_with_its_first_move(story: Story) -> None:
    story.plan()
    story.step("Created", "Credited")


@broken("transitions-are-legal", "tu_1 went from Created to Reversed, which its state machine forbids")
def a_way_that_there_is_not(story: Story) -> None:
    story.plan()
    story.step(None, "Created")
    story.step("Created", "Reversed")


@broken("transitions-are-legal", "tu_1 was at Created, and its next step leaves Failed")
def a_step_that_nobody_recorded(story: Story) -> None:
    story.plan()
    story.step(None, "Created")
    story.step("Failed", "Credited")


@broken("transitions-are-legal", "tu_1 was at Failed, and its next step leaves None")
def created_a_second_time(story: Story) -> None:
    story.plan()
    story.step(None, "Created")
    story.step("Created", "Failed")
    story.step(None, "Created")


@broken("transitions-are-legal", "tu_1 went from Created to Credited and does not say why")
def a_step_without_a_cause(story: Story) -> None:
    story.plan()
    story.step(None, "Created")
    story.step("Created", "Credited", cause=None)


@holds("transitions-are-legal")
def the_steps_of_two_top_ups_in_turn(story: Story) -> None:
    story.plan()
    for before, after in ((None, "Created"), ("Created", "Failed"), ("Failed", "Credited")):
        for n in (1, 2):
            story.step(before, after, n)


@unknown("transitions-are-legal", "the target describes no states")
def steps_of_an_unknown_machine(story: Story) -> None:
    story.plan(states=None)
    story.step(None, "Created")


@unknown("transitions-are-legal", "no transition in the history")
def a_target_that_shows_no_steps(story: Story) -> None:
    story.plan()


@holds("transitions-are-legal")
def a_way_out_of_a_final_state_that_there_is(story: Story) -> None:
    story.plan()
    story.step("Created", "Credited")
    story.step("Credited", "Reversed")


@broken("transitions-are-legal", "tu_1 went from Credited to Reversed and does not say why")
@holds("status-never-goes-back")
def a_way_out_of_a_final_state_that_there_is_without_a_cause(story: Story) -> None:
    story.plan()
    story.told()
    story.step("Created", "Credited")
    story.step("Credited", "Reversed", cause=None)


@broken("transitions-are-legal", "tu_1 was at Created, and its next step leaves Credited")
@holds("status-never-goes-back")
def a_legal_way_out_of_a_final_state_that_it_never_reached(story: Story) -> None:
    story.plan()
    story.told()
    story.step(None, "Created")
    story.step("Credited", "Reversed")


@holds("transitions-are-legal")
@broken("status-never-goes-back", "tu_1 went back from Reversed to Credited", None, "regressed")
def a_way_out_of_the_very_last_state(story: Story) -> None:
    story.plan()
    story.told()
    story.step("Created", "Credited")
    story.step("Credited", "Reversed")
    story.step("Reversed", "Credited")


# timeline-is-complete


@holds("timeline-is-complete")
def one_id_from_the_beginning_to_the_end(story: Story) -> None:
    story.step(None, "Created", correlation="cor_1")
    story.step(None, "Created", 2, correlation="cor_2")
    story.step("Created", "Credited", correlation="cor_1")


@broken("timeline-is-complete", "tu_1 began as cor_1, and went to Credited as cor_2")
def an_id_that_changes_on_the_way(story: Story) -> None:
    story.step(None, "Created", correlation="cor_1")
    story.step("Created", "Credited", correlation="cor_2")


@broken("timeline-is-complete", "tu_1 went to Credited under no correlation id")
def a_step_that_bears_none(story: Story) -> None:
    story.step(None, "Created", correlation="cor_1")
    story.step("Created", "Credited", correlation="")


@unknown("timeline-is-complete", "no step of a top-up bears a correlation id")
def a_timeline_without_ids(story: Story) -> None:
    story.step(None, "Created", correlation="")


# duplicates-are-counted


@holds("duplicates-are-counted")
def two_duplicates_and_more_that_nobody_knows_of(story: Story) -> None:
    story.callback()
    story.figures(4)
    story.callback(2, status=503)
    for _ in range(3):
        story.callback(2)
    story.callback(2, forgery="replayed", status=200)
    story.figures(7)


@broken("duplicates-are-counted", "2 callbacks were acknowledged again, and the figures went up by 1")
def two_duplicates_counted_as_one(story: Story) -> None:
    story.figures(4)
    for _ in range(3):
        story.callback()
    story.figures(5)


@unknown("duplicates-are-counted", "the service's figures were not read twice")
def figures_that_were_read_once(story: Story) -> None:
    story.callback()
    story.callback()
    story.figures(1)


@unknown("duplicates-are-counted", "no callback was acknowledged twice between two readings")
def a_duplicate_of_what_came_before(story: Story) -> None:
    story.callback()
    story.figures(0)
    story.callback()
    story.figures(0)


@unknown("duplicates-are-counted", "the figures began anew between two readings")
def a_service_that_was_started_again(story: Story) -> None:
    story.figures(9)
    story.callback()
    story.callback()
    story.figures(1)


# corrections-are-approved


@holds("corrections-are-approved")
def a_large_correction_approved_by_another_and_a_small_one_by_nobody(story: Story) -> None:
    story.plan(correction_limit_minor=500)
    story.corrects(1, 501)
    story.approves(1, by="eve", outcome="not-done")
    story.approves(1, by="max")
    story.corrects(2, 500)
    story.entry(1, 501, correction="fi_1")
    story.entry(2, 500, correction="fi_2")
    story.audited()


@holds("corrections-are-approved")
def a_large_correction_that_waits_for_ever(story: Story) -> None:
    story.plan(correction_limit_minor=499)
    story.corrects()
    story.approves(by="eve", outcome="not-done")
    story.audited()


@broken("corrections-are-approved", "pay_1 was corrected by 500 (minor units), and eve alone had a hand in it", "pay_1")
def a_large_correction_approved_by_who_asked_for_it(story: Story) -> None:
    story.plan(correction_limit_minor=499)
    story.corrects()
    story.approves(by="eve")
    story.approves(by="max", outcome="not-done")
    story.approves(2, by="max")
    story.entry(correction="fi_1")
    story.audited()


@broken("corrections-are-approved", "pay_1 was corrected by -500 (minor units), and eve alone", "pay_1")
def a_large_correction_that_takes_back_and_did_not_wait(story: Story) -> None:
    story.plan(correction_limit_minor=499)
    story.corrects(amount=-500)
    story.entry(amount=-500, correction="fi_1")
    story.audited()


@unknown("corrections-are-approved", "the target says of no correction that it is too large for one person")
def corrections_without_a_limit(story: Story) -> None:
    story.plan()
    story.corrects()
    story.audited()


@unknown("corrections-are-approved", "no correction was asked for that is too large for one person")
def corrections_that_are_small_or_were_refused(story: Story) -> None:
    story.plan(correction_limit_minor=500)
    story.corrects()
    story.corrects(2, 501, outcome="not-done")
    story.audited()


@holds("reversed-once")
@holds("credited-at-most-once")
def a_payment_credited_by_a_correction(story: Story) -> None:
    """It is no dispute that was won, and no second credit."""
    story.captured()
    story.captured(2)
    story.back(2)
    story.entry(2)
    story.debit(2)
    story.entry(correction="fi_1")
    story.audited()


# mixed-starts-are-refused


@holds("mixed-starts-are-refused")
def mixes_that_ended_with_an_error_and_said_why(story: Story) -> None:
    story.starts_mixed(1, "PROVIDER_API_KEY")
    story.starts_mixed(3, "ENVIRONMENT", mix="database-of-another")


@broken("mixed-starts-are-refused", "it started with live-key, and served")
def a_mix_that_was_warned_of_and_served(story: Story) -> None:
    story.starts_mixed(None, "PROVIDER_API_KEY")


@broken("mixed-starts-are-refused", "it ended as if all were well")
def a_mix_that_ended_without_an_error(story: Story) -> None:
    story.starts_mixed(0, "PROVIDER_API_KEY")


@broken("mixed-starts-are-refused", "it ended with 1 and did not say which setting is wrong")
def a_mix_that_fell_over_something_else(story: Story) -> None:
    story.starts_mixed(1)


@unknown("mixed-starts-are-refused", "no start in the history")
def a_service_that_was_started_once(story: Story) -> None:
    story.callback()


# crafted-requests-are-refused


@holds("crafted-requests-are-refused")
def crafted_requests_answered_4xx_or_hung_up_on(story: Story) -> None:
    story.suffers(status=400)
    story.suffers("endless", 413, taken=4_000_000)
    story.suffers("trickle", 408, took_s=2.1)
    story.suffers("endless", None, closed=True)


@broken("crafted-requests-are-refused", "a request with a body that is twice was answered 201")
def a_request_with_two_meanings_that_was_taken(story: Story) -> None:
    story.suffers(status=201)


@broken("crafted-requests-are-refused", "a request with a body that is deep was answered 500")
def a_deep_request_that_tripped_the_service(story: Story) -> None:
    story.suffers("deep", 500)


@broken("crafted-requests-are-refused", "a request with a body that is endless was taken in to the last: 64 MiB")
def an_endless_request_that_was_read(story: Story) -> None:
    story.suffers("endless", 413, taken=64 * 2**20)


@broken("crafted-requests-are-refused", "kept its connection for 8.0 s, and got no answer")
def a_slow_request_that_was_waited_for(story: Story) -> None:
    story.suffers("trickle", None, took_s=8.0)


@broken("crafted-requests-are-refused", "was refused after 6.0 s")
def a_slow_request_that_was_waited_for_too_long(story: Story) -> None:
    story.suffers("trickle", 408, took_s=6.0)


@unknown("crafted-requests-are-refused", "no assault in the history")
def honest_requests_alone(story: Story) -> None:
    story.asks()


# rotation-refuses-nobody


@holds("rotation-refuses-nobody")
def callbacks_believed_at_each_step_of_a_rotation(story: Story) -> None:
    """What was refused before, or for want of a database, or was forged, is none of it."""
    story.callback(status=401)
    story.done("adopt_secret", "k1")
    story.callback()
    story.done("rotate_secret", "k2")
    story.callback(2, status=503)
    story.callback(2)
    story.callback(3, forgery="retired-key", status=401)


@broken("rotation-refuses-nobody", "a genuine callback about pay_1 was answered 401", "pay_1", "late")
def a_callback_of_the_old_secret_refused_while_both_are_good(story: Story) -> None:
    story.captured()
    story.done("adopt_secret", "k1")
    story.callback(status=401)
    story.callback()


@unknown("rotation-refuses-nobody", "no secret was rotated")
def a_rotation_that_did_not_come_to_pass(story: Story) -> None:
    story.done("rotate_secret", "k1", outcome="not-done")
    story.callback(status=401)


@unknown("rotation-refuses-nobody", "no genuine callback came since")
def a_rotation_after_the_last_callback(story: Story) -> None:
    story.callback()
    story.done("rotate_secret", "k1")
    story.callback(forgery="retired-key", status=401)


# reconciliation-finds-all


@holds("reconciliation-finds-all")
def what_differs_is_reported_and_nothing_else(story: Story) -> None:
    story.captured(1)
    story.captured(2)
    story.compares("pay_2")
    story.captured(3)
    story.entry(1)
    story.audited()


@broken("reconciliation-finds-all", "pay_1 was put aside, and the service's report does not list it", "pay_1")
@holds("every-payment-is-credited")
def a_payment_put_aside_that_nobody_reports(story: Story) -> None:
    story.asks()
    story.captured(1, 1)
    story.set_aside()
    story.compares()
    story.audited()


@holds("reconciliation-finds-all")
@broken("every-payment-is-credited", "pay_1", "pay_1", "lost")
def a_payment_that_is_lost_is_left_to_the_promise_that_names_it(story: Story) -> None:
    story.captured()
    story.compares()
    story.audited()


@broken(
    "reconciliation-finds-all", "the service's report lists pay_1 as missing credit, and it does not differ", "pay_1"
)
def an_alarm_about_nothing(story: Story) -> None:
    story.captured()
    story.compares("pay_1")
    story.entry()
    story.audited()


@unknown("reconciliation-finds-all", "the service was never once made to compare the books")
def books_that_are_not_compared(story: Story) -> None:
    story.captured()
    story.told()


@unknown("reconciliation-finds-all", "no payment was captured before the books were compared")
def books_that_are_compared_too_early(story: Story) -> None:
    story.compares()
    story.captured()


# audit-is-complete

ASKED, PUT_ON = ("eve", "asked", ""), ("eve", "put on", "flag")


@holds("audit-is-complete")
def what_was_done_stands_in_the_log(story: Story) -> None:
    """What is done to something stands there once, however often that was; what is done to nothing, each time."""
    for _ in range(2):
        story.owes("asked")
        story.owes("put on", "flag")
    story.shows_audit(PUT_ON, ASKED, ("max", "asked", ""), ASKED)
    story.owes("put off", "flag")


@broken("audit-is-complete", "eve did this, and the audit log does not say so: asked")
def one_deed_of_two_is_missing(story: Story) -> None:
    story.owes("asked")
    story.owes("asked")
    story.shows_audit(ASKED)


@broken("audit-is-complete", "eve did this, and the audit log does not say so: put on flag")
def another_did_it_says_the_log(story: Story) -> None:
    story.owes("put on", "flag")
    story.shows_audit(("max", "put on", "flag"))


@broken("audit-is-complete", "line 2 of the audit log does not fit, and nobody touched it")
def a_line_that_does_not_fit(story: Story) -> None:
    story.owes("asked")
    story.shows_audit(ASKED, ASKED, fits=False)


@unknown("audit-is-complete", "the audit log was never shown while nobody tampered with it")
@holds("tampering-is-found")
def a_log_that_was_only_shown_while_somebody_tampered(story: Story) -> None:
    story.owes("asked")
    story.rewrites()
    story.shows_audit(ASKED, fits=False)


@unknown("audit-is-complete", "nothing was done that the audit log must tell of")
def a_log_of_nothing(story: Story) -> None:
    story.shows_audit()


# tampering-is-found


@broken("tampering-is-found", "another name was put into the audit log, and all its 1 lines still fit")
@holds("audit-is-complete")
def a_log_that_somebody_changed_unseen(story: Story) -> None:
    story.owes("asked")
    story.rewrites()
    story.shows_audit(ASKED)
    story.fault_ended("x1", 1)
    story.shows_audit(ASKED, id="u2")


@unknown("tampering-is-found", "the audit log was never shown while somebody tampered with it")
def a_log_that_was_shown_too_late(story: Story) -> None:
    story.rewrites()
    story.fault_ended("x1", 1)
    story.shows_audit(ASKED)


# same-key-same-answer


@holds("same-key-same-answer")
def asked_again_and_given_the_same_top_up(story: Story) -> None:
    story.asks()
    story.unanswered()
    story.asks(attempt=2)
    story.told(attempt=2)


@holds("same-key-same-answer")
def another_amount_under_the_same_key_refused(story: Story) -> None:
    story.asks(1)
    story.told(1)
    story.asks(2, key="k1", amount_minor=900)
    story.told(2, None, key="k1", amount_minor=900, outcome="not-done", status=422, top_up=None)


@broken("same-key-same-answer", "a request was accepted under its key with 201, and then refused with 402")
def accepted_and_then_refused(story: Story) -> None:
    story.asks()
    story.told()
    story.asks(2, key="k1")
    story.told(2, None, key="k1", outcome="not-done", status=402, top_up="tu_1")


@holds("same-key-same-answer")
def refused_because_nothing_was_sent_and_then_accepted(story: Story) -> None:
    story.asks()
    story.told(1, None, outcome="not-done", status=None, top_up=None)
    story.asks(attempt=2)
    story.told(attempt=2)


@holds("same-key-same-answer")
def accepted_and_then_asked_for_too_often(story: Story) -> None:
    story.asks()
    story.told()
    story.asks(attempt=2)
    story.told(1, None, attempt=2, outcome="not-done", status=429, top_up=None)


@broken("same-key-same-answer", "one key made 2 top-ups: tu_1, tu_2")
def asked_again_and_given_another_top_up(story: Story) -> None:
    story.asks()
    story.told()
    story.asks(attempt=2)
    story.told(attempt=2, top_up="tu_2")


@broken("same-key-same-answer", "one key was accepted for two different requests")
def another_amount_under_the_same_key_given_the_first_top_up(story: Story) -> None:
    story.asks(1)
    story.told(1)
    story.asks(2, key="k1", amount_minor=900)
    story.told(2, key="k1", amount_minor=900, top_up="tu_1")


@broken("same-key-same-answer", "one key made 2 top-ups: tu_1, tu_2")
def two_at_once_under_one_key(story: Story) -> None:
    story.asks(1)
    story.asks(2, key="k1")
    story.told(1)
    story.told(2, key="k1")


@holds("same-key-same-answer")
def another_amount_under_the_same_key_that_was_served_alone(story: Story) -> None:
    story.asks(1)
    story.refused(1, status=503)
    story.asks(2, key="k1", amount_minor=900)
    story.told(2, key="k1", amount_minor=900)


@unknown("same-key-same-answer", "no idempotency key was used twice")
def every_request_under_a_key_of_its_own(story: Story) -> None:
    for n in (1, 2):
        story.asks(n)
        story.told(n)


@holds("same-key-same-answer")
def two_customers_with_the_same_key(story: Story) -> None:
    for n, customer in ((1, "ann"), (2, "bob")):
        story.asks(n, key="k", customer=customer)
        story.told(n, key="k", customer=customer)


@broken("same-key-same-answer", "bob was refused for another customer's use of the same key")
def a_customer_refused_for_the_key_of_another(story: Story) -> None:
    story.asks(1, key="k", customer="ann")
    story.told(1, key="k", customer="ann")
    story.asks(2, key="k", customer="bob")
    story.told(2, None, key="k", customer="bob", outcome="not-done", status=422, top_up=None)


@broken("same-key-same-answer", "bob was refused for another customer's use of the same key")
def a_customer_refused_for_the_key_of_another_as_stripe_does(story: Story) -> None:
    story.asks(1, key="k", customer="ann")
    story.told(1, key="k", customer="ann")
    story.asks(2, key="k", customer="bob")
    story.told(2, None, key="k", customer="bob", outcome="not-done", status=400, top_up=None)


@holds("same-key-same-answer")
def another_amount_under_the_same_key_told_that_it_runs_as_rocket_rides_does(story: Story) -> None:
    story.asks(1)
    story.told(1)
    story.asks(2, key="k1", amount_minor=900)
    story.told(2, None, key="k1", amount_minor=900, outcome="unknown", status=409, top_up=None)


@broken("same-key-same-answer", "one key gave bob another customer's tu_1")
def a_customer_given_the_top_up_of_another(story: Story) -> None:
    for customer in ("ann", "bob"):
        story.asks(1, key="k", customer=customer)
        story.told(1, key="k", customer=customer)


# hostile-input-is-refused


@holds("hostile-input-is-refused")
def a_forgery_answered_401(story: Story) -> None:
    story.callback(forgery="unsigned", status=401)


@broken("hostile-input-is-refused", "a callback with unsigned about pay_1 was acknowledged with 204", "pay_1")
def a_forgery_answered_204(story: Story) -> None:
    story.callback(forgery="unsigned", status=204)


@holds("hostile-input-is-refused")
def a_forgery_answered_200_with_words_that_the_provider_does_not_take_for_a_yes(story: Story) -> None:
    """There are providers who hear a yes in one word alone, and to whom receivers say `fail` with 200."""
    story.callback(forgery="unsigned", status=200, acknowledged=False)


@holds("hostile-input-is-refused")
def an_authentic_callback_about_somebody_else_answered_204(story: Story) -> None:
    """Providers switch off who answers 4xx to what is true and of no use: ignoring it is right."""
    story.callback(forgery="cross-account", status=204, ignorable=True)


@broken("hostile-input-is-refused", "was answered 500: the receiver tripped", "pay_1")
def an_authentic_callback_about_somebody_else_answered_500(story: Story) -> None:
    story.callback(forgery="cross-account", status=500, ignorable=True)


@holds("hostile-input-is-refused")
@broken("only-real-payments-credit", "pay_1", "pay_1", "phantom")
def an_authentic_callback_about_somebody_else_that_moved_money(story: Story) -> None:
    story.payment(1)
    story.callback(forgery="cross-account", status=204, ignorable=True)
    story.entry(1)
    story.audited()


@broken("hostile-input-is-refused", "was answered 500: the receiver tripped", "pay_1")
def a_forgery_answered_500(story: Story) -> None:
    story.callback(forgery="malformed-signature", status=500)


@broken("hostile-input-is-refused", "got no answer (no answer in time)", "pay_1")
def a_forgery_met_with_silence(story: Story) -> None:
    story.callback(forgery="malformed-signature", status=None)


@unknown("hostile-input-is-refused", "every hostile callback met a part that the plan had broken")
def a_forgery_met_with_silence_while_the_service_is_dead(story: Story) -> None:
    """Nobody was there to refuse it, because the plan says so."""
    story.event("harness", "fault-began", id="x1", fault="kill", args={"node": "service"})
    story.callback(forgery="malformed-signature", status=None)
    story.fault_ended("x1", 1)


@broken("hostile-input-is-refused", "was acknowledged with 204", "pay_1")
def a_forgery_acknowledged_while_something_is_broken(story: Story) -> None:
    """Trouble excuses silence, and no yes."""
    story.event("harness", "fault-began", id="x1", fault="latency", args={"link": "db"})
    story.callback(forgery="unsigned", status=204)
    story.fault_ended("x1", 1)


@broken("hostile-input-is-refused", "got no answer (no answer in time)", "pay_1")
def a_forgery_met_with_silence_once_all_is_mended(story: Story) -> None:
    story.event("harness", "fault-began", id="x1", fault="kill", args={"node": "service"})
    story.fault_ended("x1", 1)
    story.callback(forgery="malformed-signature", status=None)


@broken("hostile-input-is-refused", "got no answer (no answer in time)", "pay_1")
def a_forgery_met_with_silence_in_a_mood(story: Story) -> None:
    """A mood is about genuine callbacks: it excuses nothing."""
    story.event("harness", "fault-began", id="x1", fault="mood", args={"mood": "drop"})
    story.callback(forgery="malformed-signature", status=None)
    story.fault_ended("x1", 1)


@holds("hostile-input-is-refused")
@broken("only-real-payments-credit", "pay_1", "pay_1", "phantom")
def a_forgery_that_moved_money(story: Story) -> None:
    story.payment(1)
    story.callback(forgery="wrong-key", status=200)
    story.entry(1)
    story.audited()


@unknown("hostile-input-is-refused", "no hostile callback was sent")
def genuine_callbacks_alone(story: Story) -> None:
    story.callback(status=500)


# no-secret-in-logs


@holds("no-secret-in-logs")
def logs_without_a_secret(story: Story) -> None:
    story.scanned()


@broken("no-secret-in-logs", "the log of service holds callback secret in 2 lines, first in line 1")
def a_secret_in_two_lines_of_one_log(story: Story) -> None:
    story.scanned("callback secret", "callback secret")


@unknown("no-secret-in-logs", "no log-scanned in the history")
def logs_that_nobody_read(story: Story) -> None:
    story.audited()


# settles-in-time


@holds("settles-in-time")
def at_rest_twice(story: Story) -> None:
    story.settled()
    story.settled()


@broken("settles-in-time", "30.0 s after the last fault, still waiting for: 2 callbacks undelivered")
def never_at_rest(story: Story) -> None:
    story.settled("2 callbacks undelivered", 30.0)


@broken("settles-in-time", "the provider gave up on payment.captured of pay_1 after 8 attempts", "pay_1")
def at_rest_because_the_provider_gave_up(story: Story) -> None:
    story.gave_up()
    story.settled()


@holds("settles-in-time")
def what_was_given_up_while_a_fault_lasted_is_the_faults_doing(story: Story) -> None:
    story.gave_up()
    story.fault_ended("x1", 10)
    story.settled()


@broken("settles-in-time", "the provider gave up on payment.captured of pay_1 after 8 attempts", "pay_1")
def what_was_given_up_after_the_last_fault_is_not(story: Story) -> None:
    story.fault_ended("x1", 10)
    story.gave_up()
    story.settled()


@unknown("settles-in-time", "no settled in the history")
def nobody_waited(story: Story) -> None:
    story.gave_up()


# answered-in-time


def trouble(story: Story, fault: str = "stall", id: str = "x1", **args: Any) -> None:
    story.event("harness", "fault-began", id=id, fault=fault, args=args or {"link": "api"})


@holds("answered-in-time")
def not_yet_is_an_answer(story: Story) -> None:
    trouble(story)
    story.asks()
    story.told(status=202, outcome="unknown", because="accepted, and not yet decided")


@broken("answered-in-time", "top_up t1 had no answer after 4.0 s, and the way to the service was clear")
def silence_while_the_provider_hangs(story: Story) -> None:
    trouble(story, "mood", "x0", mood="delay")
    trouble(story)
    story.asks()
    story.later(3.99)
    story.unanswered()
    story.fault_ended("x1", 1)


@broken("answered-in-time", "top_up t1 had no answer after 3.0 s, and the way to the service was clear")
def silence_while_the_database_is_a_little_late(story: Story) -> None:
    trouble(story, "latency", link="db", ms=50)
    story.asks()
    story.later(2.99)
    story.unanswered()


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def silence_that_the_client_did_not_wait_for(story: Story) -> None:
    trouble(story)
    story.asks()
    story.later(2.98)
    story.unanswered()


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def silence_while_the_database_is_very_late(story: Story) -> None:
    trouble(story, "latency", link="db", ms=51)
    story.asks()
    story.later(4)
    story.unanswered()


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def silence_while_the_database_is_gone(story: Story) -> None:
    trouble(story, "refuse", link="db")
    story.asks()
    story.later(4)
    story.unanswered()


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def silence_on_a_way_that_is_broken_too(story: Story) -> None:
    trouble(story)
    trouble(story, "lose-answers", "x2", link="edge")
    story.asks()
    story.later(4)
    story.unanswered()


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def silence_after_the_trouble_was_over(story: Story) -> None:
    trouble(story)
    story.fault_ended("x1", 1)
    story.asks()
    story.later(4)
    story.unanswered()


@unknown("answered-in-time", "the service was under load")
def silence_under_load(story: Story) -> None:
    trouble(story)
    story.asks()
    story.later(4)
    story.unanswered()
    story.event("harness", "load", summary="")


@unknown(
    "answered-in-time", "no customer was answered or waited long while only something behind the service was in trouble"
)
def an_operator_who_waits_for_what_takes_long(story: Story) -> None:
    trouble(story)
    story.event("client", "invoked", operation="reconcile", id="r1", attempt=1)
    story.event(
        "client",
        "answered",
        operation="reconcile",
        id="r1",
        attempt=1,
        outcome="unknown",
        status=None,
        because="no answer in time: it may have been carried out",
    )


# limits-are-kept

LIMIT: dict[str, Any] = {"limited_by": "customer", "limit": 2, "window_s": 10, "customer": "ann"}


def served(story: Story, n: int, customer: str = "ann") -> None:
    story.asks(n, customer=customer)
    story.told(n, customer=customer)


def denied(story: Story, n: int, wait_s: float) -> None:
    story.asks(n, customer="ann")
    story.told(n, None, outcome="not-done", status=429, top_up=None, wait_s=wait_s, **LIMIT)


@holds("limits-are-kept")
def two_at_once_and_the_third_when_its_turn_has_come(story: Story) -> None:
    served(story, 1)
    served(story, 2)
    denied(story, 3, 4.9)
    story.later(5)
    served(story, 4)
    for n in range(5, 10):
        served(story, n, "bob")


@broken("limits-are-kept", "3 requests were served within 4.9 s, and 2 in 10 s is the limit")
def three_before_the_turn_of_the_third(story: Story) -> None:
    served(story, 1)
    served(story, 2)
    denied(story, 3, 4.9)
    story.later(4.8)
    served(story, 4)


@broken("limits-are-kept", "t4 was turned away 5.0 s after one that was told to wait 4.9 s")
def told_to_wait_and_turned_away_after_that(story: Story) -> None:
    served(story, 1)
    served(story, 2)
    denied(story, 3, 4.9)
    story.later(4.99)
    denied(story, 4, 9.9)


@holds("limits-are-kept")
def turned_away_before_he_had_waited_as_he_was_told(story: Story) -> None:
    served(story, 1)
    served(story, 2)
    denied(story, 3, 4.9)
    story.later(4.8)
    denied(story, 4, 0.1)


@holds("limits-are-kept")
def turned_away_because_he_was_served_meanwhile(story: Story) -> None:
    served(story, 1)
    served(story, 2)
    denied(story, 3, 4.9)
    story.later(5)
    served(story, 4)
    denied(story, 5, 4.9)


@unknown("limits-are-kept", "nobody was told that he asks too often")
def refused_for_something_else(story: Story) -> None:
    story.asks()
    story.refused()


# told-once


def notified(story: Story, n: int = 1, status: str = "Processing") -> None:
    story.event("harness", "notified", top_up=f"tu_{n}", status=status, customer="ann")


@holds("told-once")
def told_that_it_is_late_and_then_that_it_has_come(story: Story) -> None:
    notified(story)
    notified(story, 2)
    notified(story, status="Credit applied")


@broken("told-once", "the customer of tu_1 was told 'Processing' 2 times")
def told_again_that_it_is_late(story: Story) -> None:
    notified(story)
    notified(story, status="Payment failed")
    notified(story)


@unknown("told-once", "no notified in the history")
def nobody_was_told_anything(story: Story) -> None:
    story.asks()


# entries-never-change


@holds("entries-never-change")
def a_credit_that_is_corrected_by_a_further_entry(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1")
    story.ledger_read()
    story.entry(1, 500, entry="e1")
    story.debit(1, 200, entry="e2")


@broken("entries-never-change", "e1 of A was changed: its amount_minor was 500, and is 300", "pay_1")
def a_credit_that_is_corrected_in_place(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1")
    story.ledger_read()
    story.entry(1, 300, entry="e1")


@broken("entries-never-change", "e1 of A was changed: its written was 7.0, and is 8.0", "pay_1")
def a_credit_that_is_dated_anew_from_its_first_reading_on(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1", written=7.0)
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1", written=8.0)
    story.ledger_read()
    story.entry(1, 500, entry="e1", written=8.0)


@broken("entries-never-change", "e1 of A is gone", "pay_1")
def a_credit_that_is_deleted(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1")
    story.ledger_read()
    story.entry(2, 500, entry="e2")


@holds("entries-never-change")
def a_credit_of_an_account_that_could_not_be_read_again(story: Story) -> None:
    story.ledger_read(BEFORE)
    story.entry(1, 500, BEFORE, entry="e1")
    story.ledger_read()
    story.unread()


@holds("entries-never-change")
def one_name_in_the_books_of_two_accounts(story: Story) -> None:
    for snapshot in (BEFORE, FINAL):
        for account, amount in (("A", 500), ("B", 300)):
            story.ledger_read(snapshot, account=account)
            story.entry(1, amount, snapshot, entry="1", account=account)
            story.entry(1, -amount, snapshot, entry="2", account="provider", own=False)


@unknown("entries-never-change", "no entry was read, with a name of its own, before the service asked the provider")
def entries_that_were_read_once(story: Story) -> None:
    story.ledger_read()
    story.entry(1, 500, entry="e1")


@unknown("entries-never-change", "no entry was read, with a name of its own, before the service asked the provider")
def entries_without_a_name(story: Story) -> None:
    for snapshot in (BEFORE, FINAL):
        story.ledger_read(snapshot)
        story.entry(1, 500, snapshot)


# odd-is-reviewed


def reviews(story: Story, *about: str) -> None:
    facts = {"operation": "reviews", "id": "v1", "attempt": 1, "at_least_minor": 500}
    story.event("client", "answered", outcome="done", status=200, **facts)
    for each in about:
        story.event("service", "review", id="v1", about=each)


@holds("odd-is-reviewed")
def a_high_amount_that_is_served_and_listed(story: Story) -> None:
    story.asks()
    story.told()
    story.asks(2, amount_minor=499)
    story.refused(2, status=403)
    reviews(story, "tu_1")


@broken("odd-is-reviewed", "t1 was refused for its amount with 403")
def a_high_amount_that_is_denied(story: Story) -> None:
    story.asks()
    story.refused(status=403)
    reviews(story)


@broken("odd-is-reviewed", "tu_1 is not among what is to be reviewed")
def a_high_amount_that_nobody_hears_of(story: Story) -> None:
    story.asks()
    story.told()
    reviews(story, "tu_2")


@holds("odd-is-reviewed")
def a_high_amount_that_the_card_did_not_have(story: Story) -> None:
    story.asks()
    story.refused(status=402)
    reviews(story)


@unknown("odd-is-reviewed", "nobody asked for 500 minor units or more")
def nothing_that_is_odd(story: Story) -> None:
    story.asks(amount_minor=499)
    story.told(amount_minor=499)
    reviews(story)


@unknown("odd-is-reviewed", "what is to be reviewed was never read")
def a_queue_that_nobody_read(story: Story) -> None:
    story.asks()
    story.told()


# provider-is-not-hammered


@holds("provider-is-not-hammered")
def ten_requests_at_once(story: Story) -> None:
    for _ in range(10):
        story.requested()


@holds("provider-is-not-hammered")
def eleven_requests_in_a_little_more_than_a_second(story: Story) -> None:
    for _ in range(10):
        story.requested()
    story.later(0.92)
    story.requested()


@broken("provider-is-not-hammered", "the request under key k1 was sent 11 times within 1 s")
def eleven_requests_in_a_second(story: Story) -> None:
    for _ in range(10):
        story.requested()
    story.later(0.89)
    story.requested()


@holds("provider-is-not-hammered")
def many_requests_under_keys_of_their_own(story: Story) -> None:
    for n in range(30):
        story.requested(n)


@unknown("provider-is-not-hammered", "no request with an idempotency key went to the provider")
def many_requests_on_another_link(story: Story) -> None:
    for _ in range(30):
        story.requested(link="edge")


# reversed-once


def credited(story: Story, n: int = 1, amount: int = 500) -> None:
    story.asks(n)
    story.captured(n)
    story.entry(n, amount)


@holds("reversed-once")
@holds("credited-at-most-once")
@holds("every-payment-is-credited")
@holds("credit-matches-payment")
@holds("only-real-payments-credit")
def two_equal_refunds_a_dispute_won_and_one_lost(story: Story) -> None:
    credited(story)
    for id in ("re_1", "re_2"):
        story.back(amount=100, id=id)
        story.debit(amount=100, id=id)
    for id, news in (("dp_1", "won"), ("dp_2", "lost")):
        story.back(amount=300, id=id, news="opened")
        story.debit(amount=300, id=id)
        story.back(amount=300, id=id, news=news)
    story.debit(amount=-300, id="dp_1")
    story.audited()


@holds("reversed-once")
@holds("credited-at-most-once")
@holds("credit-matches-payment")
def the_same_in_a_ledger_that_names_no_reversal(story: Story) -> None:
    """A restoration of the whole amount is told from a second credit by the dispute that was won."""
    credited(story)
    story.back(amount=500, id="dp_1", news="opened")
    story.back(amount=500, id="dp_1", news="won")
    story.debit(amount=500, id=None)
    story.debit(amount=-500, id=None)
    for id in ("re_1", "re_2"):
        story.back(amount=100, id=id)
        story.debit(amount=100, id=None)
    story.audited()


@holds("reversed-once")
@holds("every-payment-is-credited")
def all_of_it_went_back_and_the_ledger_left_it_out(story: Story) -> None:
    """Credited and reversed, it comes to the same; what a service does that hears of both at once."""
    story.captured()
    story.back(amount=500)
    story.audited()


@holds("reversed-once")
@holds("every-payment-is-credited")
def a_refund_of_what_was_set_aside(story: Story) -> None:
    story.asks()
    story.captured(captured=300)
    story.set_aside()
    story.back(amount=100)
    story.audited()


@unknown("reversed-once", "no reversal in the history")
def nothing_went_back(story: Story) -> None:
    credited(story)
    story.audited()


@broken("every-payment-is-credited", "pay_1 was captured but never credited", "pay_1", "lost")
@holds("reversed-once")
def a_part_went_back_of_what_was_never_credited(story: Story) -> None:
    """That it was lost is said once, and by the promise about that."""
    story.captured()
    story.back(amount=100)
    story.debit(amount=100)
    story.audited()


@broken("reversed-once", "refund re_1 of pay_1 was taken back 2 times", "pay_1", "reversed twice")
@holds("credited-at-most-once")
def one_refund_taken_back_twice(story: Story) -> None:
    credited(story)
    story.back()
    story.debit()
    story.debit()
    story.audited()


@broken("reversed-once", "for no refund or dispute", "pay_1", "wrongly reversed")
def one_refund_taken_back_twice_in_a_ledger_that_names_none(story: Story) -> None:
    credited(story)
    story.back()
    story.debit(id=None)
    story.debit(id=None)
    story.audited()


@broken("reversed-once", "refund re_2 of pay_1 was never taken back", "pay_1", "not reversed")
def a_second_refund_that_was_forgotten(story: Story) -> None:
    credited(story)
    story.back(id="re_1", amount=100)
    story.back(id="re_2", amount=50)
    story.debit(id="re_1", amount=100)
    story.audited()


@broken(
    "reversed-once",
    "re_1 of pay_1 is about 200 EUR (minor units), and 500 EUR was taken back",
    "pay_1",
    "wrongly reversed",
)
def the_whole_taken_back_for_a_part(story: Story) -> None:
    credited(story)
    story.back()
    story.debit(amount=500)
    story.audited()


@broken("reversed-once", "is about 200 EUR (minor units), and 500 EUR was taken back", "pay_1", "wrongly reversed")
def the_whole_taken_back_for_a_part_in_a_ledger_that_names_none(story: Story) -> None:
    """Once: it is the refund's entry, and wrong, not a refund without an entry beside an entry without a refund."""
    credited(story)
    story.back()
    story.debit(amount=500, id=None)
    story.audited()


@broken("reversed-once", "is of A, and was taken back on B", "pay_1", "wrongly reversed")
def taken_back_from_somebody_else(story: Story) -> None:
    credited(story)
    story.back()
    story.debit(account="B")
    story.audited()


@broken("reversed-once", "dispute dp_1 of pay_1 was won, and never given back", "pay_1", "not reversed")
def a_dispute_that_was_won_for_nothing(story: Story) -> None:
    credited(story)
    for news in ("opened", "won"):
        story.back(id="dp_1", news=news)
    story.debit(id="dp_1")
    story.audited()


@broken("reversed-once", "was given back 2 times after it was won", "pay_1", "reversed twice")
def a_dispute_that_was_won_twice_over(story: Story) -> None:
    credited(story)
    for news in ("opened", "won"):
        story.back(id="dp_1", news=news)
    story.debit(id="dp_1")
    story.debit(id="dp_1", amount=-200)
    story.debit(id="dp_1", amount=-200)
    story.audited()


@broken("reversed-once", "was given back, and was not won", "pay_1", "wrongly reversed")
def a_lost_dispute_that_was_given_back(story: Story) -> None:
    credited(story)
    for news in ("opened", "lost"):
        story.back(id="dp_1", news=news)
    story.debit(id="dp_1")
    story.debit(id="dp_1", amount=-200)
    story.audited()


@broken("reversed-once", "A was charged 70 EUR (minor units) for no refund or dispute", "pay_1", "wrongly reversed")
def taken_back_for_no_reason(story: Story) -> None:
    credited(story)
    story.back()
    story.debit()
    story.debit(amount=70, id="re_9")
    story.audited()


@broken("reversed-once", "was taken back, and the payment was never credited", "pay_1", "wrongly reversed")
def taken_back_what_was_set_aside(story: Story) -> None:
    story.asks()
    story.captured(captured=300)
    story.set_aside()
    story.back(amount=100)
    story.debit(amount=100)
    story.audited()


@broken("credited-at-most-once", "pay_1 was credited 2 times", "pay_1", "doubled")
@holds("reversed-once")
def credited_twice_and_refunded_once(story: Story) -> None:
    credited(story)
    story.entry()
    story.back()
    story.debit()
    story.audited()


@holds("reversed-once")
def a_refund_of_an_account_that_could_not_be_read(story: Story) -> None:
    credited(story)
    story.back()
    story.unread()
    story.audited()


# refunded-at-most-once


@holds("refunded-at-most-once")
def one_wish_asked_twice_and_two_of_the_same_amount(story: Story) -> None:
    story.wants_back(key="b1")
    story.wants_back(key="b1", attempt=2)
    story.wants_back(key="b2")
    story.back(id="re_1", key="refund-1")
    story.back(id="re_2", key="refund-2")


@holds("refunded-at-most-once")
def the_same_given_back_at_the_provider_itself(story: Story) -> None:
    story.wants_back()
    story.back(id="re_1", key="refund-1")
    story.back(id="re_2")


@unknown("refunded-at-most-once", "nobody asked for a refund")
def money_that_went_back_by_other_hands(story: Story) -> None:
    story.asks()
    story.back()


@broken(
    "refunded-at-most-once",
    "pay_1 was given back 2 times for 1 wishes of 200: re_1 and re_2",
    "pay_1",
    "refunded again",
)
def one_wish_and_two_refunds(story: Story) -> None:
    story.captured()
    story.wants_back()
    story.back(id="re_1", key="refund-1")
    story.back(id="re_2", key="refund-2")


# Reversals, and the other promises


@broken("acknowledged-is-durable", "the callback of re_1 was acknowledged", "pay_1", "late")
@holds("reversed-once")
def a_refund_heard_and_forgotten(story: Story) -> None:
    credited(story)
    story.entry(snapshot=BEFORE)
    story.callback()
    story.back()
    story.callback(1, "payment.refunded", reversal="re_1")
    story.balance(500, snapshot=BEFORE)
    story.debit()
    story.audited()


@holds("acknowledged-is-durable")
def a_refund_heard_and_kept(story: Story) -> None:
    credited(story)
    story.entry(snapshot=BEFORE)
    story.callback()
    story.back()
    story.callback(1, "payment.refunded", reversal="re_1")
    story.debit(snapshot=BEFORE)
    story.balance(300, snapshot=BEFORE)
    story.debit()
    story.audited()


@holds("told-the-truth")
@holds("status-never-goes-back")
def credited_reversed_and_credited_again_when_the_dispute_was_won(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.reads(word="credited")
    story.back(amount=500, id="dp_1", news="opened")
    story.debit(amount=500, id="dp_1", written=story.now)
    story.reads(word="reversed", look="r")
    story.back(amount=500, id="dp_1", news="won")
    story.debit(amount=-500, id="dp_1", written=story.now)
    story.reads(word="credited", look="c", final=True)
    story.audited()


@holds("told-the-truth")
@holds("status-never-goes-back")
def a_part_went_back_and_something_is_still_credited(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.reads(word="credited")
    story.back()
    story.debit(written=story.now)
    story.reads(word="credited", look="c", final=True)
    story.audited()


@holds("told-the-truth")
@holds("status-never-goes-back")
def failed_by_a_service_that_has_no_other_word_for_it(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.reads(word="credited")
    story.back(amount=500)
    story.debit(amount=500, written=story.now)
    story.reads(word="failed", look="c", final=True)
    story.audited()


@broken("status-never-goes-back", "read 'reversed' and later 'credited'", "pay_1", "regressed")
@holds("told-the-truth")
def a_refund_that_a_late_capture_made_forgotten(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.back(amount=500)
    story.debit(amount=500, written=story.now)
    story.reads(word="reversed")
    story.reads(word="credited", look="c", final=True)
    story.audited()


@broken("told-the-truth", "read 'credited' after all had settled, and the ledger has nothing left of it", "pay_1")
@holds("status-never-goes-back")
def still_credited_by_word_when_all_of_it_went_back(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.reads(word="credited")
    story.back(amount=500)
    story.debit(amount=500, written=story.now)
    story.reads(word="credited", look="c", final=True)
    story.audited()


@broken("told-the-truth", "read 'reversed', and nothing had gone back", "pay_1")
def reversed_by_word_only(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    story.reads(word="reversed")
    story.audited()


@broken("told-the-truth", "read 'reversed' after all had settled, and the credit is in the ledger", "pay_1")
def reversed_by_word_after_the_dispute_was_won(story: Story) -> None:
    story.captured()
    story.entry(written=story.now)
    for news, amount in (("opened", 500), ("won", -500)):
        story.back(amount=500, id="dp_1", news=news)
        story.debit(amount=amount, id="dp_1", written=story.now)
    story.reads(word="reversed", final=True)
    story.audited()


@holds("balance-is-sum-of-entries")
def a_balance_below_zero(story: Story) -> None:
    """What a bank takes back may have been spent."""
    story.ledger_read()
    story.entry()
    story.debit(amount=700)
    story.balance(-200)


# All of them


def judged(invariant: str, story: Story) -> Verdict:
    return INVARIANTS[invariant].judge(story.history())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_one_promise_on_one_story(case: Case) -> None:
    """The verdict, its words, and evidence in order that is part of the history."""
    story = Story()
    case.tell(story)
    verdict = judged(case.invariant, story)

    assert verdict.status is case.status, verdict
    if case.status is Status.UNKNOWN:
        assert verdict.because.startswith("nothing to judge: ")
        assert case.says in verdict.because
    if case.status is Status.BROKEN:
        [violation] = verdict.violations
        assert case.says in violation.says
        assert (case.payment, case.verdict) == (violation.payment, violation.verdict)
        assert violation.evidence
        assert violation.evidence == tuple(sorted(violation.evidence, key=lambda event: event.at))
        assert all(event in story.events for event in violation.evidence)


@pytest.mark.parametrize("status", Status, ids=lambda status: status.word)
@pytest.mark.parametrize("invariant", INVARIANTS)
def test_every_promise_is_shown_kept_broken_and_unjudged(invariant: str, status: Status) -> None:
    assert any(case.invariant == invariant and case.status is status for case in CASES)


@pytest.mark.parametrize("invariant", INVARIANTS)
def test_an_empty_history_proves_nothing(invariant: str) -> None:
    verdict = INVARIANTS[invariant].judge(History())
    assert verdict.status is Status.UNKNOWN
    assert verdict.weighs


# What becomes of each payment, in one word


@pytest.mark.parametrize(
    ("tell", "word"),
    [
        (a_credit_for_money_that_was_taken, "exact"),
        (a_ledger_without_entries, "lost"),
        (a_second_credit_written_after_the_customer_read_of_the_first, "doubled"),
        (heard_and_forgotten, "late"),
        (a_credit_that_came_only_when_the_service_asked, "late"),
        (a_part_was_captured_and_the_whole_was_credited, "wrong amount"),
        (the_right_amount_to_somebody_else, "wrong account"),
        (credited_and_then_failed_by_its_own_record, "regressed"),
        (a_payment_that_is_not_what_was_asked_for_at_a_target_that_shows_no_doubts, "set aside"),
        (a_payment_set_aside_although_it_is_what_was_asked_for, "lost"),
        (a_run_that_ended_before_its_audit, "unknown"),
        (two_equal_refunds_a_dispute_won_and_one_lost, "reversed"),
        (a_refund_of_what_was_set_aside, "set aside"),
        (one_refund_taken_back_twice, "reversed twice"),
        (a_second_refund_that_was_forgotten, "not reversed"),
        (the_whole_taken_back_for_a_part, "wrongly reversed"),
        (a_refund_heard_and_forgotten, "late"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_payment_has_one_word(tell: Tell, word: str) -> None:
    story = Story()
    tell(story)
    history = story.history()
    verdicts = [invariant.judge(history) for invariant in INVARIANTS.values()]
    assert [("pay_1", word)] == [(each.payment, each.verdict) for each in payment_verdicts(history, verdicts)]


@pytest.mark.parametrize(
    "tell", [heard_and_forgotten, a_ledger_without_entries, a_credit_that_came_only_when_the_service_asked]
)
def test_of_a_payment_whose_account_could_not_be_read_nothing_is_known(tell: Tell) -> None:
    """Of another account's, what was found is said."""
    story = Story()
    tell(story)
    story.captured(2, account="B")
    story.entry(2, account="B")
    story.entry(2, account="B", snapshot=BEFORE)
    story.unread("balance")
    story.unread("timeline", account="C")
    history = story.history()
    assert unread(history) == {"A", "C"}
    verdicts = [invariant.judge(history) for invariant in INVARIANTS.values()]
    words = {each.payment: each.verdict for each in payment_verdicts(history, verdicts)}
    assert words == {"pay_1": "unknown", "pay_2": "exact"}
    assert not [violation for verdict in verdicts for violation in verdict.violations]


def test_two_payments_of_one_top_up_are_told_apart() -> None:
    """The first is exact, the one too many is the one to give back."""
    story = Story()
    two_payments_of_one_top_up(story)
    story.audited()
    listed = payment_verdicts(story.history(), [judged("captured-at-most-once", story)])
    assert [(each.payment, each.verdict) for each in listed] == [("pay_1", "exact"), ("pay_2", "charged again")]


def test_a_phantom_is_listed_beside_the_payments() -> None:
    story = Story()
    one_credit_for_a_payment_that_nobody_made(story)
    listed = payment_verdicts(story.history(), [judged("only-real-payments-credit", story)])
    assert [(each.payment, each.verdict) for each in listed] == [("pay_1", "exact"), ("pay_9", "phantom")]
