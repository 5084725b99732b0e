"""Histories written by hand: a few lines tell what happened, and the clock moves on by itself.

Things are numbered: `asks(1)` is operation `t1` under key `k1`, about top-up `tu_1`, paid by payment `pay_1`. What a test is
not about takes a default: account `A`, 500 minor units, euros. Every method returns the event that it wrote last.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from harness.books import BEFORE, FINAL
from harness.history import Event, History
from harness.plan import Plan, Step, encode

START, TICK_S = 1000.0, 0.01
STATES: dict[str, Any] = {
    "final": ["Credited", "Reversed"],
    "moves": {"Created": ["Failed", "Credited"], "Failed": ["Credited"], "Credited": ["Reversed"]},
}

__all__ = ["BEFORE", "FINAL", "START", "STATES", "TICK_S", "Story"]


class Story:
    """Events in the order in which they are told, each a hundredth of a second after the one before."""

    def __init__(self, account: str = "A", amount: int = 500, currency: str = "EUR") -> None:
        self.events: list[Event] = []
        self.now = START
        self._money = {"account": account, "amount_minor": amount, "currency": currency}

    def history(self) -> History:
        return History.merged(self.events)

    def later(self, seconds: float) -> None:
        """Nothing happens for a while."""
        self.now = round(self.now + seconds, 6)

    def event(self, actor: str, kind: str, **facts: Any) -> Event:
        self.later(TICK_S)
        event = Event(at=self.now, actor=actor, kind=kind, facts=facts)
        self.events.append(event)
        return event

    # The harness

    def plan(
        self,
        *steps: Step,
        about: Iterable[str] = (),
        states: Mapping[str, Any] | None = STATES,
        unoffered: Mapping[str, str] | None = None,
        correction_limit_minor: int | None = None,
    ) -> Event:
        plan = Plan("a-plan", "What is told here.", 7, steps, tuple(about))
        return self.event(
            "harness",
            "plan",
            run="r1",
            plan=encode(plan),
            unoffered=dict(unoffered or {}),
            states=states,
            correction_limit_minor=correction_limit_minor,
        )

    def fault_ended(self, id: str, touched: int) -> Event:
        return self.event("harness", "fault-ended", id=id, fault="latency", touched=touched)

    def starts_mixed(self, code: int | None, *named: str, mix: str = "live-key") -> Event:
        """Another process of the service is started with what does not belong together, and ends; without a code, it serves."""
        return self.event("harness", "start", mix=mix, code=code, named=list(named))

    def settled(self, reason: str | None = None, took_s: float = 0.5) -> Event:
        return self.event("harness", "settled", reason=reason, took_s=took_s)

    def requested(self, n: int = 1, *, link: str = "api") -> Event:
        """The service's request for a payment crosses to the provider."""
        return self.event("harness", "crossing", link=link, direction=">", label="POST /v1/payments", key=f"k{n}")

    def scanned(self, *leaks: str) -> Event:
        """The service's log is searched; each leak is a secret found in it."""
        event = self.event("harness", "log-scanned", node="service", lines=9, secrets=2)
        for line, secret in enumerate(leaks, 1):
            event = self.event("harness", "secret-in-log", node="service", line=line, secret=secret)
        return event

    def unread(self, book: str = "entries", because: str = "no answer in time", **facts: Any) -> Event:
        """A book of the service, about one account, could not be read."""
        account = facts.get("account", self._money["account"])
        return self.event("harness", "book-unread", book=f"service {book} {account}", account=account, because=because)

    def audited(self) -> Event:
        return self.event("harness", "audited")

    # The clients

    def asks(self, n: int = 1, *, attempt: int = 1, **facts: Any) -> Event:
        """A client asks for a top-up."""
        wish = self._money | {"key": f"k{n}", "method": "card"}
        return self._client("invoked", "top_up", f"t{n}", attempt, **wish | facts)

    def told(self, n: int = 1, word: str | None = "processing", *, attempt: int = 1, **facts: Any) -> Event:
        """The client is answered: the top-up, and the word for its status."""
        answer = {"outcome": "done", "status": 201, "top_up": f"tu_{n}", "word": word, "key": f"k{n}"}
        return self._client("answered", "top_up", f"t{n}", attempt, **self._money | answer | facts)

    def unanswered(self, n: int = 1, *, attempt: int = 1) -> Event:
        """The answer never came: it may have been carried out."""
        because = "no answer in time: it may have been carried out"
        return self.told(n, None, attempt=attempt, outcome="unknown", status=None, top_up=None, because=because)

    def refused(self, n: int = 1, *, status: int = 422) -> Event:
        return self.told(n, None, outcome="not-done", status=status, top_up=None)

    def figures(self, duplicates: float | None) -> Event:
        """The service shows its figures: how many duplicates it has seen."""
        return self._client("answered", "figures", "n1", 1, outcome="done", status=200, duplicates=duplicates)

    def compares(self, *differing: str) -> Event:
        """The service is made to compare the books, and reports that these payments differ."""
        asked = self._client("invoked", "compare", "o1", 1)
        self._client("answered", "compare", "o1", 1, outcome="done", status=200)
        for payment in differing:
            self.event("service", "finding", id="o1", payment=payment, **{"class": "missing credit"})
        return asked

    def suffers(self, how: str = "twice", status: int | None = 400, **facts: Any) -> Event:
        """What an attacker saw who sent a request that no honest client sends."""
        saw = {"status": status, "closed": False, "took_s": 0.1, "taken": 300}
        return self.event("client", "assault", how=how, **saw | facts)

    def corrects(self, n: int = 1, amount: int = 500, *, by: str = "eve", outcome: str = "unknown") -> Event:
        """An operator asks that a payment is credited by hand: one that waits for a second person is answered with a maybe."""
        about = {"payment": f"pay_{n}", "amount_minor": amount, "by": by}
        return self._client("answered", "correct", f"u{n}", 1, outcome=outcome, status=202, **about)

    def approves(self, n: int = 1, *, by: str = "max", outcome: str = "done") -> Event:
        return self._client("answered", "approve", f"v{n}", 1, outcome=outcome, status=201, payment=f"pay_{n}", by=by)

    def owes(self, deed: str, subject: str = "", *, by: str = "eve") -> Event:
        """Somebody does what the audit log must tell of."""
        owes = {"by": by, "deed": deed, "subject": subject}
        return self._client("answered", "reconcile", "r1", 1, outcome="done", status=200, owes=owes)

    def rewrites(self, id: str = "x1") -> Event:
        """Somebody who owns the database begins to tamper with the audit log."""
        return self.event("harness", "fault-began", id=id, fault="rewrite", args={})

    def shows_audit(self, *lines: tuple[str, str, str], fits: bool = True, id: str = "u1") -> Event:
        """The service shows its audit log: by whom, what and to what; the last line fits, or does not."""
        asked = self._client("invoked", "audit", id, 1)
        self._client("answered", "audit", id, 1, outcome="done", status=200)
        for n, (by, deed, subject) in enumerate(lines, 1):
            line = {"record": n, "by": by, "deed": deed, "subject": subject, "fits": fits or n < len(lines)}
            self.event("service", "audit-line", id=id, **line)
        return asked

    def wants_back(self, n: int = 1, amount: int = 200, *, key: str = "b1", attempt: int = 1) -> Event:
        """Customer service asks for a part of a top-up to be given back."""
        about = {"top_up": f"tu_{n}", "amount_minor": amount, "key": key, "account": self._money["account"]}
        return self._client("invoked", "refund", key, attempt, **about)

    def looks(self, n: int = 1, *, look: str = "s") -> Event:
        """A customer asks for the status of a top-up."""
        return self._client("invoked", "status", f"{look}{n}", 1, top_up=f"tu_{n}", account=self._money["account"])

    def reads(
        self, n: int = 1, word: str = "processing", *, look: str = "s", final: bool = False, **facts: Any
    ) -> Event:
        """The customer reads the word for it."""
        more = {"final": True} if final else {}
        answer = {"outcome": "done", "status": 200, "top_up": f"tu_{n}", "word": word}
        about = {"account": self._money["account"]} | facts
        return self._client("answered", "status", f"{look}{n}", 1, **about | answer | more)

    def trespasses(self, who: str, operation: str, outcome: str, status: int | None, **facts: Any) -> Event:
        """One of the target's other principals asks, and is answered."""
        return self._client("answered", operation, "x1", 1, asked_by=who, outcome=outcome, status=status, **facts)

    def done(self, operation: str, id: str, outcome: str = "done") -> Event:
        """An operation that no promise is about."""
        return self._client("answered", operation, id, 1, outcome=outcome, status=None, because="")

    # The provider

    def payment(self, n: int = 1, state: str = "created", *, captured: int = 0, **facts: Any) -> Event:
        about = {"payment": f"pay_{n}", "reference": f"tu_{n}", "state": state, "captured_minor": captured}
        return self.event("provider", "payment", **about | self._money | facts)

    def captured(self, n: int = 1, captured: int | None = None, **facts: Any) -> Event:
        """The provider takes the money: all that was asked for, unless told otherwise."""
        amount = facts.get("amount_minor", self._money["amount_minor"])
        return self.payment(n, "captured", captured=amount if captured is None else captured, **facts)

    def callback(
        self,
        n: int = 1,
        event: str = "payment.captured",
        *,
        status: int | None = 200,
        acknowledged: bool | None = None,
        forgery: str | None = None,
        **facts: Any,
    ) -> Event:
        """A callback is delivered, and answered. One with a forgery is hostile."""
        sent = sum(event.kind == "delivery" for event in self.events) + 1
        webhook_id = f"msg_{facts.get('reversal', n)}_{event}"
        about = {"payment": f"pay_{n}", "webhook_id": webhook_id, "hostile": forgery is not None} | facts
        about |= {"delivery": f"dlv_{sent}"}
        self.event("provider", "delivery", event=event, reference=f"tu_{n}", forgery=forgery, **about)
        heard = (status is not None and 200 <= status < 300) if acknowledged is None else acknowledged
        because = "no answer in time" if status is None else str(status)
        return self.event("provider", "answer", status=status, acknowledged=heard, because=because, **about)

    def back(
        self, n: int = 1, amount: int = 200, *, id: str = "re_1", news: str = "refunded", key: str = "", **facts: Any
    ) -> Event:
        """Money goes back, or comes back again. A refund with a key is one that the merchant asked for."""
        about = {"reversal": id, "payment": f"pay_{n}", "reference": f"tu_{n}", "news": news, "key": key}
        return self.event("provider", "reversal", **about | self._money | {"amount_minor": amount} | facts)

    def gave_up(self, n: int = 1, event: str = "payment.captured", attempts: int = 8) -> Event:
        about = {"webhook_id": f"msg_{n}_{event}", "payment": f"pay_{n}"}
        return self.event("provider", "gave-up", event=event, attempts=attempts, **about)

    # The service, of itself

    def ledger_read(self, snapshot: str = FINAL, **facts: Any) -> Event:
        """The service's list of an account's entries is read, whatever is on it."""
        about = {"snapshot": snapshot, "account": self._money["account"]}
        return self.event("service", "ledger-read", **about | facts)

    def entry(self, n: int = 1, amount: int | None = None, snapshot: str = FINAL, **facts: Any) -> Event:
        """The ledger shows a credit for a payment."""
        money = self._money if amount is None else self._money | {"amount_minor": amount}
        about = {"payment": f"pay_{n}", "snapshot": snapshot, "own": True}
        return self.event("service", "entry", **about | money | facts)

    def debit(
        self, n: int = 1, amount: int = 200, snapshot: str = FINAL, *, id: str | None = "re_1", **facts: Any
    ) -> Event:
        """The ledger shows that money of a payment was taken back; below zero, that it was given back again."""
        named = {"reversal": id} if id else {}
        return self.entry(n, -amount, snapshot, **named | facts)

    def balance(self, amount: int, snapshot: str = FINAL, **facts: Any) -> Event:
        about = {"account": self._money["account"], "currency": self._money["currency"]}
        return self.event("service", "balance", **about | {"snapshot": snapshot, "balance_minor": amount} | facts)

    def step(
        self,
        before: str | None,
        after: str,
        n: int = 1,
        *,
        cause: str | None = "callback",
        correlation: str | None = None,
    ) -> Event:
        """The top-up's own record: it moved, under its own correlation id unless another is given."""
        way = {"from": before, "to": after}
        under = f"cor_{n}" if correlation is None else correlation
        return self.event("service", "transition", top_up=f"tu_{n}", **way, cause=cause, correlation=under)

    def set_aside(self, n: int = 1) -> Event:
        """The service shows a doubt about a payment."""
        about = {"payment": f"pay_{n}", "top_up": f"tu_{n}", "account": self._money["account"]}
        return self.event("service", "discrepancy", discrepancy_kind="amount", **about)

    def _client(self, kind: str, operation: str, id: str, attempt: int, **facts: Any) -> Event:
        return self.event("client", kind, operation=operation, id=id, attempt=attempt, **facts)
