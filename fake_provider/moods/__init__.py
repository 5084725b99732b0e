"""How a provider can be cruel: one file per mood.

A mood knows no dialect and no socket. It derives from the hooks that it needs (`Says`, `Shapes`, `Holds`, `Hears`,
`Charges`, `Follows`, `Answers`, `Ends`) and from no other. Moods compose: each works on what the ones put on before it
have left over. Each counts what it touched, because a mood that touched nothing has shown nothing.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields, replace
from typing import Any, ClassVar, Protocol, TypeVar

from fake_provider.dialects import Answer, Notice, Wire
from fake_provider.idempotency import ApiAnswer
from fake_provider.news import News
from fake_provider.payments import Payment
from fake_provider.registry import Registry, load, name_of, nearest
from fake_provider.shipments import Callback, Shipment


class Hands(Protocol):
    """What a mood may do beyond changing what it is handed."""

    def callback(self, notice: Notice, like: Callback, made_by: str) -> Callback:
        """A new callback about *notice*, under a fresh id, to the receiver of *like*."""

    def send(self, queue: Sequence[Shipment]) -> None:
        """Let these leave, one after another."""

    def again(self, callback: Callback) -> None:
        """Have it tried again on its schedule, whatever was answered."""

    def pay(self, payment_id: str, amount_minor: int, cause: str) -> Payment:
        """Charge the customer, with all that follows."""

    def pay_more(self, payment_id: str, amount_minor: int, cause: str) -> Payment:
        """Capture another part."""

    def decline(self, payment_id: str, cause: str) -> Payment: ...

    def refund(self, payment_id: str, amount_minor: int) -> Payment: ...

    def dispute(self, payment_id: str, amount_minor: int) -> Payment: ...

    def win(self, payment_id: str) -> Payment: ...

    def lose(self, payment_id: str) -> Payment: ...

    def later(self, after_s: float, what: str, by: str, payment_id: str, do: Callable[[], object]) -> None:
        """Do something to a payment when the provider's clock is *after_s* further, if it is still possible then."""

    def untried(self, payment_id: str) -> bool:
        """Whether a callback of the payment has yet to be tried for the first time."""

    async def attempted(self, payment_id: str, within_s: float) -> None:
        """Wait until each of the payment's callbacks has been tried once, bounded."""


@dataclass(kw_only=True, eq=False)
class Mood:
    """One way to misbehave, from when it is put on until it ends. Fields that `arg` makes are its arguments.

    `needs_words` and `needs_batches` say what a dialect must have, or the mood would touch what nobody sees.
    """

    name: ClassVar[str] = ""
    needs_words: ClassVar[tuple[News, ...]] = ()
    needs_batches: ClassVar[bool] = False
    touched: int = field(default=0, init=False)


class Says(Mood, ABC):
    """Changes what is made known of an event, before it becomes a callback."""

    @abstractmethod
    def say(self, notice: Notice) -> Iterable[Notice]:
        """What is said instead of *notice*, one after another."""


class Shapes(Mood, ABC):
    """Changes how callbacks leave."""

    @abstractmethod
    def shape(self, shipment: Shipment) -> Iterable[Shipment]:
        """What leaves instead of *shipment*, one after another; nothing, when it is dropped or held."""


@dataclass(kw_only=True, eq=False)
class Holds(Shapes):
    """Keeps shipments back until they are released."""

    held: list[Shipment] = field(default_factory=list, init=False)

    def release(self) -> list[list[Shipment]]:
        """Everything held, as queues that leave at the same time: one for each payment and receiver, in the order of arrival."""
        queues: dict[tuple[str, str], list[Shipment]] = {}
        for shipment in self.held:
            queues.setdefault(shipment.line, []).append(shipment)
        self.held = []
        return list(queues.values())


class Hears(Mood):
    """Has a say in what an answer means, and acts on it."""

    def acknowledged(self, shipment: Shipment, answer: Answer, acknowledged: bool) -> tuple[bool, str]:
        """Whether the provider takes *answer* for an acknowledgement, and why."""
        return acknowledged, answer.because

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        """Called after each answer, also one that never came. `signed` is what was sent: None for what was dropped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A capture that is about to happen: what was asked for, what will be taken, and who declines it first, if any, or
    stops at a promise of it.
    """

    payment: Payment
    asked_minor: int
    taken_minor: int
    currency: str
    declined_by: str | None = None
    authorised_by: str | None = None

    @classmethod
    def of(cls, payment: Payment, amount_minor: int) -> "Charge":
        """The one that is as it was asked for."""
        return cls(payment=payment, asked_minor=amount_minor, taken_minor=amount_minor, currency=payment.order.currency)

    @property
    def happens(self) -> bool:
        """Whether money will be taken, as far as the moods before have left it so."""
        return self.declined_by is None and self.authorised_by is None


class Charges(Mood, ABC):
    """Changes what happens when the customer is charged."""

    @abstractmethod
    def charge(self, charge: Charge) -> Charge: ...


class Follows(Mood, ABC):
    """Has something happen to a payment in consequence of what happened to it."""

    @abstractmethod
    def moved(self, payment: Payment, hands: Hands) -> None:
        """Called after each step of each payment, when it is in the book and its callbacks are on their way."""


class Answers(Mood, ABC):
    """Changes what the business API says to the request that makes a payment or a refund, after it has been made."""

    @abstractmethod
    async def answer(self, key: str, answer: ApiAnswer, hands: Hands) -> ApiAnswer: ...


class Ends(Mood, ABC):
    """Has something to put right when it ends."""

    @abstractmethod
    def end(self, hands: Hands) -> None: ...


class BadArgument(ValueError):
    """A mood was asked for with an argument that it does not take; `field` names the argument."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.field = f"args.{name}"


MOODS: Registry[type[Mood]] = Registry("mood")

M = TypeVar("M", bound=type[Mood])


def mood(cls: M) -> M:
    """Register a mood under the name of its file. Its docstring says what the receiver sees."""
    if not cls.__doc__ or cls.__doc__.startswith(f"{cls.__name__}("):
        raise TypeError(f"{cls.__name__} needs a docstring: what the receiver sees")
    cls.name = name_of(cls.__module__)
    MOODS.add(cls.name, cls)
    return cls


def arg(default: Any, *, at_least: float, at_most: float) -> Any:
    """An argument of a mood: a number within bounds. Whole if the default is whole, or None for no limit."""
    return field(default=default, metadata={"at_least": at_least, "at_most": at_most})


def choice(default: str, *others: str) -> Any:
    """An argument of a mood that is one of a few words."""
    return field(default=default, metadata={"one_of": (default, *others)})


def all_moods() -> Mapping[str, type[Mood]]:
    """Every mood there is, by name."""
    load(__name__)
    return MOODS


def make(name: str, args: Mapping[str, Any]) -> Mood:
    """A fresh mood; raises `UnknownName` or `BadArgument`."""
    load(__name__)
    cls = MOODS[name]
    known = {one.name: one for one in fields(cls) if one.init}
    for given, value in args.items():
        if given not in known:
            raise BadArgument(given, f"{name} has no argument {given!r}; {nearest(given, known)}")
        _check(known[given], value, name)
    return cls(**args)


def _check(known: Field[Any], value: Any, mood_name: str) -> None:
    if value is None and known.default is None:
        return
    if "one_of" in known.metadata:
        if value not in known.metadata["one_of"]:
            words = ", ".join(known.metadata["one_of"])
            raise BadArgument(known.name, f"{mood_name}: {known.name} must be one of {words}, not {value!r}")
        return
    low, high = known.metadata["at_least"], known.metadata["at_most"]
    kinds: tuple[type, ...] = (int, float) if isinstance(known.default, float) else (int,)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high:
        what = "a number" if float in kinds else "a whole number"
        raise BadArgument(known.name, f"{mood_name}: {known.name} must be {what} from {low} to {high}, not {value!r}")


@dataclass(frozen=True, slots=True)
class Released:
    """A queue that a mood let go, and what those after it made of it: that is what leaves."""

    held: Sequence[Shipment]
    leaving: Sequence[Shipment]


@dataclass(slots=True)
class Moods:
    """The moods that are on, in the order in which they were put on."""

    _on: dict[str, Mood] = field(default_factory=dict)
    _made: int = 0

    def put_on(self, one: Mood) -> str:
        self._made += 1
        mood_id = f"m{self._made}"
        self._on[mood_id] = one
        return mood_id

    def on(self) -> dict[str, Mood]:
        return dict(self._on)

    def get(self, mood_id: str) -> Mood | None:
        return self._on.get(mood_id)

    def end(self, mood_id: str) -> list["Released"]:
        """Take the mood off; what it held comes back, shaped by those after it."""
        released = self._released(self._on[mood_id])
        del self._on[mood_id]
        return released

    def release(self) -> list["Released"]:
        """Everything that any mood holds. What one lets go, those after it may hold again only until their own turn."""
        return [released for one in self._on.values() for released in self._released(one)]

    def held(self) -> list[Shipment]:
        return [shipment for one in self._on.values() if isinstance(one, Holds) for shipment in one.held]

    def say(self, notice: Notice) -> list[Notice]:
        """What is really said, in order."""
        notices = [notice]
        for one in self._on.values():
            if isinstance(one, Says):
                notices = [said for each in notices for said in one.say(each)]
        return notices

    def moved(self, payment: Payment, hands: Hands) -> None:
        for one in list(self._on.values()):
            if isinstance(one, Follows):
                one.moved(payment, hands)

    def shape(self, queue: Iterable[Shipment]) -> list[Shipment]:
        """What really leaves, in order."""
        return _shaped(queue, self._on.values())

    def charge(self, charge: Charge) -> Charge:
        for one in self._on.values():
            if isinstance(one, Charges):
                charge = one.charge(charge)
        return charge

    def acknowledged(self, shipment: Shipment, answer: Answer, acknowledged: bool) -> tuple[bool, str]:
        because = answer.because
        for one in self._on.values():
            if isinstance(one, Hears):
                acknowledged, because = one.acknowledged(shipment, replace(answer, because=because), acknowledged)
        return acknowledged, because

    def heard(self, shipment: Shipment, signed: Wire | None, answer: Answer, acknowledged: bool, hands: Hands) -> None:
        for one in self._on.values():
            if isinstance(one, Hears):
                one.heard(shipment, signed, answer, acknowledged, hands)

    async def answer(self, key: str, answer: ApiAnswer, hands: Hands) -> ApiAnswer:
        for one in list(self._on.values()):  # one that waits gives others time to come and go
            if isinstance(one, Answers):
                answer = await one.answer(key, answer, hands)
        return answer

    def _released(self, one: Mood) -> list["Released"]:
        if not isinstance(one, Holds):
            return []
        on = list(self._on.values())
        later = on[on.index(one) + 1 :]
        return [Released(queue, _shaped(queue, later)) for queue in one.release()]


def _shaped(queue: Iterable[Shipment], moods: Iterable[Mood]) -> list[Shipment]:
    shipments = list(queue)
    for one in moods:
        if isinstance(one, Shapes):
            shipments = [out for shipment in shipments for out in one.shape(shipment)]
    return shipments
