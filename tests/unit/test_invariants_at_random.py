"""Runs told at random: a clean one breaks no promise, and one planted anomaly breaks exactly the promise that names it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import pytest
from histories import BEFORE, FINAL, START, Story
from hypothesis import given, settings
from hypothesis import strategies as st

import harness.invariants
from harness.books import payment_verdicts
from harness.history import Event, History
from harness.judge import judge, status_of
from harness.registry import load
from harness.verdict import INVARIANTS, Status, Verdict

load(harness.invariants)

PAID = ("credited", "part", "revived")
FATES = (*PAID, "found", "aside", "declined")
STEPS = {
    "credited": (None, "Created", "Credited"),
    "found": (None, "Created", "Credited"),
    "part": (None, "Created", "Credited"),
    "revived": (None, "Created", "Failed", "Credited"),
    "declined": (None, "Created", "Failed"),
    "aside": (None, "Created"),
}


@dataclass(frozen=True)
class Wish:
    """What one customer asks for, and what becomes of it.

    Of what was credited, a part may be `refunded` by customer service, and a part be disputed, and the dispute be `won` or
    `lost`; or all of it is taken back (`gone`).

    `credited`; a `part` captured, and that part credited; `revived` after a failure; `found` only when the service asked;
    set `aside` because it was not what was asked for; `declined`. What is asked for is even, and one less is nobody's wish.
    """

    n: int
    account: str
    amount: int
    fate: str
    answers: tuple[bool, ...]
    refusals: int
    repeats: int
    fall: str = ""

    @property
    def back(self) -> tuple[tuple[str, str, int], ...]:
        """What goes back, and comes back again: its id, the news of it, and the amount."""
        part = max(1, self.taken // 3)
        return {
            "": (),
            "refunded": ((f"re_{self.n}", "refunded", part),),
            "won": ((f"dp_{self.n}", "opened", part), (f"dp_{self.n}", "won", part)),
            "lost": (
                (f"re_{self.n}", "refunded", part),
                (f"dp_{self.n}", "opened", part),
                (f"dp_{self.n}", "lost", part),
            ),
            "gone": ((f"dp_{self.n}", "opened", self.taken),),
        }[self.fall]

    @property
    def moves(self) -> tuple[tuple[str, int], ...]:
        """What that is in the ledger."""
        signs = {"refunded": -1, "opened": -1, "won": 1}
        return tuple((f"{id} {news}", signs[news] * amount) for id, news, amount in self.back if news in signs)

    @property
    def left(self) -> int:
        return self.taken + sum(amount for _, amount in self.moves)

    @property
    def taken(self) -> int:
        return self.amount - 1 if self.fate in ("part", "aside") else self.amount

    @property
    def in_ledger(self) -> bool:
        return self.fate in (*PAID, "found")

    @property
    def word(self) -> str:
        if self.in_ledger:
            return "credited" if self.left else "reversed"
        return "failed" if self.fate == "declined" else "processing"


@dataclass(frozen=True)
class Told:
    """A clean run, and the wish that an anomaly may befall."""

    events: tuple[Event, ...]
    wishes: tuple[Wish, ...]
    victim: Wish


@st.composite
def runs(draw: st.DrawFn) -> Told:
    """A few wishes side by side. The first has its key used twice, so that every promise finds something to judge."""
    wishes = [
        Wish(
            n=n,
            account=draw(st.sampled_from("AB")),
            amount=2 * draw(st.sampled_from([250, 350]) | st.integers(3, 10**9)),
            fate="credited" if n == 1 else draw(st.sampled_from(FATES)),
            answers=(True, True) if n == 1 else draw(st.sampled_from([(True,), (False, True), (True, True)])),
            refusals=draw(st.integers(0, 2)),
            repeats=draw(st.integers(2 if n == 1 else 1, 3)),
        )
        for n in range(1, draw(st.integers(1, 4)) + 1)
    ]
    rest = st.lists(st.sampled_from(["", "refunded", "won", "lost", "gone"]), min_size=3, max_size=3)
    wishes = [
        replace(wish, fall=fall if wish.fate in PAID else "")
        for wish, fall in zip(wishes, ["refunded", *draw(rest)], strict=False)
    ]
    story, written = Story(), dict[int | str, float]()
    story.plan(about=tuple(INVARIANTS), correction_limit_minor=0)
    _opened_while_the_provider_is_slow(story)
    _asked_too_often(story)
    story.corrects(0)
    story.suffers()
    story.starts_mixed(1, "PROVIDER_API_KEY")
    story.figures(0)
    story.done("rotate_secret", "k1")
    story.trespasses("stranger", "balance", "not-done", 404, account="A")
    tellings = {wish.n: list(_moments(story, wish, written)) for wish in wishes}
    for n in draw(st.permutations([n for n, moments in tellings.items() for _ in moments])):
        tellings[n].pop(0)()
    story.figures(_duplicates(story))
    _audit(story, wishes, written)
    victim = draw(st.sampled_from([wish for wish in wishes if wish.fate in PAID and wish.left]))
    return Told(tuple(story.events), tuple(wishes), victim)


def _opened_while_the_provider_is_slow(story: Story) -> None:
    story.event("harness", "fault-began", id="x1", fault="latency", args={"link": "api", "ms": 100})
    opening = {"operation": "open_account", "id": "a1", "attempt": 1, "account": "A"}
    story.event("client", "invoked", **opening)
    story.later(3)
    story.event("client", "answered", **opening, outcome="done", status=201, because="201")
    story.fault_ended("x1", 1)


def _asked_too_often(story: Story) -> None:
    """Somebody else, of an amount that is odd; the first is turned away, the second is served and waits for review."""
    money = {"account": "Z", "customer": "zoe", "amount_minor": 10**12, "currency": "EUR", "method": "card"}
    for n, answer in (
        (97, {"outcome": "not-done", "status": 429, "because": "", "limited_by": "customer", "limit": 1} | LIMITED),
        (98, {"outcome": "done", "status": 201, "because": "201", "top_up": "tu_98"}),
    ):
        asked = {"operation": "top_up", "id": f"t{n}", "attempt": 1, "key": f"k{n}", **money}
        story.event("client", "invoked", **asked)
        story.event("client", "answered", **asked, **answer)
        story.later(2)
    story.event(
        "client",
        "answered",
        operation="reviews",
        id="v1",
        attempt=1,
        outcome="done",
        status=200,
        because="200",
        at_least_minor=10**12,
    )
    story.event("service", "review", id="v1", about="tu_98")
    story.event("harness", "notified", top_up="tu_98", status="Processing", customer="zoe")


LIMITED: dict[str, Any] = {"window_s": 1, "wait_s": 0.5}


def _duplicates(story: Story) -> int:
    """Acknowledged deliveries, but the first of each event."""
    heard = [e["webhook_id"] for e in story.events if e.kind == "answer" and e["acknowledged"] and not e["hostile"]]
    return len(heard) - len(set(heard))


def _moments(story: Story, wish: Wish, written: dict[int | str, float]) -> Iterator[Callable[[], Any]]:
    """What happens to one wish, in order; what happens to others may come between."""
    n, money = wish.n, {"account": wish.account, "amount_minor": wish.amount}
    for attempt, answered in enumerate(wish.answers, 1):
        yield lambda attempt=attempt: story.asks(n, attempt=attempt, **money)
        yield lambda: story.requested(n)
        tell = story.told if answered else story.unanswered
        yield lambda attempt=attempt, tell=tell: tell(n, attempt=attempt, **(money if tell == story.told else {}))
    yield lambda: story.payment(n, **money)
    if wish.fate in ("declined", "revived"):
        yield lambda: story.payment(n, "failed", **money)
        yield lambda: story.callback(n, "payment.failed")
        yield lambda: _looks(story, wish, "failed")
    if wish.fate == "declined":
        return
    yield lambda: story.captured(n, wish.taken, **money)
    yield lambda: _looks(story, wish, "failed" if wish.fate == "revived" else "processing")
    for _ in range(wish.refusals):
        yield lambda: story.callback(n, status=503)
    yield lambda: story.callback(n, forgery="unsigned", status=401, webhook_id=f"msg_forged_{n}")
    if wish.fate == "found":
        return
    if wish.in_ledger:
        yield lambda: written.update({n: story.now})
    for _ in range(wish.repeats):
        yield lambda: story.callback(n)
    yield lambda: _looks(story, wish, "credited" if wish.in_ledger else wish.word)
    for reversal in wish.back:
        yield from _reversal_moments(story, wish, reversal, written)
    yield lambda: _looks(story, wish, wish.word)


def _reversal_moments(
    story: Story, wish: Wish, reversal: tuple[str, str, int], written: dict[int | str, float]
) -> Iterator[Callable[[], Any]]:
    (id, news, amount), n = reversal, wish.n
    refund = news == "refunded"
    if refund:
        yield lambda: story.wants_back(n, amount, key=f"b{n}")
    key = f"refund-{n}" if refund else ""
    yield lambda: story.back(n, amount, id=id, news=news, key=key, account=wish.account)
    if news != "lost":
        yield lambda: written.update({f"{id} {news}": story.now})
    for _ in range(wish.repeats):
        yield lambda: story.callback(n, f"payment.{news}" if refund else f"dispute.{news}", reversal=id)


def _looks(story: Story, wish: Wish, word: str, **more: Any) -> None:
    story.looks(wish.n)
    story.reads(wish.n, word, account=wish.account, **more)


def _audit(story: Story, wishes: list[Wish], written: dict[int | str, float]) -> None:
    """All comes to rest; the ledger is read, the service is made to ask, and the ledger is read again."""
    story.settled()
    _ledger(story, BEFORE, wishes, written)
    written |= {wish.n: story.now for wish in wishes if wish.fate == "found"}
    _ledger(story, FINAL, wishes, written)
    story.compares(*(f"pay_{wish.n}" for wish in wishes if wish.fate != "declined" and not wish.in_ledger))
    story.owes("asked")
    story.shows_audit(("eve", "asked", ""))
    story.rewrites("x2")
    story.shows_audit(("eve", "asked", ""), fits=False, id="u2")
    for wish in wishes:
        _looks(story, wish, wish.word, final=True)
        states = STEPS[wish.fate]
        for before, after in pairwise(states):
            story.step(before, after, wish.n)
        if wish.fate == "aside":
            story.set_aside(wish.n)
    story.scanned()
    story.audited()


def _ledger(story: Story, snapshot: str, wishes: list[Wish], written: dict[int | str, float]) -> None:
    story.ledger_read(snapshot, account="C")
    story.entry(0, 0, snapshot, account="C", entry="e0", written=START)
    for account in "AB":
        own = [wish for wish in wishes if wish.account == account and wish.n in written]
        story.balance(sum(wish.left for wish in own), snapshot, account=account)
        story.ledger_read(snapshot, account=account)
        for wish in own:
            story.entry(wish.n, wish.taken, snapshot, account=account, written=written[wish.n])
            for move, amount in wish.moves:
                id = move.partition(" ")[0]
                story.debit(wish.n, -amount, snapshot, id=id, account=account, written=written[move])


# One anomaly in a clean run, and nothing else that is wrong

Plant = Callable[[list[Event], Wish], list[Event]]


@dataclass(frozen=True)
class Anomaly:
    """What goes wrong, the promise that it breaks, and the word for the payment it befalls: by default as it was.

    One of a refund befalls the first wish, of which a part is always refunded.
    """

    breaks: str
    word: str
    plant: Plant
    of_a_refund: bool

    def victim(self, told: Told) -> Wish:
        return told.wishes[0] if self.of_a_refund else told.victim

    def __str__(self) -> str:
        return self.plant.__name__.replace("_", " ")


ANOMALIES: list[Anomaly] = []


def anomaly(breaks: str, word: str = "", *, of_a_refund: bool = False) -> Callable[[Plant], Plant]:
    def add(plant: Plant) -> Plant:
        ANOMALIES.append(Anomaly(breaks, word, plant, of_a_refund))
        return plant

    return add


def with_facts(event: Event, **facts: Any) -> Event:
    return replace(event, facts={**event.facts, **facts})


def entry_of(events: list[Event], wish: Wish) -> Event:
    return next(each for each in at_the_end(events, "entry") if each["payment"] == f"pay_{wish.n}")


def at_the_end(events: list[Event], kind: str) -> list[Event]:
    return [event for event in events if event.kind == kind and event.get("snapshot") == FINAL]


def changed(events: list[Event], wanted: Callable[[Event], bool], **facts: Any) -> list[Event]:
    """Every event that is wanted says something else; there is at least one."""
    assert any(map(wanted, events))
    return [with_facts(event, **facts) if wanted(event) else event for event in events]


def paid_in(events: list[Event], account: str, more: int) -> list[Event]:
    """The balance that is read at the end is higher by so much."""
    [balance] = [event for event in at_the_end(events, "balance") if event["account"] == account]
    return changed(events, lambda event: event is balance, balance_minor=balance["balance_minor"] + more)


def after(events: list[Event], event: Event, *new: Event) -> list[Event]:
    """The new events happen right after one of the old."""
    place = events.index(event) + 1
    return [*events[:place], *(replace(each, at=event.at) for each in new), *events[place:]]


def last(events: list[Event], kind: str) -> Event:
    return [event for event in events if event.kind == kind][-1]


def told_by(tell: Callable[[Story], Any]) -> list[Event]:
    story = Story()
    tell(story)
    return story.events


@anomaly("credited-at-most-once", "doubled")
def credited_twice(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    return paid_in(after(events, entry, with_facts(entry, entry="again")), victim.account, victim.taken)


@anomaly("every-payment-is-credited", "lost")
def never_credited(events: list[Event], victim: Wish) -> list[Event]:
    left = [event for event in events if event.kind != "entry" or event["payment"] != f"pay_{victim.n}"]
    return paid_in(left, victim.account, -victim.left)


@anomaly("every-payment-is-credited", "lost")
def credited_and_then_undone(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    return paid_in([event for event in events if event is not entry], victim.account, -victim.taken)


@anomaly("only-real-payments-credit")
def a_credit_for_nothing(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    phantom = with_facts(entry, entry="phantom", payment="pay_99", amount_minor=1)
    return paid_in(after(events, entry, phantom), victim.account, 1)


@anomaly("credit-matches-payment", "wrong amount")
def a_credit_of_one_more(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    more = changed(events, lambda event: event is entry, amount_minor=victim.taken + 1)
    return paid_in(more, victim.account, 1)


@anomaly("credit-matches-payment", "wrong amount")
def a_credit_in_another_currency(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    return changed(events, lambda event: event is entry, currency="JPY")


@anomaly("credit-matches-payment", "wrong account")
def a_credit_to_somebody_else(events: list[Event], victim: Wish) -> list[Event]:
    entry, other = entry_of(events, victim), "B" if victim.account == "A" else "A"
    moved = changed(events, lambda event: event is entry, account=other)
    return paid_in(paid_in(moved, victim.account, -victim.taken), other, victim.taken)


@anomaly("captured-at-most-once")
def charged_twice_for_one_top_up(events: list[Event], victim: Wish) -> list[Event]:
    name, entry = f"pay_{victim.n}", entry_of(events, victim)
    again = [
        with_facts(each, payment="pay_99") for each in events if each.kind == "payment" and each["payment"] == name
    ]
    charged = [*events, *again, with_facts(entry, entry="again", payment="pay_99")]
    return paid_in(charged, victim.account, victim.taken)


@anomaly("charged-as-ordered", "wrong amount")
def charged_another_amount_than_was_ordered(events: list[Event], victim: Wish) -> list[Event]:
    of_the_victim = lambda event: event.kind == "payment" and event["payment"] == f"pay_{victim.n}"  # noqa: E731
    return changed(events, of_the_victim, amount_minor=victim.amount - 1)


@anomaly("balance-is-sum-of-entries")
def a_balance_that_is_one_more(events: list[Event], victim: Wish) -> list[Event]:
    return paid_in(events, victim.account, 1)


@anomaly("entries-never-change")
def an_entry_that_is_another_one_later(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.get("entry") == "e0" and e["snapshot"] == FINAL, written=START + 1)


@anomaly("entries-never-change")
def an_entry_that_is_deleted(events: list[Event], victim: Wish) -> list[Event]:
    return [e for e in events if e.get("entry") != "e0" or e["snapshot"] != FINAL]


@anomaly("acknowledged-is-durable", "late")
def credited_only_when_the_service_asked(events: list[Event], victim: Wish) -> list[Event]:
    early = [e for e in events if e.kind == "entry" and e["payment"] == f"pay_{victim.n}" and e["snapshot"] == BEFORE]
    assert early
    return [event for event in events if event not in early]


def debit_of(events: list[Event], victim: Wish, snapshot: str = FINAL) -> Event:
    return next(
        e for e in events if e.kind == "entry" and e["snapshot"] == snapshot and e.get("reversal") == f"re_{victim.n}"
    )


@anomaly("acknowledged-is-durable", "late", of_a_refund=True)
def reversed_only_when_the_service_asked(events: list[Event], victim: Wish) -> list[Event]:
    early = debit_of(events, victim, BEFORE)
    return [event for event in events if event is not early]


@anomaly("reversed-once", "reversed twice", of_a_refund=True)
def a_refund_taken_back_twice(events: list[Event], victim: Wish) -> list[Event]:
    debit = debit_of(events, victim)
    return paid_in(after(events, debit, with_facts(debit, entry="again")), victim.account, debit["amount_minor"])


@anomaly("reversed-once", "not reversed", of_a_refund=True)
def a_refund_never_taken_back(events: list[Event], victim: Wish) -> list[Event]:
    both = [debit_of(events, victim, snapshot) for snapshot in (BEFORE, FINAL)]
    left = [event for event in events if not any(event is each for each in both)]
    return paid_in(left, victim.account, -both[0]["amount_minor"])


@anomaly("reversed-once", "wrongly reversed", of_a_refund=True)
def a_refund_of_one_more(events: list[Event], victim: Wish) -> list[Event]:
    debit = debit_of(events, victim)
    more = changed(events, lambda event: event is debit, amount_minor=debit["amount_minor"] - 1)
    return paid_in(more, victim.account, -1)


@anomaly("reversed-once", "wrongly reversed", of_a_refund=True)
def money_taken_back_for_nothing(events: list[Event], victim: Wish) -> list[Event]:
    debit = debit_of(events, victim)
    nothing = with_facts(debit, entry="nothing", reversal="re_99", amount_minor=-1)
    return paid_in(after(events, debit, nothing), victim.account, -1)


@anomaly("reversed-once", "wrongly reversed", of_a_refund=True)
def a_refund_given_back_like_a_dispute_that_was_won(events: list[Event], victim: Wish) -> list[Event]:
    debit = debit_of(events, victim)
    again = with_facts(debit, entry="again", amount_minor=-debit["amount_minor"])
    return paid_in(after(events, debit, again), victim.account, -debit["amount_minor"])


@anomaly("refunded-at-most-once", "refunded again", of_a_refund=True)
def one_wish_refunded_twice(events: list[Event], victim: Wish) -> list[Event]:
    """And each of them in the ledger, as it should be."""
    given = next(e for e in events if e.kind == "reversal" and e["reversal"] == f"re_{victim.n}")
    debit = debit_of(events, victim)
    charged = after(events, given, with_facts(given, reversal="re_99"))
    charged = after(charged, debit, with_facts(debit, entry="again", reversal="re_99"))
    return paid_in(charged, victim.account, debit["amount_minor"])


@anomaly("told-the-truth")
def announced_before_it_was_written(events: list[Event], victim: Wish) -> list[Event]:
    read = next(e for e in events if e.get("word") == "credited" and e["top_up"] == f"tu_{victim.n}")
    own = [e for e in events if e.kind == "entry" and e["payment"] == f"pay_{victim.n}"]
    return changed(events, own.__contains__, written=read.at + 0.001)


@anomaly("told-the-truth")
def called_failed_although_it_was_taken(events: list[Event], victim: Wish) -> list[Event]:
    """And although the provider never said so."""
    own = [e for e in events if e.kind != "payment" or e["payment"] != f"pay_{victim.n}" or e["state"] != "failed"]
    taken = next(e for e in own if e.kind == "payment" and e["payment"] == f"pay_{victim.n}" and e["captured_minor"])
    read = next(
        e for e in own if e.get("operation") == "status" and e["top_up"] == f"tu_{victim.n}" and e.at > taken.at
    )
    answer = next(e for e in own[own.index(read) :] if e.kind == "answered" and e["top_up"] == f"tu_{victim.n}")
    return changed(own, lambda event: event is answer, word="failed")


@anomaly("told-the-truth")
def not_announced_when_all_had_settled(events: list[Event], victim: Wish) -> list[Event]:
    own = [e for e in events if e.kind == "answered" and e.get("top_up") == f"tu_{victim.n}"]
    return changed(events, lambda e: e in own and e["word"] == "credited", word="confirmed")


@anomaly("status-never-goes-back", "regressed")
def announced_and_taken_back(events: list[Event], victim: Wish) -> list[Event]:
    final = next(e for e in events if e.get("final") and e["top_up"] == f"tu_{victim.n}")
    seen = with_facts(final, word="processing", final=False, id="once more")
    return after(events, final, seen)


@anomaly("status-never-goes-back", "regressed")
def failed_by_its_own_record_after_it_was_credited(events: list[Event], victim: Wish) -> list[Event]:
    step = next(
        e for e in events if e.kind == "transition" and e["top_up"] == f"tu_{victim.n}" and e["to"] == "Credited"
    )
    return after(events, step, with_facts(step, **{"from": "Credited", "to": "Failed"}))


@anomaly("transitions-are-legal")
def a_step_that_nobody_recorded(events: list[Event], victim: Wish) -> list[Event]:
    own = [e for e in events if e.kind == "transition" and e["top_up"] == f"tu_{victim.n}"]
    [credited] = [e for e in own if e["to"] == "Credited"]
    return changed(
        events, lambda e: e is credited, **{"from": "Failed" if credited["from"] == "Created" else "Created"}
    )


@anomaly("transitions-are-legal")
def a_step_that_there_is_not(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.get("to") == "Credited" and e["top_up"] == f"tu_{victim.n}", to="Reversed")


@anomaly("transitions-are-legal")
def a_step_without_a_cause(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.get("to") == "Credited" and e["top_up"] == f"tu_{victim.n}", cause=None)


@anomaly("reconciliation-finds-all")
def an_alarm_about_a_payment_that_agrees(events: list[Event], victim: Wish) -> list[Event]:
    [compared] = [e for e in events if e.kind == "answered" and e["operation"] == "compare"]
    finding = {"id": compared["id"], "payment": f"pay_{victim.n}", "class": "missing credit"}
    return after(events, compared, replace(compared, actor="service", kind="finding", facts=finding))


@anomaly("audit-is-complete")
def a_deed_of_which_the_audit_log_says_nothing(events: list[Event], victim: Wish) -> list[Event]:
    return [e for e in events if e.kind != "audit-line" or e["id"] != "u1"]


@anomaly("tampering-is-found")
def a_change_that_does_not_show(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.kind == "audit-line" and e["id"] == "u2", fits=True)


@anomaly("access-is-kept")
def another_tenant_that_is_served(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.get("asked_by") == "stranger", outcome="done", status=200)


@anomaly("duplicates-are-counted")
def a_duplicate_that_was_not_counted(events: list[Event], victim: Wish) -> list[Event]:
    reading = [e for e in events if e.get("operation") == "figures"][-1]
    return changed(events, lambda e: e is reading, duplicates=reading["duplicates"] - 1)


@anomaly("timeline-is-complete")
def a_step_under_another_id(events: list[Event], victim: Wish) -> list[Event]:
    return changed(
        events, lambda e: e.get("to") == "Credited" and e["top_up"] == f"tu_{victim.n}", correlation="cor_other"
    )


@anomaly("same-key-same-answer")
def one_key_that_made_two_top_ups(events: list[Event], victim: Wish) -> list[Event]:
    """Of the first wish, which was asked for twice."""
    return changed(events, lambda e: e.kind == "answered" and e["id"] == "t1" and e["attempt"] == 2, top_up="tu_99")


@anomaly("hostile-input-is-refused")
def a_forgery_that_tripped_the_receiver(events: list[Event], victim: Wish) -> list[Event]:
    answer = next(e for e in events if e.kind == "answer" and e["hostile"])
    return changed(events, lambda e: e is answer, status=500)


@anomaly("hostile-input-is-refused")
def a_forgery_that_was_acknowledged(events: list[Event], victim: Wish) -> list[Event]:
    answer = next(e for e in events if e.kind == "answer" and e["hostile"])
    return changed(events, lambda e: e is answer, status=200, acknowledged=True)


@anomaly("corrections-are-approved")
def a_credit_by_hand_that_nobody_approved(events: list[Event], victim: Wish) -> list[Event]:
    entry = entry_of(events, victim)
    return changed(events, lambda e: e is entry, correction="fi_1")


@anomaly("mixed-starts-are-refused")
def a_mix_that_was_served(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.kind == "start", code=None)


@anomaly("crafted-requests-are-refused")
def a_request_with_two_meanings(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.kind == "assault", status=201)


@anomaly("rotation-refuses-nobody", "late")
def a_genuine_callback_that_was_not_believed(events: list[Event], victim: Wish) -> list[Event]:
    """It came again, and was."""
    answer = next(e for e in events if e.kind == "answer" and e["payment"] == f"pay_{victim.n}" and e["acknowledged"])
    sent = next(e for e in events if e.kind == "delivery" and e["delivery"] == answer["delivery"])
    return after(events, sent, with_facts(answer, status=401, acknowledged=False))


@anomaly("no-secret-in-logs")
def a_secret_in_the_log(events: list[Event], victim: Wish) -> list[Event]:
    return after(events, last(events, "log-scanned"), *told_by(lambda story: story.scanned("callback secret"))[1:])


@anomaly("settles-in-time")
def never_at_rest(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.kind == "settled", reason="1 callback undelivered")


@anomaly("settles-in-time")
def given_up_by_the_provider(events: list[Event], victim: Wish) -> list[Event]:
    return after(events, last(events, "settled"), *told_by(lambda story: story.gave_up(victim.n)))


@anomaly("answered-in-time")
def silence_while_the_provider_is_slow(events: list[Event], victim: Wish) -> list[Event]:
    silence = {"outcome": "unknown", "status": None, "because": "no answer in time: it may have been carried out"}
    return changed(events, lambda e: e.kind == "answered" and e["id"] == "a1", **silence)


@anomaly("limits-are-kept")
def turned_away_again_after_he_had_waited(events: list[Event], victim: Wish) -> list[Event]:
    denial = next(e for e in events if e.kind == "answered" and e["status"] == 429)
    refusal = {name: denial[name] for name in ("outcome", "status", "limited_by", "limit", "window_s", "wait_s")}
    events = [event for event in events if event.kind not in ("review",) and event.get("operation") != "reviews"]
    return changed(events, lambda e: e.kind == "answered" and e["id"] == "t98", top_up=None, **refusal)


@anomaly("told-once")
def told_the_same_again(events: list[Event], victim: Wish) -> list[Event]:
    told = last(events, "notified")
    return after(events, told, told)


@anomaly("odd-is-reviewed")
def odd_and_not_listed(events: list[Event], victim: Wish) -> list[Event]:
    return changed(events, lambda e: e.kind == "review", about="tu_99")


@anomaly("provider-is-not-hammered")
def asked_of_the_provider_again_and_again(events: list[Event], victim: Wish) -> list[Event]:
    first = next(e for e in events if e.kind == "crossing" and e["key"] == f"k{victim.n}")
    return after(events, first, *[first] * 10)


def test_every_promise_has_an_anomaly_that_breaks_it() -> None:
    assert {each.breaks for each in ANOMALIES} == set(INVARIANTS)


# What is found


def judged(events: list[Event] | tuple[Event, ...]) -> dict[str, Verdict]:
    return {verdict.invariant: verdict for verdict in judge(History.merged(events), INVARIANTS)}


def broken(verdicts: dict[str, Verdict]) -> set[str]:
    return {name for name, verdict in verdicts.items() if verdict.status is Status.BROKEN}


def words(events: list[Event] | tuple[Event, ...], verdicts: dict[str, Verdict]) -> dict[str, str]:
    found = payment_verdicts(History.merged(events), list(verdicts.values()))
    return {each.payment: each.verdict for each in found}


@given(runs())
def test_a_clean_run_holds(told: Told) -> None:
    """Every promise finds something to judge, and no payment has a word worse than late, which no callback told of."""
    verdicts = judged(told.events)
    assert {name: each.because for name, each in verdicts.items() if each.status is not Status.HOLDS} == {}
    assert status_of(verdicts.values()) is Status.HOLDS

    expected = {"found": "late", "aside": "set aside"}
    captured = [wish for wish in told.wishes if wish.fate != "declined"]
    right = {wish.n: "reversed" if wish.fall else "exact" for wish in captured}
    assert words(told.events, verdicts) == {
        f"pay_{each.n}": expected.get(each.fate, right[each.n]) for each in captured
    }


@pytest.mark.parametrize("anomaly", ANOMALIES, ids=str)
@settings(max_examples=30)  # of each anomaly
@given(told=runs())
def test_one_anomaly_breaks_exactly_its_promise(anomaly: Anomaly, told: Told) -> None:
    """Once, and with evidence from the history itself; the payment it befell has the word for it, and no other has."""
    victim = anomaly.victim(told)
    events = anomaly.plant(list(told.events), victim)
    verdicts = judged(events)
    assert broken(verdicts) == {anomaly.breaks}
    [violation] = verdicts[anomaly.breaks].violations
    assert violation.evidence
    assert all(any(each is event for event in events) for each in violation.evidence)

    before, now = words(told.events, judged(told.events)), words(events, verdicts)
    assert now[f"pay_{victim.n}"] == (anomaly.word or before[f"pay_{victim.n}"])
    others = before.keys() - {f"pay_{victim.n}"}
    assert {name: now[name] for name in others} == {name: before[name] for name in others}


SILENT = {"every-payment-is-credited", "acknowledged-is-durable", "told-the-truth", "balance-is-sum-of-entries"}


@pytest.mark.parametrize("anomaly", [each for each in ANOMALIES if each.breaks in SILENT], ids=str)
@settings(max_examples=30)
@given(told=runs())
def test_nothing_is_said_of_an_account_whose_books_could_not_be_read(anomaly: Anomaly, told: Told) -> None:
    """What is missing there may be in the part that nobody saw."""
    victim = anomaly.victim(told)
    unread = told_by(lambda story: story.unread(account=victim.account))
    events = anomaly.plant(list(told.events), victim)
    events = after(events, last(events, "settled"), *unread)
    verdicts = judged(events)
    assert broken(verdicts) == set()
    assert status_of(verdicts.values()) is Status.UNKNOWN
    assert words(events, verdicts)[f"pay_{victim.n}"] == "unknown"


@given(told=runs(), anomaly=st.none() | st.sampled_from(ANOMALIES))
def test_judging_what_was_written_down_is_judging_what_was_seen(told: Told, anomaly: Anomaly | None) -> None:
    """To the last word of the evidence."""
    events = list(told.events) if anomaly is None else anomaly.plant(list(told.events), anomaly.victim(told))
    written = [Event.from_json(event.to_json()) for event in History.merged(events)]
    assert judged(written) == judged(events)
