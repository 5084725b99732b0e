"""What people and machines read of a suite: the terminal, the page, JUnit, `run.json` and the link to the latest."""

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from rich.console import Console

import reports
from harness.history import Event, History
from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Wait
from harness.run import PaymentVerdict, Run, Suite
from harness.verdict import Status, Verdict, Violation
from reports import html, junit, terminal, timeline, words
from reports import json as run_json

START = 1_790_000_000.0
HOSTILE = '<script>alert("1")</script> & </title><img src="http://evil.example/x"> \x1b[31m\x00\u202e'
AGAIN = "topup-chaos run duplicate-callbacks --seed 7"
PROMISE = "A payment credits its account once, however often the provider reports it."


def event(seconds: float, actor: str, kind: str, **facts: Any) -> Event:
    return Event(at=START + seconds, actor=actor, kind=kind, facts=facts)


def entry(seconds: float, name: str, **facts: Any) -> Event:
    """Read in the audit, at 9 s; written down by the service at *seconds*."""
    read = {"snapshot": "final", "entry": name, "own": True, "entry_kind": "credit", "written": START + seconds}
    moved = {"account": "acc_1", "amount_minor": 500, "currency": "EUR", "payment": "pay_3"}
    return event(9, "service", "entry", **read | moved | facts)


def delivery(seconds: float, attempt: int, **facts: Any) -> Event:
    about = {"payment": "pay_3", "reference": "tu_3", "event": "payment.captured", "attempt": attempt, "mood": None}
    return event(seconds, "provider", "delivery", **about | facts)


CAPTURED = event(
    0.412,
    "provider",
    "payment",
    payment="pay_3",
    reference="tu_3",
    state="captured",
    amount_minor=500,
    captured_minor=500,
    refunded_minor=0,
    currency="EUR",
)
FIRST, SECOND = delivery(0.418, 1), delivery(5.02, 2, mood="duplicate")
CREDIT, CREDIT_AGAIN = entry(0.431, "e1"), entry(5.027, "e2")
EVENTS = (
    event(0, "harness", "plan", plan={"name": "duplicate-callbacks"}, run="r1", unoffered={}),
    event(0.4, "client", "invoked", operation="top_up", id="t1", attempt=1, amount_minor=500, currency="EUR"),
    CAPTURED,
    event(0.415, "harness", "fault-began", id="f1", fault="duplicate", args={"copies": 2}),
    FIRST,
    event(
        0.43,
        "client",
        "answered",
        operation="top_up",
        id="t1",
        outcome="done",
        status=201,
        top_up="tu_3",
        word="Processing",
    ),
    SECOND,
    event(5.021, "harness", "fault-ended", id="f1", fault="duplicate", touched=1),
    event(6, "provider", "payment", payment="pay_other", state="captured", amount_minor=1, currency="EUR"),
    CREDIT,
    CREDIT_AGAIN,
    entry(0.431, "e1", snapshot="before-reconcile"),
    event(9.1, "harness", "audited"),
)

DOUBLED = Violation("pay_3 was credited 2 times", (CAPTURED, FIRST, CREDIT, SECOND, CREDIT_AGAIN), "pay_3", "doubled")
BROKEN = Verdict("credited-at-most-once", PROMISE, Status.BROKEN, (DOUBLED,))
UNKNOWN = Verdict(
    "faults-bite", "Every fault touched traffic.", Status.UNKNOWN, because="duplicate (f1) touched no traffic"
)
HOLDS = Verdict("books-are-read", "Every book was read to the end.", Status.HOLDS)
WEIGHTLESS = Verdict(
    "reversed-once", "A refund is once.", Status.UNKNOWN, because="nothing to judge: no refund", weighs=False
)


def plan(name: str = "duplicate-callbacks", story: str = "The provider delivers every callback twice.") -> Plan:
    top_up = Operation(id="t1", kind="top_up", about="a1", amount_minor=500, currency="EUR", method="card")
    steps = (Begin("f1", "duplicate", {"copies": 2}), Do((top_up,)), End("f1"))
    return Plan(name, story, 7, steps, ("credited-at-most-once",))


def run(*verdicts: Verdict, payment: str = "exact", **changes: Any) -> Run:
    given = Run(
        plan=plan(),
        target="reference",
        mutant=None,
        proxies="toxiproxy 2.12.0",
        versions={"topup-chaos": "0.1.0"},
        started=datetime(2026, 1, 1, 12, tzinfo=UTC),
        took_s=9.5,
        history=History(EVENTS),
        verdicts=verdicts,
        again=AGAIN,
        payments=(PaymentVerdict("pay_3", "acc_1", 500, "EUR", payment),),
    )
    return replace(given, **changes)


def suite(*runs: Run, folder: Path = Path("reports/runs/one")) -> Suite:
    started = datetime(2026, 1, 1, 12, tzinfo=UTC)
    return Suite(name="run", started=started, took_s=12.25, runs=runs, folder=folder, again="topup-chaos run --seed 7")


BROKEN_RUN = run(HOLDS, BROKEN, WEIGHTLESS, payment="doubled", mutant="credits-each-callback")
UNKNOWN_RUN = run(HOLDS, UNKNOWN, plan=plan("lost-answers", "Answers are lost."), payment="unknown")
HOLDING_RUN = run(HOLDS, WEIGHTLESS, plan=plan("calm", "Nothing happens."))
MIXED = suite(HOLDING_RUN, UNKNOWN_RUN, BROKEN_RUN)

PART: dict[str, Any] = {"amount_minor": 200, "currency": "EUR"}
WHOLE: dict[str, Any] = {"amount_minor": 500, "currency": "EUR"}

# --- words


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        (CAPTURED, "payment captured pay_3 5.00 EUR"),
        (SECOND, "callback payment.captured pay_3 (attempt 2, duplicate)"),
        (delivery(0, 1, copy=2, mood="duplicate"), "callback payment.captured pay_3 (attempt 1, copy 2, duplicate)"),
        (CREDIT, "credit pay_3 +5.00 EUR"),
        (entry(1, "e3", amount_minor=-500, entry_kind=None), "debit pay_3 -5.00 EUR"),
        (entry(1, "e4", amount_minor=-500, own=False, account="clearing"), "credit pay_3 -5.00 EUR on clearing"),
        (event(0, "harness", "fault-began", id="f1", fault="duplicate", args={}), "fault begins: duplicate"),
        (event(0, "harness", "fault-ended", id="f1", fault="stall", touched=0), "fault ends: stall (touched 0)"),
        (
            event(0, "harness", "settled", reason="1 callback due", took_s=30.0),
            "not settled: 1 callback due (after 30.0 s)",
        ),
        (event(0, "harness", "settled", reason=None, took_s=0.25), "settled (after 0.2 s)"),
        (event(0, "harness", "node", node="postgres", did="killed"), "postgres killed"),
        (event(0, "harness", "crossing", link="db", direction="<", label="db ▸ COMMIT", n=3), "db ▸ COMMIT"),
        (event(0, "harness", "surgery", link="db", label="db ▸ COMMIT", action="cut"), "surgery: cut db ▸ COMMIT"),
        (event(0, "harness", "phase", name="heal"), "phase heal"),
        (event(0, "harness", "plan", plan={"name": "calm"}), "plan calm"),
        (event(0, "harness", "log-scanned", node="service", lines=12, secrets=0), "log of service read (12 lines)"),
        (
            event(0, "harness", "secret-in-log", node="service", line=1, secret="key"),
            "secret in the log of service key",
        ),
        (
            event(0, "harness", "wait", until="callbacks-settled", outcome="true"),
            "waited until callbacks-settled: true",
        ),
        (event(0, "harness", "book-unread", book="service", because="500"), "book not read: service (500)"),
        (event(0, "harness", "looked", snapshot="before-reconcile"), "reads the books, before the service asks"),
        (event(0, "harness", "audited"), "all books read"),
        (
            event(0, "client", "invoked", operation="top_up", id="t1", attempt=2, amount_minor=5, currency="JPY"),
            "asks top-up t1 5 JPY attempt 2",
        ),
        (
            event(
                0,
                "client",
                "answered",
                operation="top_up",
                id="t1",
                outcome="not-done",
                status=402,
                word="Payment failed",
            ),
            "hears top-up not done t1 (402, Payment failed)",
        ),
        (
            event(
                0,
                "client",
                "answered",
                operation="balance",
                id="b1",
                outcome="done",
                status=200,
                balance_minor=1500,
                currency="KWD",
            ),
            "hears balance done b1 (200, 1.500 KWD)",
        ),
        (delivery(0, 1, hostile=True, forgery="wrong-key"), "forged callback payment.captured pay_3 (wrong-key)"),
        (
            event(
                0, "provider", "answer", payment="pay_3", status=None, acknowledged=False, because="timed out after 2 s"
            ),
            "callback not acknowledged pay_3 (timed out after 2 s)",
        ),
        (
            event(0, "provider", "gave-up", event="payment.captured", payment="pay_3", attempts=10),
            "gave up on payment.captured pay_3 (10 attempts)",
        ),
        (
            event(0, "provider", "reversal", payment="pay_3", news="refunded", reversal="re_1", **PART),
            "refunded pay_3 2.00 EUR (re_1)",
        ),
        (
            event(0, "provider", "reversal", payment="pay_3", news="opened", reversal="dp_1", **PART),
            "dispute opened, taken back pay_3 2.00 EUR (dp_1)",
        ),
        (
            event(0, "provider", "reversal", payment="pay_3", news="won", reversal="dp_1", **PART),
            "dispute won, given back pay_3 2.00 EUR (dp_1)",
        ),
        (
            event(0, "provider", "reversal", payment="pay_3", news="lost", reversal="dp_1", **PART),
            "dispute lost pay_3 2.00 EUR (dp_1)",
        ),
        (
            event(0, "provider", "payment", payment="pay_3", state="disputed", charged_back_minor=200, **WHOLE),
            "payment disputed pay_3 2.00 EUR",
        ),
        (
            delivery(0, 1, event="payment.refunded", reversal="re_1"),
            "callback payment.refunded pay_3 (re_1, attempt 1)",
        ),
        (
            entry(1, "e5", amount_minor=-200, entry_kind="refund", reversal="re_1"),
            "refund pay_3 -2.00 EUR (re_1)",
        ),
        (event(0, "client", "invoked", operation="give_back", id="g1"), "asks refund at the provider g1"),
        (
            event(0, "client", "answered", operation="win", id="g2", outcome="done"),
            "hears dispute decided for the merchant done g2",
        ),
        (event(0, "service", "balance", account="acc_1", balance_minor=0, currency="EUR"), "balance acc_1 0.00 EUR"),
        (
            event(0, "service", "transition", top_up="tu_3", cause="callback", **{"from": "pending", "to": "credited"}),
            "top-up pending → credited tu_3 (callback)",
        ),
        (
            event(0, "service", "discrepancy", payment="pay_3", discrepancy_kind="missing", expected=500, found=0),
            "discrepancy: missing pay_3 (expected 500, found 0)",
        ),
        (event(0, "service", "novelty", colour="red"), "novelty (colour=red)"),
    ],
)
def test_every_kind_of_event_has_words(what: Event, expected: str) -> None:
    assert words.sentence(what) == expected


@pytest.mark.parametrize("kind", sorted(words._PHRASES))
@pytest.mark.parametrize("facts", [{}, {"payment": ["a"], "amount_minor": "x", "plan": 3, "args": 4, "took_s": "soon"}])
def test_an_event_with_missing_or_odd_facts_still_has_words(kind: str, facts: Mapping[str, Any]) -> None:
    assert words.sentence(event(0, "harness", kind, **facts))


@pytest.mark.parametrize(
    ("amount", "currency", "expected"),
    [
        (500, "EUR", "5.00 EUR"),
        (5, "USD", "0.05 USD"),
        (-5, "USD", "-0.05 USD"),
        (500, "JPY", "500 JPY"),
        (1234, "KWD", "1.234 KWD"),
        (0, "EUR", "0.00 EUR"),
        (None, "EUR", ""),
        ("ten", "EUR", "ten"),
    ],
)
def test_money_is_shown_in_major_units(amount: object, currency: str, expected: str) -> None:
    assert words.money(amount, currency) == expected


def test_long_identifiers_can_be_cut() -> None:
    long = replace(CREDIT, facts={**CREDIT.facts, "payment": "pay_82e2f728b4fa42485e3a"})

    assert words.sentence(long, id_length_max=12) == "credit pay_82e2f72… +5.00 EUR"


def test_nothing_a_target_says_can_steer_a_terminal() -> None:
    said = words.sentence(
        event(0, "client", "answered", operation=HOSTILE, id="\x07\n", outcome="done", because="\u202e")
    )

    assert said.isprintable()
    assert "\\x1b[31m" in said


# --- timeline


def test_a_story_is_the_evidence_what_concerns_the_same_payment_and_the_blows() -> None:
    told = timeline.story(DOUBLED, BROKEN_RUN.history)

    assert [words.sentence(row.event) for row in told.rows if not row.evidence] == [
        "asks top-up t1 5.00 EUR",
        "fault begins: duplicate (copies=2)",
        "hears top-up done t1 (201, Processing)",
        "fault ends: duplicate (touched 1)",
    ]
    assert [row.event for row in told.rows if row.evidence] == list(DOUBLED.evidence)
    assert [row.event for row in told.rows if row.decisive] == [CREDIT_AGAIN]


def test_a_story_is_in_order_of_what_was_written_not_of_what_was_read() -> None:
    seconds = [row.seconds for row in timeline.story(DOUBLED, BROKEN_RUN.history).rows]

    assert seconds == sorted(seconds)
    assert seconds[-1] == pytest.approx(5.027)


def test_what_is_decisive_about_a_wrong_credit_is_the_credit() -> None:
    told = event(9.5, "client", "answered", operation="status", id="s1", top_up="tu_3", outcome="done", status=200)
    evidence = (CAPTURED, CREDIT_AGAIN, CREDIT, told)

    def decisive(verdict: str | None) -> list[Event]:
        rows = timeline.story(Violation("wrong", evidence, "pay_3", verdict), BROKEN_RUN.history).rows
        return [row.event for row in rows if row.decisive]

    assert decisive("doubled") == [CREDIT_AGAIN]
    assert timeline.evidence_only(Violation("lost", evidence, "pay_3", "lost"), BROKEN_RUN.history).rows[-1].decisive


def test_a_time_that_the_service_made_up_is_not_believed() -> None:
    odd = entry(-4000, "e9")
    history = History.merged(EVENTS, [odd])

    told = timeline.story(Violation("odd", (odd,), "pay_3"), history)

    assert next(row.seconds for row in told.rows if row.decisive) == pytest.approx(9)


def test_a_long_story_keeps_the_evidence_and_the_faults_and_counts_what_it_left_out() -> None:
    history = History.merged(EVENTS, [delivery(7 + n / 1000, n) for n in range(100)])

    told = timeline.story(DOUBLED, history)

    assert len(told.rows) == timeline.ROWS_MAX
    assert told.left_out == 9 + 100 - timeline.ROWS_MAX
    assert {e for e in history if e.kind.startswith("fault-")} | set(DOUBLED.evidence) <= {r.event for r in told.rows}


def test_too_much_evidence_keeps_its_end() -> None:
    evidence = tuple(delivery(n, n) for n in range(100))

    told = timeline.story(Violation("many", evidence, "pay_3"), History(evidence))

    assert [row.event for row in told.rows] == list(evidence[-timeline.ROWS_MAX :])


def test_a_fault_that_never_ended_reaches_to_the_end() -> None:
    began = event(0.42, "harness", "fault-began", id="f1", fault="stall", args={})
    history = History.merged([CAPTURED, FIRST, began, SECOND])

    (window,) = timeline.story(Violation("late", (FIRST, SECOND), "pay_3"), history).windows

    assert (window.fault, window.first, window.last, window.open) == ("stall", 2, 3, True)


@pytest.mark.parametrize(
    ("what", "dot", "line"),
    [
        (event(0, "harness", "crossing", link="db", direction=">"), 3, (1, 3)),
        (event(0, "harness", "crossing", link="db", direction="<"), 3, (3, 1)),
        (event(0, "harness", "surgery", link="hook"), 1, (2, 1)),
        (event(0, "harness", "node", node="postgres", did="killed"), 3, None),
        (event(0, "harness", "node", node="service", did="killed"), 1, None),
        (event(0, "client", "invoked", operation="top_up"), 0, (0, 1)),
        (event(0, "client", "answered", operation="pay"), 0, (2, 0)),
        (FIRST, 2, (2, 1)),
        (event(0, "provider", "answer"), 2, (1, 2)),
        (CREDIT, 1, None),
        (event(0, "harness", "phase", name="heal"), None, None),
    ],
)
def test_every_event_has_its_place(what: Event, dot: int | None, line: tuple[int, int] | None) -> None:
    assert timeline.place(what) == timeline.Place(dot, line)


# --- terminal


def test_a_broken_run_shows_promise_evidence_and_the_way_back() -> None:
    assert (
        terminal.block(BROKEN_RUN, Path("reports/runs/one")).plain
        == f"""\
duplicate-callbacks  The provider delivers every callback twice.

BROKEN   credited-at-most-once
         {PROMISE}

         pay_3 was credited 2 times
           0.412  provider  payment captured           pay_3  5.00 EUR
           0.418  provider  callback payment.captured  pay_3  (attempt 1)             ┐ duplicate
           0.431  service   credit                     pay_3  +5.00 EUR               │
           5.020  provider  callback payment.captured  pay_3  (attempt 2, duplicate)  ┘
           5.027  service   credit                     pay_3  +5.00 EUR               ◀

again:   {AGAIN}
look:    reports/runs/one/report.html"""
    )


def test_faults_that_overlap_stand_beside_each_other_and_those_between_the_evidence_are_seen() -> None:
    blows = [
        event(1, "harness", "fault-began", id="f2", fault="stall", args={"link": "db"}),
        event(2, "harness", "fault-ended", id="f2", fault="stall", touched=3),
        event(5.01, "harness", "fault-began", id="f3", fault="crash", args={}),
    ]
    found = run(BROKEN, history=History.merged(EVENTS, blows))

    shown = terminal.block(found, Path("one")).plain.split("pay_3 was credited 2 times\n")[1].split("\n\n")[0]

    expected = """\
           0.412  provider  payment captured           pay_3  5.00 EUR
           0.418  provider  callback payment.captured  pay_3  (attempt 1)             ┐  duplicate
           0.431  service   credit                     pay_3  +5.00 EUR               │
           1.000  harness   fault begins: stall               (link=db)               │┐ stall db
           2.000  harness   fault ends: stall                 (touched 3)             │┘
           5.020  provider  callback payment.captured  pay_3  (attempt 2, duplicate)  ┘┐ crash (never ended)
           5.027  service   credit                     pay_3  +5.00 EUR                │ ◀"""
    assert shown == expected


def test_an_unknown_run_says_why_and_a_traceback_stays_below_its_reason() -> None:
    raised = replace(UNKNOWN, invariant="raised", because="the invariant raised:\nTraceback\n  File\x1b[2J\n")

    assert (
        terminal.block(run(UNKNOWN, raised), Path("one")).plain
        == f"""\
duplicate-callbacks  The provider delivers every callback twice.

UNKNOWN  faults-bite   duplicate (f1) touched no traffic
UNKNOWN  raised        the invariant raised:
           Traceback
             File\\x1b[2J

again:   {AGAIN}
look:    one/report.html"""
    )


def test_a_run_without_a_verdict_that_weighs_is_not_shown_as_empty() -> None:
    assert "UNKNOWN  no verdict weighs: nothing was judged" in terminal.block(run(WEIGHTLESS), Path("one")).plain


def test_many_violations_are_counted_not_poured_out() -> None:
    many = replace(BROKEN, violations=tuple(replace(DOUBLED, says=f"pay_{n} was doubled") for n in range(10)))

    shown = terminal.block(run(many), Path("one")).plain

    told = [said for said in shown.splitlines() if "was doubled" in said or "more like this" in said]
    assert [said.strip() for said in told] == [
        *(f"pay_{n} was doubled" for n in range(5)),
        "and 5 more like this, in the report",
    ]
    assert shown.count("◀") == 1


def test_the_summary_counts_and_says_where_the_time_went() -> None:
    assert (
        terminal.summary(MIXED, {"stack": 2.0, "runs": 10.25}).plain
        == """\
BROKEN   3 runs: 1 broken, 1 unknown, 1 holds · 3 payments: 1 exact, 1 unknown, 1 doubled · 12.2 s
         time     runs 10.2 s, stack 2.0 s
         proxies  toxiproxy 2.12.0

again:   topup-chaos run --seed 7
look:    reports/runs/one/report.html"""
    )


def test_a_suite_of_nothing_is_unknown() -> None:
    assert terminal.summary(suite()).plain.startswith("UNKNOWN  0 runs · 12.2 s")
    assert "Nothing was run" in html.render(suite())


def shown(*, terminal_like: bool) -> str:
    console = Console(
        file=io.StringIO(),
        force_terminal=terminal_like,
        width=60,
        color_system="truecolor" if terminal_like else "auto",
    )
    with terminal.Live("run", total=3, console=console) as live:
        for each in MIXED.runs:
            live.begins(each.plan.name)
            live.finished(each)
    terminal.print_suite(MIXED, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_pipe_gets_plain_lines_unwrapped() -> None:
    text = shown(terminal_like=False)

    assert "\x1b" not in text
    assert text.splitlines()[:3] == [
        "holds    calm                                        9.5 s   1 payment",
        "unknown  lost-answers                                9.5 s   1 payment    "
        "faults-bite: duplicate (f1) touched no traffic",
        "broken   duplicate-callbacks                         9.5 s   1 payment    credited-at-most-once (1 doubled)",
    ]
    assert f"\n         {PROMISE}\n" in text
    assert text.index("BROKEN   credited-at-most-once") < text.index("UNKNOWN  faults-bite") < text.index("3 runs:")


def test_on_a_terminal_the_verdict_word_alone_is_coloured() -> None:
    text = shown(terminal_like=True)

    assert "\x1b[1;31mbroken   \x1b[0mduplicate-callbacks" in text
    assert "\x1b[1;33munknown  \x1b[0mlost-answers" in text
    assert "\x1b[1;32mholds    \x1b[0mcalm" in text


def test_only_the_worst_runs_are_told_in_full() -> None:
    console = Console(file=io.StringIO(), width=80)

    terminal.print_suite(MIXED, console, blocks_max=1)

    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "BROKEN   credited" in text
    assert "UNKNOWN  faults-bite" not in text
    assert "and 1 run more that did not hold, in the report" in text


# --- the page


class Page(HTMLParser):
    """What a test asks of a page: its tags with their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def classed(self, name: str) -> int:
        return sum(name in (attributes.get("class") or "").split() for _, attributes in self.tags)


def test_the_page_needs_nothing_else() -> None:
    text = html.render(MIXED)
    page = Page(text)

    fetched = [
        value for _, attrs in page.tags for name, value in attrs.items() if name in ("src", "href", "srcset", "action")
    ]
    assert [value for value in fetched if not (value or "").startswith("#")] == []
    assert {"script", "link", "iframe", "img", "object"} & {tag for tag, _ in page.tags} == set()
    assert "url(" not in text
    assert "@import" not in text
    assert "prefers-color-scheme: dark" in text


def test_every_link_on_the_page_leads_somewhere() -> None:
    page = Page(html.render(MIXED))

    anchors = {f"#{attributes['id']}" for _, attributes in page.tags if attributes.get("id")}
    links = {attributes["href"] for tag, attributes in page.tags if tag == "a"}
    assert links == anchors == {"#run-1", "#run-2", "#run-3"}


def test_the_worst_run_comes_first_on_the_page() -> None:
    page = Page(html.render(MIXED))

    assert [attributes["href"] for tag, attributes in page.tags if tag == "a"] == ["#run-3", "#run-2", "#run-1"]


def test_a_mutant_is_named_beside_its_run_only_where_runs_differ_in_it() -> None:
    assert "mutant credits-each-callback" in Page(html.render(MIXED)).text
    assert "mutant credits-each-callback" not in Page(html.render(suite(BROKEN_RUN, BROKEN_RUN))).text


def test_a_version_takes_the_place_of_a_name() -> None:
    told = run(HOLDS, proxies="toxiproxy", versions={"proxies": "toxiproxy 2.12.0 (cache)"})

    page = Page(html.render(suite(told)))

    assert [tag for tag, _ in page.tags].count("dt") == 6
    assert "toxiproxy 2.12.0 (cache)" in page.text
    assert "proxies  toxiproxy 2.12.0 (cache)" in terminal.summary(suite(told)).plain


def test_the_page_says_what_when_and_on_what() -> None:
    text = Page(html.render(MIXED)).text

    for said in (
        "1 of 3 runs broke a promise: credited-at-most-once. Payments: 1 doubled.",
        "2026-01-01 12:00:00 UTC",
        "12.2 s",
        "credits-each-callback",
        "toxiproxy 2.12.0",
        "duplicate (f1) touched no traffic",
        "nothing to judge: no refund",
        PROMISE,
    ):
        assert said in text


def test_every_violation_has_its_timeline_and_the_command_that_repeats_it() -> None:
    twice = replace(BROKEN, violations=(DOUBLED, replace(DOUBLED, says="pay_3 <again>", evidence=(FIRST,))))
    page = Page(html.render(suite(run(twice))))

    assert page.classed("violation") == page.classed("timeline") == page.classed("here") == 2
    assert page.text.count(AGAIN) == 2
    assert page.classed("window") == 2
    assert "pay_3 <again>" in page.text


def test_the_page_says_how_many_events_it_left_out() -> None:
    history = History.merged(EVENTS, [delivery(7 + n / 1000, n) for n in range(100)])

    assert (
        "69 events about the same payment left out here" in Page(html.render(suite(run(BROKEN, history=history)))).text
    )
    assert "left out here" not in Page(html.render(suite(run(BROKEN)))).text


def test_the_page_says_how_far_a_search_went() -> None:
    """That nothing was found means as much as the search did."""
    searched = replace(suite(HOLDING_RUN), searched=("meeting: not exhausted · 3 orders tried <b>",))

    assert "meeting: not exhausted · 3 orders tried <b>" in Page(html.render(searched)).text
    assert Page(html.render(searched)).classed("searched") == 1
    assert Page(html.render(suite(HOLDING_RUN))).classed("searched") == 0


def test_an_answer_that_never_arrived_is_drawn_differently() -> None:
    def drawn(status: int | None, outcome: str = "unknown") -> int:
        answered = event(0.5, "client", "answered", operation="pay", id="t1", outcome=outcome, status=status)
        history = History((FIRST, answered))
        violation = Violation("told nothing", (answered,))
        return Page(html.render(suite(run(replace(BROKEN, violations=(violation,)), history=history)))).classed(
            "unheard"
        )

    assert (drawn(None), drawn(500), drawn(None, outcome="done")) == (1, 0, 0)


def test_a_fault_whose_beginning_is_not_shown_is_still_named() -> None:
    many = [delivery(1 + n / 1000, n) for n in range(timeline.ROWS_MAX)]
    found = replace(BROKEN, violations=(Violation("many", tuple(many), "pay_3"),))

    page = Page(html.render(suite(run(found, history=History.merged(EVENTS, many)))))

    assert "fault begins" not in page.text
    assert "during duplicate" in page.text


def test_a_violation_without_events_says_so() -> None:
    silent = replace(BROKEN, violations=(Violation("still waiting for 2 callbacks", ()),))

    page = Page(html.render(suite(run(silent, history=History()))))

    assert page.classed("timeline") == 0
    assert "There is no event to show" in page.text


def test_payments_are_folded_only_when_all_are_exact() -> None:
    def folds(payment: str) -> list[bool]:
        page = Page(html.render(suite(run(UNKNOWN, payment=payment))))
        return ["open" in attributes for tag, attributes in page.tags if tag == "details"]

    assert folds("exact")[0] is False
    assert folds("lost")[0] is True


def test_a_run_that_holds_is_one_folded_line() -> None:
    page = Page(html.render(suite(HOLDING_RUN)))

    folds = [attributes for tag, attributes in page.tags if tag == "details"]
    assert folds[0]["id"] == "run-1"
    assert all("open" not in attributes for attributes in folds)
    assert "Every promise that was put to the test held, in 1 run. Payments: 1 exact." in page.text


def test_an_unknown_suite_does_not_sound_like_a_pass() -> None:
    assert html.explanation(suite(UNKNOWN_RUN, HOLDING_RUN)) == (
        "Nothing was seen to break, but 1 of 2 runs could not be judged. Unknown is not a pass."
    )


def test_one_run_is_not_called_one_of_one() -> None:
    assert html.explanation(suite(UNKNOWN_RUN)).startswith(
        "Nothing was seen to break, but the run could not be judged."
    )
    assert html.explanation(suite(BROKEN_RUN)).startswith("The run broke a promise: credited-at-most-once.")


def hostile_suite() -> Suite:
    seen = Event(
        at=START, actor=HOSTILE, kind="answered", facts={HOSTILE: HOSTILE, "operation": HOSTILE, "because": HOSTILE}
    )
    verdict = Verdict(HOSTILE, HOSTILE, Status.BROKEN, (Violation(HOSTILE, (seen,), HOSTILE, HOSTILE),))
    fault = event(0, HOSTILE, "fault-began", id="f1", fault=HOSTILE, args={HOSTILE: HOSTILE})
    unknown = Verdict(HOSTILE, HOSTILE, Status.UNKNOWN, because=HOSTILE)
    hostile = run(
        verdict,
        unknown,
        replace(unknown, weighs=False),
        plan=plan(HOSTILE, HOSTILE),
        target=HOSTILE,
        mutant=HOSTILE,
        proxies=HOSTILE,
        versions={HOSTILE: HOSTILE},
        again=HOSTILE,
        history=History((fault, seen)),
        payments=(PaymentVerdict(HOSTILE, HOSTILE, 1, HOSTILE, HOSTILE),),
    )
    holds = replace(hostile, verdicts=(Verdict(HOSTILE, HOSTILE, Status.HOLDS), replace(unknown, weighs=False)))
    return replace(suite(hostile, replace(hostile, verdicts=(unknown,)), holds), name=HOSTILE, again=HOSTILE)


def test_hostile_text_is_text_on_the_page() -> None:
    page = Page(html.render(hostile_suite()))
    calm = Page(html.render(MIXED))

    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in calm.tags}
    assert {name for _, attributes in page.tags for name in attributes} <= {name for _, a in calm.tags for name in a}
    assert '<script>alert("1")</script>' in page.text
    assert not {"\x1b", "\x00", "\u202e"} & set(page.text)


def test_hostile_text_is_text_in_a_terminal() -> None:
    console = Console(file=io.StringIO(), width=80)

    with terminal.Live(HOSTILE, console=console) as live:
        live.begins(HOSTILE)
        live.finished(hostile_suite().runs[0])
    terminal.print_suite(hostile_suite(), console, spent={HOSTILE: 1})

    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().replace("\n", "").isprintable()


# --- JUnit


def test_junit_knows_broken_as_failure_and_unknown_as_error() -> None:
    tests = ElementTree.fromstring(junit.render(MIXED)).find("testsuite")

    assert tests is not None
    assert [tests.get(name) for name in ("tests", "failures", "errors", "skipped", "time")] == [
        "3",
        "1",
        "1",
        "0",
        "12.250",
    ]
    assert [[part.tag for part in case] for case in tests] == [[], ["error"], ["failure"]]
    failure, error = tests.find("*/failure"), tests.find("*/error")
    assert failure is not None and failure.text is not None
    assert error is not None and error.text is not None
    assert "pay_3 was credited 2 times" in failure.text
    assert f"again: {AGAIN}" in failure.text
    assert error.get("message") == "faults-bite: duplicate (f1) touched no traffic"
    assert tests[2].get("classname") == "reference.credits-each-callback"


def test_junit_of_nothing_is_an_error() -> None:
    tests = ElementTree.fromstring(junit.render(suite())).find("testsuite")

    assert tests is not None
    assert (tests.get("tests"), tests.get("errors")) == ("1", "1")
    assert tests.find("testcase/error") is not None


def test_junit_holds_no_character_that_xml_cannot() -> None:
    root = ElementTree.fromstring(junit.render(hostile_suite()))

    failure = root.find("*/*/failure")
    assert failure is not None and failure.text is not None
    assert '<script>alert("1")</script>' in failure.text
    assert "\ufffe" not in junit.render(suite(run(replace(UNKNOWN, because="a\ufffe\ud800b"))))


# --- run.json


SCHEMA = json.loads((Path(reports.__file__).parent / "run.schema.json").read_text(encoding="utf-8"))


def problems(document: object) -> list[str]:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    return [error.json_path for error in jsonschema.Draft202012Validator(SCHEMA).iter_errors(document)]


def rich_plan() -> Plan:
    """A step of every kind."""
    operation = Operation(id="t1", kind="top_up", amount_minor=500, currency="EUR", args={"copies": 2, "fast": True})
    steps = (Begin("f1", "stall", {"link": "db"}), Meanwhile("m", (Do((operation,)), Wait("callback-answered", 1.5))))
    return replace(plan(), steps=(*steps, Join("m"), End("f1")))


def test_run_json_is_as_its_schema_says() -> None:
    assert problems(json.loads(run_json.render(MIXED))) == []
    assert problems(json.loads(run_json.render(suite(run(HOLDS, plan=rich_plan()))))) == []
    assert problems(json.loads(run_json.render(suite()))) == []


@pytest.mark.parametrize(
    ("where", "value"),
    [
        (("format",), 2),
        (("status",), "passed"),
        (("extra",), 1),
        (("runs", 0, "again"), None),
        (("runs", 0, "payments", 0, "amount_minor"), 5.5),
        (("runs", 0, "payments", 0, "verdict"), "fine"),
        (("runs", 0, "verdicts", 1, "violations"), []),
        (("runs", 0, "verdicts", 0, "violations"), [{"says": "x", "payment": None, "verdict": None, "evidence": []}]),
        (("runs", 0, "plan", "steps", 0, "step"), "explode"),
        (("runs", 0, "plan", "steps", 1, "operations", 0, "amount_major"), 5),
    ],
)
def test_the_schema_refuses_what_is_broken(where: tuple[str | int, ...], value: object) -> None:
    document = json.loads(run_json.render(suite(BROKEN_RUN)))
    assert problems(document) == []

    inner = document
    for step in where[:-1]:
        inner = inner[step]
    inner[where[-1]] = value

    assert problems(document)


# --- files


def test_all_reports_are_written_and_latest_points_at_the_newest(tmp_path: Path) -> None:
    reports.write_all(replace(MIXED, folder=tmp_path / "one"))
    reports.write_all(replace(suite(HOLDING_RUN), folder=tmp_path / "two"))

    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one", "two"]
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["junit.xml", "report.html", "run.json"]
    assert (tmp_path / "latest").readlink() == Path("two")
    assert json.loads((tmp_path / "latest" / "run.json").read_text(encoding="utf-8"))["status"] == "holds"


def test_files_that_are_there_already_are_replaced_and_others_stay(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "run.json").write_text("{", encoding="utf-8")
    (tmp_path / "one" / "history.jsonl").write_text("{}\n", encoding="utf-8")

    reports.write_all(replace(MIXED, folder=tmp_path / "one"))

    assert json.loads((tmp_path / "one" / "run.json").read_text(encoding="utf-8"))["status"] == "broken"
    assert (tmp_path / "one" / "history.jsonl").read_text(encoding="utf-8") == "{}\n"


def test_a_report_that_cannot_be_finished_leaves_the_old_one_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reports.write_all(replace(MIXED, folder=tmp_path / "one"))
    before = {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "one").iterdir()}

    def full(path: Path, data: bytes) -> int:
        path.open("wb").close()
        raise OSError("no space left")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space left"):
        reports.write_all(replace(suite(HOLDING_RUN), folder=tmp_path / "one"))

    assert {path.name: path.read_text(encoding="utf-8") for path in (tmp_path / "one").iterdir()} == before


def test_hostile_suites_and_lone_surrogates_are_written(tmp_path: Path) -> None:
    reports.write_all(replace(hostile_suite(), folder=tmp_path / "one", name="\ud800"))

    assert json.loads((tmp_path / "one" / "run.json").read_text(encoding="utf-8"))["name"] == "\ud800"


@pytest.mark.parametrize("error", [OSError("not permitted"), NotImplementedError("no links here")])
def test_where_links_cannot_be_made_it_is_said_and_the_reports_stand(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(Path, "symlink_to", refuse)
    reports.write_all(replace(MIXED, folder=tmp_path / "one"))

    assert f"no `latest` link at {tmp_path / 'latest'} ({error})" in capsys.readouterr().err
    assert (tmp_path / "one" / "report.html").exists()


def test_a_folder_named_latest_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "latest").mkdir()

    reports.write_all(replace(MIXED, folder=tmp_path / "one"))

    assert "no `latest` link" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latest", "one"]


def test_a_renderer_is_named_after_its_file() -> None:
    assert {name: report.file for name, report in reports.RENDERERS.items()} == {
        "html": "report.html",
        "json": "run.json",
        "junit": "junit.xml",
    }
