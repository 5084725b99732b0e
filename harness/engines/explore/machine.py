"""The state machine that tells stories of a top-up service.

Its rules append steps to a plan; nothing is carried out before the story is told, so that a plan is what is recorded,
replayed and made shorter. Swarm testing: each story switches whole kinds of fault off, and gives those that are left wild
weights. Hypothesis chooses rules and what they are about; one number drawn at the beginning seeds all other choices,
because a draw costs more than it tells.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import ClassVar
from zlib import crc32

from hypothesis import HealthCheck, Phase, Verbosity, seed, settings
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from hypothesis.strategies import integers

from harness.engines.explore.tale import Tale
from harness.engines.explore.trouble import (
    DATABASE,
    DELAYS_MS,
    FORGERIES,
    HTTP_LINKS,
    JUMPS_S,
    KINDS,
    MESSAGES,
    MOODS,
    SURGERY,
    UNBOUND,
    WEATHER,
)
from harness.engines.suite import DISPUTES
from harness.plan import Plan, Scalar
from harness.provider import Speech
from harness.scenario import MONEY

OPEN_MAX = 3
"""So many faults at once, at most: with more, nothing gets far enough to go wrong."""
STEPS = 25
SIMPLEST = 0
"""The number that Hypothesis begins with, and nobody draws by chance: its story is next to empty."""
TOP_UPS_MAX = 6
"""Of one account: each amount that names itself in the balance is larger than all before it together."""
STORY = "A story that nobody wrote."
WEIGHTS = (0, 0, 2, 5, 10)
"""Of ten: how often a rule of a kind may be taken. Nought is off for the whole example."""


def _nobody(plan: Plan) -> None:
    raise RuntimeError(
        f"nobody carries out {plan.name}: give the machine to an exploration, as in `stack.explore(TopUpMachine, examples=20)`"
    )


class TopUpMachine(RuleBasedStateMachine):
    """Tells a story of a top-up service, one rule a step. When it is told, `carry_out` is given the plan.

    Subclass it to add rules of your own; `self.tale` is the draft that they add steps to.
    """

    carry_out: ClassVar[Callable[[Plan], None]] = staticmethod(_nobody)
    speech: ClassVar[Speech | None] = None
    """What the provider can tell, and how it can be forged; None is all that there is."""

    accounts: Bundle[str] = Bundle("accounts")
    payments: Bundle[str] = Bundle("payments")
    deliveries: Bundle[str] = Bundle("deliveries")
    disputes: Bundle[str] = Bundle("disputes")

    @initialize(target=accounts, number=integers(0, 2**64 - 1))
    def begins(self, number: int) -> str:
        """Calm first: a service that refuses everything is not safe. The swarm is drawn here."""
        self.number, self.rng = number, Random(number)
        self.tale = Tale(Random(number))
        self.weights = {kind: self.rng.choice(WEIGHTS) for kind in KINDS}
        self.parts: set[str] = set()
        """Top-ups of which a part can go back by itself."""
        self._decided: set[str] = set()
        """Top-ups that were paid or declined."""
        self._gone: set[str] = set()
        """Top-ups of which nothing is left to go back."""
        self._disputed: set[str] = set()
        """Top-ups with a dispute that is open."""
        self._asked: Counter[str] = Counter()
        self._turn()
        account = self.tale.account()
        self.tale.paid(account=account)
        self.unpaid = self.tale.top_up(self.tale.account(), method="redirect")
        return account

    def teardown(self) -> None:
        if hasattr(self, "tale") and self.number != SIMPLEST:
            type(self).carry_out(self.plan())

    def plan(self) -> Plan:
        """Heal, and a calm top-up that closes the story."""
        self.tale.end_all()
        self.tale.paid()
        plan = Plan("explored", STORY, self.number, self.tale.steps(), MONEY)
        return replace(plan, name=f"explored-{crc32(plan.to_json().encode()):08x}")

    # What clients and customers do

    @rule(target=accounts)
    def open_account(self) -> str:
        self._turn()
        return self.tale.account()

    @rule(target=deliveries, account=accounts)
    def pay_by_card(self, account: str) -> str:
        self._turn()
        return self._with_part(self.tale.top_up(self._with_room(account), parts=1))

    @rule(target=payments, account=accounts)
    def ask_for_a_page(self, account: str) -> str:
        self._turn()
        return self._with_part(self.tale.top_up(self._with_room(account), method="redirect", parts=1))

    @rule(target=deliveries, top_up=payments)
    def pay(self, top_up: str) -> str:
        self._turn()
        self._decided.add(top_up)
        self.tale.pay(top_up)
        return top_up

    @rule(top_up=payments)
    def decline(self, top_up: str) -> None:
        self._turn()
        if top_up not in self._decided:
            self._decided.add(top_up)
            self.tale.decline(top_up)

    @rule(top_up=deliveries)
    def refund(self, top_up: str) -> None:
        self._turn()
        if self._part_of(top_up):
            self.tale.quiet()
            self.tale.refund(top_up)

    @rule(top_up=deliveries)
    def look(self, top_up: str) -> None:
        self._turn()
        self.tale.status(top_up)

    @rule()
    def reconcile(self) -> None:
        self._turn()
        self.tale.reconcile()

    @rule(account=accounts)
    def volley_of_one_key(self, account: str) -> None:
        """The same request several times at the same instant."""
        self._turn()
        account = self._with_room(account)
        amount = self.tale.amount(account)
        key = f"{account}-{amount}"
        with self.tale.together():
            for _ in range(self.rng.randint(2, 3)):
                self.tale.top_up(account, key=key, amount_minor=amount)

    @rule(account=accounts, top_up=payments)
    def volley(self, account: str, top_up: str) -> None:
        """A customer pays while others top up, look and reconcile, all at the same instant."""
        self._turn()
        account = self._with_room(account)
        with self.tale.together():
            self._decided.add(top_up)
            self.tale.pay(top_up)
            self.tale.top_up(account)
            self.tale.status(top_up)
            self.tale.reconcile()

    @precondition(lambda self: self._may("reversals"))
    @rule(top_up=deliveries)
    def give_back(self, top_up: str) -> None:
        """Refunded at the provider itself: the part that is left to be named, or all of it."""
        self._turn()
        if top_up not in self._gone:
            self.tale.give_back(top_up, whole=self._wholly(top_up))

    @precondition(lambda self: self._may("reversals") and self._tells_of_disputes())
    @rule(target=disputes, top_up=deliveries)
    def dispute(self, top_up: str) -> str:
        """The customer's bank takes money back."""
        self._turn()
        if top_up not in self._gone:
            self._disputed.add(top_up)
            self.tale.dispute(top_up, whole=self._wholly(top_up))
            if self.rng.random() < 0.3:  # before anybody has heard of it, perhaps
                self._decide(top_up)
        return top_up

    @rule(top_up=disputes)
    def decide(self, top_up: str) -> None:
        self._turn()
        if top_up in self._disputed:
            self._decide(top_up)

    def _decide(self, top_up: str) -> None:
        self._disputed.discard(top_up)
        won = self.rng.random() < 0.5
        (self.tale.win if won else self.tale.lose)(top_up)

    @precondition(lambda self: self._may("reversals"))
    @rule(top_up=deliveries)
    def volley_of_reversals(self, top_up: str) -> None:
        """The service and the provider give the same money back, and the customer looks, all at the same instant."""
        self._turn()
        if self._part_of(top_up):
            self._gone.add(top_up)
            self.tale.quiet()
            with self.tale.together():
                self.tale.refund(top_up)
                self.tale.give_back(top_up, whole=True)
                self.tale.status(top_up)

    @rule()
    def deliver(self) -> None:
        """What the provider holds back is let go, and all that is due is attempted."""
        self._turn()
        self.tale.release()
        self.tale.quiet(3.0)

    # What goes wrong

    @precondition(lambda self: any(self._may(kind) for kind in KINDS if kind not in UNBOUND))
    @rule()
    def trouble(self) -> None:
        """Whatever may have its turn: rules are taken equally often, and there are more of business than of trouble."""
        begin: dict[str, Callable[[], None]] = {
            "weather": self.weather,
            "surgery": self.surgery,
            "kills": self.kill,
            "pauses": self.pause,
            "database": self.trouble_the_database,
            "provider": self.kill_the_provider,
            "moods": self.moody,
        }
        begin[self.rng.choice([kind for kind in begin if self._may(kind)])]()

    @precondition(lambda self: self._may("weather"))
    @rule()
    def weather(self) -> None:
        self._begin(*self.rng.choice(WEATHER))

    @precondition(lambda self: self._may("surgery"))
    @rule()
    def surgery(self) -> None:
        """One message that is to come is singled out."""
        link, label = self.rng.choice(MESSAGES)
        fault = self.rng.choice(SURGERY)
        args: dict[str, Scalar] = {"link": link, "label": label, "nth": self.rng.choice((1, 1, 1, 2))}
        if fault == "twice-at":  # no proxy delivers a database's messages twice
            args["link"], args["label"] = (link, label) if link in HTTP_LINKS else ("hook", "POST")
        else:
            args["point"] = self.rng.choice(("before", "after"))
        if fault == "delay-at":
            args["ms"] = self.rng.choice(DELAYS_MS)
        if fault == "kill-at":
            others = [node for node, kind in (("provider", "provider"), ("postgres", "database")) if self.weights[kind]]
            args["node"] = self.rng.choice(["service", *others])
        self._begin(fault, args)

    @precondition(lambda self: self._may("kills"))
    @rule()
    def kill(self) -> None:
        self._begin("kill", {"node": "service"})

    @precondition(lambda self: self._may("pauses"))
    @rule()
    def pause(self) -> None:
        self._begin("pause", {"node": "service"})

    @precondition(lambda self: self._may("database"))
    @rule()
    def trouble_the_database(self) -> None:
        self._begin(*self.rng.choice(DATABASE))

    @precondition(lambda self: self._may("provider"))
    @rule()
    def kill_the_provider(self) -> None:
        """Its books outlive it."""
        self._begin("kill", {"node": "provider"})

    @precondition(lambda self: self._may("moods"))
    @rule()
    def moody(self) -> None:
        known = [mood for mood in MOODS if self.speech is None or mood["mood"] in self.speech.moods]
        moods = [mood for mood in known if mood["mood"] != "dispute" or self._tells_of_disputes()]
        self._begin("mood", self.rng.choice(moods))

    @precondition(lambda self: self._may("forgeries"))
    @rule(top_up=payments)
    def forge(self, top_up: str) -> None:
        """Somebody who is not the provider reports a payment that the customer may make yet."""
        self._forge(top_up)

    @precondition(lambda self: self._may("forgeries"))
    @rule()
    def forge_what_is_never_paid(self) -> None:
        """A credit for it is a phantom, whatever else the story has in it."""
        self._forge(self.unpaid)

    def _forge(self, top_up: str) -> None:
        known = [name for name in FORGERIES if self.speech is None or name in self.speech.forgeries]
        forgeries = self.rng.sample(known, min(len(known), 4))
        self._turn()
        for forgery in forgeries:
            self.tale.forge(forgery, top_up)

    @precondition(lambda self: self._may("clock"))
    @rule()
    def jump(self) -> None:
        seconds = self.rng.choice(JUMPS_S)
        self._turn()
        self.tale.advance(seconds)

    @precondition(lambda self: bool(self.tale.open))
    @rule()
    def mend(self) -> None:
        """The fault that lasts longest ends."""
        self._turn()
        self.tale.end(next(iter(self.tale.open)))

    @precondition(lambda self: bool(self.tale.open))
    @rule()
    def heal(self) -> None:
        self._turn()
        self.tale.end_all()

    def _begin(self, fault: str, args: Mapping[str, Scalar]) -> None:
        self._turn()
        if not self.tale.breaks(fault, args):
            self.tale.begin(fault, **args)

    def _tells_of_disputes(self) -> bool:
        return self.speech is None or set(DISPUTES.values()) <= self.speech.events

    def _with_part(self, top_up: str) -> str:
        self.parts.add(top_up)
        return top_up

    def _wholly(self, top_up: str) -> bool:
        """Whether all of it must go back, since no part can by itself."""
        if self._part_of(top_up):
            return False
        self._gone.add(top_up)
        return True

    def _part_of(self, top_up: str) -> bool:
        """Whether there is a part of it that can go back by itself; there is no longer, once asked for."""
        there = top_up in self.parts
        self.parts.discard(top_up)
        return there

    def _with_room(self, account: str) -> str:
        """This account, or a fresh one where it has had its share."""
        self._asked[account] += 1
        return account if self._asked[account] <= TOP_UPS_MAX else self.tale.account()

    def _may(self, kind: str) -> bool:
        """Whether the swarm lets this kind have its turn."""
        return kind in self._turns and (len(self.tale.open) < OPEN_MAX or kind in UNBOUND)

    def _turn(self) -> None:
        """Draw which kinds of fault may have the next turn. Preconditions only look, since they are asked several times."""
        self._turns = {kind for kind in KINDS if self.rng.randrange(10) < self.weights[kind]}


def settings_for(examples: int, *, steps: int = STEPS) -> settings:
    """What fits a service behind HTTP and a database: an example takes as long as it takes, and its blob is printed.

    Nothing is shrunk or explained here, and Hypothesis keeps nothing: what is kept of a finding is its plan (`kept.py`),
    which outlives a new rule and a new version of Hypothesis.
    """
    return settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        print_blob=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
    )


def stories(machine: type[TopUpMachine], rng: Random) -> Iterator[Plan]:
    """Story after story without end, each drawn afresh when it is asked for.

    Left to itself, Hypothesis makes five variations of each story that it draws, and they keep its swarm: too little of what
    there is would be seen. So it is asked for two at a time: the first is always the simplest that there is, which the
    machine leaves out.
    """
    told: list[Plan] = []
    telling = type(machine.__name__, (machine,), {"carry_out": staticmethod(told.append)})
    while True:
        run_state_machine_as_test(seed(rng.getrandbits(64))(telling), settings=settings_for(2))
        yield from told
        told.clear()
