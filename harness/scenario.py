"""A scenario: a story, the plan that tells it, and the promises that it is about."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from random import Random
from typing import Any, Literal

from faker import Faker

from harness.amounts import Amounts
from harness.plan import Begin, Do, End, Join, Meanwhile, Operation, Plan, Scalar, Step, Wait
from harness.registry import Registry, name_of

MONEY = (
    "credited-at-most-once",
    "every-payment-is-credited",
    "only-real-payments-credit",
    "credit-matches-payment",
    "captured-at-most-once",
    "charged-as-ordered",
    "balance-is-sum-of-entries",
    "acknowledged-is-durable",
    "told-the-truth",
    "status-never-goes-back",
    "transitions-are-legal",
    "no-secret-in-logs",
    "settles-in-time",
    "provider-is-not-hammered",
)
"""What every scenario with a payment in it is about."""
CALM_S = 20.0
"""How long a client waits, in seconds, while nothing is broken: on a busy machine all takes longer, and a request that was given up
would still be on its way when the story begins.
"""
COMPARE_S = 30.0
"""How long a comparison of the books may take, in seconds: it asks the provider about everything there is."""


class Draft:
    """A plan in the making: each call adds a step. Random choices come from one seeded source."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self._names = Random(rng.randrange(1 << 32))
        self._blocks: list[list[Step]] = [[]]
        self._volley: list[Operation] | None = None
        self._amounts: dict[str, Amounts] = {}
        self._currency: dict[str, str] = {}
        self._parts: dict[str, list[int]] = {}
        self._count = 0
        self._asking = ""

    def account(self, currency: str = "EUR") -> str:
        """A customer opens an account."""
        id = self._next("a")
        self._amounts[id], self._currency[id] = Amounts(self.rng), currency
        self._do(Operation(id=id, kind="open_account", currency=currency, args={"customer": _user_name(self._names)}))
        return id

    def top_up(
        self,
        account: str,
        *,
        method: str = "card",
        key: str = "",
        amount_minor: int | None = None,
        parts: int = 0,
        patience_s: float | None = None,
    ) -> str:
        """A client asks for a top-up. By card it is charged at once; by redirect when the customer pays.

        So many *parts* of it can go back one by one: amounts that name themselves in a balance, as the top-up's own does.
        *patience_s* is how long the client waits for the answer, where it is not as long as clients do: who was answered knows
        that nothing of the request is still on its way in the service.
        """
        id = self._next("t")
        self._parts[id] = [self._amounts[account].next() for _ in range(parts)]
        amount = self._amounts[account].next() if amount_minor is None else amount_minor
        currency = self._currency[account]
        self._do(
            Operation(
                id=id,
                kind="top_up",
                about=account,
                amount_minor=amount,
                currency=currency,
                method=method,
                key=key or id,
                args={} if patience_s is None else {"patience_s": patience_s},
            )
        )
        return id

    def top_ups(self, count: int, method: str = "card") -> list[str]:
        """*count* top-ups, each of a customer of its own, one after another."""
        return [self.top_up(self.account(), method=method) for _ in range(count)]

    def top_ups_at_once(self, count: int) -> None:
        """*count* top-ups by card, each of a customer of its own, all at the same instant."""
        accounts = [self.account() for _ in range(count)]
        with self.together():
            for account in accounts:
                self.top_up(account)

    def paid(
        self, currency: str = "EUR", parts: int = 0, account: str | None = None, patience_s: float | None = None
    ) -> str:
        """A top-up as it should be: asked for, paid at the provider's page, and reported. Of *account*, or of a new one."""
        top_up = self.top_up(account or self.account(currency), method="redirect", parts=parts, patience_s=patience_s)
        self.pay(top_up)
        self.quiet()
        return top_up

    def pay(self, top_up: str) -> None:
        self._do(Operation(id=self._next("p"), kind="pay", about=top_up))

    def decline(self, top_up: str) -> None:
        self._do(Operation(id=self._next("p"), kind="decline", about=top_up))

    def refund(self, top_up: str, *, amount_minor: int | None = None, key: str = "") -> str:
        """Customer service asks the service to give the next part back. Returns the handle of the wish."""
        id = self._next("b")
        amount = self.part(top_up) if amount_minor is None else amount_minor
        self._do(Operation(id=id, kind="refund", about=top_up, amount_minor=amount, key=key or id))
        return id

    def give_back(self, top_up: str, *, whole: bool = False) -> None:
        """The next part, or all that is left, is refunded at the provider itself."""
        self._at_the_provider("give_back", top_up, 0 if whole else self.part(top_up))

    def dispute(self, top_up: str, *, whole: bool = True) -> None:
        """The customer's bank takes back all that is left, or the next part, and a dispute is open."""
        self._at_the_provider("dispute", top_up, 0 if whole else self.part(top_up))

    def win(self, top_up: str) -> None:
        """The dispute is decided for the merchant, and the money comes back."""
        self._at_the_provider("win", top_up)

    def lose(self, top_up: str) -> None:
        """The dispute is decided for the customer: the money is gone already."""
        self._at_the_provider("lose", top_up)

    def part(self, top_up: str) -> int:
        """The next part of a top-up. Raises `ValueError` when it was not made with so many."""
        if not self._parts[top_up]:
            raise ValueError(f"{top_up} has no part left: ask for it with `parts=`, or say the amount")
        return self._parts[top_up].pop(0)

    def status(self, top_up: str) -> str:
        look = self._next("s")
        self._do(Operation(id=look, kind="status", about=top_up))
        return look

    def return_from_provider(self, top_up: str) -> None:
        """The customer's browser comes back from the provider's page and says that all went well, whether it did or not."""
        self._do(Operation(id=self._next("z"), kind="return_from_provider", about=top_up))

    def balance(self, account: str) -> None:
        self._do(Operation(id=self._next("v"), kind="balance", about=account))

    @contextmanager
    def asking_as(self, principal: str) -> Iterator[None]:
        """What is asked of the service in this block, one of the target's other principals asks: `initiator`, of the same
        tenant, who may not reconcile; `stranger`, of another tenant; `former`, whose key was revoked; `signer`, who signs.
        """
        self._asking = principal
        yield
        self._asking = ""

    def figures(self) -> None:
        """What the service shows of its figures is read: twice, and what lies between can be judged."""
        self._do(Operation(id=self._next("n"), kind="figures"))

    def reconcile(self) -> None:
        self._do(Operation(id=self._next("r"), kind="reconcile"))

    def compare(self) -> None:
        """The service is made to compare its books with the provider's, and to say what differs."""
        self._do(Operation(id=self._next("o"), kind="compare", args={"patience_s": COMPARE_S}))

    def switch(self, to: Literal["on", "off"]) -> None:
        """An operator puts the target's feature flag on or off, whichever that is, while all goes on."""
        self._do(Operation(id=self._next("w"), kind="switch", args={"to": to}))

    def audit(self) -> None:
        """The service shows its audit log: who did what, and whether each line fits the chain."""
        self._do(Operation(id=self._next("u"), kind="audit"))

    def reviews(self, at_least_minor: int) -> None:
        """What the service would have people look at is read: top-ups of so much should be among it."""
        self._do(Operation(id=self._next("v"), kind="reviews", args={"at_least_minor": at_least_minor}))

    def correct(self, top_up: str, *, by: str) -> None:
        """An operator asks that what was captured for a top-up, and found not to be credited, is credited."""
        self._do(Operation(id=self._next("u"), kind="correct", about=top_up, args={"by": by}))

    def approve(self, top_up: str, *, by: str) -> None:
        """An operator approves what was asked for."""
        self._do(Operation(id=self._next("v"), kind="approve", about=top_up, args={"by": by}))

    def release(self) -> None:
        """Let go what a mood holds back."""
        self._do(Operation(id=self._next("l"), kind="release"))

    def tell_again(self) -> None:
        """The provider sends every callback once more that was acknowledged, of this plan's payments: providers can be asked to."""
        self._do(Operation(id=self._next("y"), kind="tell_again"))

    def play_out(self) -> None:
        """Let all that the provider still has to do come to its end, attempt by attempt, on its own clock."""
        self._do(Operation(id=self._next("c"), kind="play_out"))

    def assault(self, how: str, account: str) -> None:
        """An attacker asks for a top-up as no honest client does; see `ASSAULTS` in `assault.py`."""
        self._do(Operation(id=self._next("h"), kind="assault", about=account, args={"how": how}))

    def send_again(self, overheard: str) -> None:
        """An attacker who has overheard what the `signer` sent sends it again, the same to the byte."""
        self._do(Operation(id=self._next("h"), kind="send_again", about=overheard))

    def forge(self, forgery: str, about: str, **args: Scalar) -> None:
        """An attacker sends a callback about a top-up's payment, and waits for the answer."""
        self._do(Operation(id=self._next("f"), kind="forge", about=about, args={"forgery": forgery, **args}))

    def advance(self, seconds: float) -> None:
        """Time passes on the provider's clock, and what is due in it is sent."""
        self._do(Operation(id=self._next("w"), kind="advance", args={"seconds": seconds}))

    def adopt_secret(self) -> None:
        """The operator makes the next callback secret known to the service, beside the one that signs."""
        self._do(Operation(id=self._next("k"), kind="adopt_secret"))

    def rotate_secret(self, *, overlap_s: float, old_for_s: float) -> None:
        """The provider signs with it, for *overlap_s* on its clock also with the old one, which the service believes for
        *old_for_s* real seconds more.
        """
        args: dict[str, Scalar] = {"overlap_s": overlap_s, "old_for_s": old_for_s}
        self._do(Operation(id=self._next("k"), kind="rotate_secret", args=args))

    def start_mixed(self, mix: str) -> None:
        """The operator starts another process of the service, with one of the target's mixes of settings."""
        self._do(Operation(id=self._next("k"), kind="start_mixed", args={"mix": mix}))

    def pause(self, seconds: float) -> None:
        """Real time passes, for what ends by the clock, and nobody does anything."""
        self._add(Wait("time-passed", seconds))

    def quiet(self, at_most_s: float = 10.0) -> None:
        """Wait until every callback that is due has been attempted."""
        self._add(Wait("callbacks-attempted", at_most_s))

    def touched(self, fault: str, at_most_s: float = 10.0) -> None:
        """Wait until a fault has touched something."""
        self._add(Wait("fault-touched", at_most_s, {"fault": fault}))

    @contextmanager
    def fault(self, name: str, **args: Scalar) -> Iterator[str]:
        """A fault that lasts as long as the block."""
        id = self._next("x")
        self._add(Begin(id, name, args))
        yield id
        self._add(End(id))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Operations that are released at the same instant."""
        self._volley = []
        yield
        volley, self._volley = self._volley, None
        self._add(Do(tuple(volley)))

    @contextmanager
    def meanwhile(self) -> Iterator[str]:
        """Steps in the background; `join` waits for them."""
        id = self._next("m")
        self._blocks.append([])
        yield id
        steps = self._blocks.pop()
        self._add(Meanwhile(id, tuple(steps)))

    def join(self, id: str) -> None:
        self._add(Join(id))

    def amount(self, account: str) -> int:
        """The next amount that names itself in this account's balance."""
        return self._amounts[account].next()

    def retell(self, plan: Plan) -> None:
        """All steps of another plan, its handles and keys renamed so that they are not those of this one."""
        for step in plan.steps:
            self._add(_renamed(step, "e"))

    def steps(self) -> tuple[Step, ...]:
        return tuple(self._blocks[0])

    def _at_the_provider(self, kind: str, top_up: str, amount_minor: int = 0) -> None:
        self._do(Operation(id=self._next("g"), kind=kind, about=top_up, amount_minor=amount_minor))

    def _do(self, operation: Operation) -> None:
        if self._asking:
            operation = replace(operation, args={**operation.args, "as": self._asking})
        if self._volley is not None:
            self._volley.append(operation)
        else:
            self._add(Do((operation,)))

    def _add(self, step: Step) -> None:
        self._blocks[-1].append(step)

    def _next(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"


def _renamed(step: Step, prefix: str) -> Step:
    """The same step with *prefix* before every handle and key that it has."""

    def name(handle: str) -> str:
        return handle and prefix + handle

    match step:
        case Do(operations):
            return Do(tuple(replace(o, id=name(o.id), about=name(o.about), key=name(o.key)) for o in operations))
        case Begin(id, fault, args):
            return Begin(name(id), fault, args)
        case Meanwhile(id, steps):
            return Meanwhile(name(id), tuple(_renamed(inner, prefix) for inner in steps))
        case Wait(until, at_most_s, args):
            return Wait(until, at_most_s, {k: name(str(v)) if k == "fault" else v for k, v in args.items()})
        case End(id):
            return End(name(id))
        case Join(id):
            return Join(name(id))


_FAKER: Any = Faker()  # it makes its methods as it goes


def _user_name(names: Random) -> str:
    """A name drawn from *names*. There is one Faker for all drafts, because making one costs more than a plan."""
    _FAKER.random = names
    name: str = _FAKER.user_name()
    return name


Tell = Callable[[Draft], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A named story; `plan(seed)` tells it. A scenario is the same plan, to the byte, for the same seed."""

    name: str
    story: str
    about: tuple[str, ...]
    tell: Tell

    def plan(self, seed: int) -> Plan:
        """A top-up in calm weather opens the story and another closes it: a service that refuses everything is not safe."""
        draft = Draft(Random(seed))
        draft.paid(patience_s=CALM_S)
        self.tell(draft)
        draft.paid(patience_s=CALM_S)
        return Plan(self.name, self.story, seed, draft.steps(), self.about)


SCENARIOS: Registry[Scenario] = Registry("scenario")


def scenario(*about: str) -> Callable[[Tell], Tell]:
    """Register a story under its file's name, about `MONEY` and the promises named; its docstring is the story."""

    def register(tell: Tell) -> Tell:
        story = " ".join((tell.__doc__ or "").split())
        if not story:
            raise TypeError(f"{tell.__name__} needs a docstring: the story that it tells")
        name = name_of(tell.__module__)
        SCENARIOS.add(name, Scenario(name, story, (*MONEY, *about), tell))
        return tell

    return register
