"""The world around a receiver: payments to lie about, balances to watch, and genuine callbacks to be calm with.

`Stranger` is a receiver of which nothing is known but its URL. In `Whole`, a service that the harness started itself with
provider and database, and in `Standing`, one that was up and can be asked, what became of the money is read, and not guessed
from a status.
"""

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol, TypeVar

from fake_provider.pen import Pen
from harness.client import Client
from harness.engines.fuzz.attack import Scene
from harness.engines.fuzz.door import Door
from harness.history import Recorder
from harness.outcomes import Outcome
from harness.provider import ProviderError
from harness.stacks.processes import Processes
from harness.target import Target

T = TypeVar("T")

CREDITED_S = 10.0
ASKED_S = 30.0
Claims = Mapping[str, Any]

UNSEEN = (
    "whether a balance moved: without --target nobody looks, and a receiver may refuse aloud and credit all the same",
    "whether something else than the answer changed: logs, queues, mails",
)


class Unready(Exception):
    """There is no calm to begin with; the message says what is missing."""


class World(Protocol):
    """What is around the receiver. `unseen` is what nobody can know of it; one that `shows_itself` was seen to credit."""

    unseen: Sequence[str]
    shows_itself: bool

    @property
    def victim(self) -> Claims:
        """A payment that waits for its customer."""

    @property
    def known(self) -> Claims:
        """A payment that was credited."""

    def open(self) -> None:
        """Make everything ready. Raises `Unready`."""

    def moved(self) -> int | None:
        """By how much the balance moved since it was last asked, in minor units; None where nobody can say."""

    def another_victim(self) -> None:
        """The one that there was is of no use any more."""

    def pay_the_victim(self) -> str | None:
        """The victim's payment is made after all, as the provider makes it known: why it was not credited, or None."""

    def log_lines(self) -> Sequence[str]:
        """What the receiver wrote since it was last asked."""

    def secrets(self) -> Mapping[str, str]:
        """What must not be found in an answer or a log."""


@dataclass(slots=True)
class Stranger:
    """Somebody else's receiver: claims are made up, or said by whoever knows it."""

    claims: Claims
    key: str | None
    unseen: Sequence[str] = UNSEEN
    shows_itself: bool = False

    @property
    def victim(self) -> Claims:
        other = {name: f"{self.claims[name]}-2" for name in ("payment", "reference")}
        return dict(self.claims) | other | {"amount_minor": self.claims["amount_minor"] + 131}

    @property
    def known(self) -> Claims:
        return self.claims

    def open(self) -> None:
        return None

    def moved(self) -> int | None:
        return None

    def another_victim(self) -> None:
        return None

    def pay_the_victim(self) -> str | None:
        return None

    def log_lines(self) -> Sequence[str]:
        return ()

    def secrets(self) -> Mapping[str, str]:
        return {} if self.key is None else {"the callback secret": self.key}


def made_up(rng: Random, said: Mapping[str, str]) -> dict[str, Any]:
    """Claims about a payment, as far as they were not *said*."""
    number = f"{rng.getrandbits(40):010x}"
    claims: dict[str, Any] = {
        "payment": f"pay_{number}",
        "reference": f"order-{number}",
        "amount_minor": 73519,
        "currency": "EUR",
        "account": f"account-{number}",
        "merchant": "chaos-merchant",
        "environment": "chaos",
    }
    return claims | {name: int(value) if name == "amount_minor" else value for name, value in said.items()}


class Watched(ABC):
    """A service whose balances can be read. Called from the engine's thread; what it asks is asked on *loop*."""

    unseen: Sequence[str] = ()
    shows_itself: bool = True

    def __init__(self, target: Target, url: str, loop: asyncio.AbstractEventLoop, rng: Random) -> None:
        self._target, self._loop, self._rng = target, loop, rng
        self._client = Client(target, url, Recorder(time.monotonic), 5.0)
        self._run = f"fuzz-{rng.getrandbits(32):08x}"
        self._account = {"run": self._run, "account": self._run, "customer": f"{self._run}-customer", "currency": "EUR"}
        self._ordered = 0
        self._balance = 0
        self.victim: Claims = {}
        self.known: Claims = {}

    @abstractmethod
    async def _claims(self, top_up: Mapping[str, Any], amount_minor: int) -> Claims:
        """What a genuine callback would say of a top-up, by what its customer was told. Raises `Unready`."""

    @abstractmethod
    async def _pay(self, about: Claims) -> None:
        """Have the payment made, and made known."""

    @abstractmethod
    def log_lines(self) -> Sequence[str]: ...

    @abstractmethod
    def secrets(self) -> Mapping[str, str]: ...

    def open(self) -> None:
        self._wait(self._open())

    def moved(self) -> int | None:
        return self._wait(self._moved())

    def another_victim(self) -> None:
        self.victim = self._wait(self._order())

    def pay_the_victim(self) -> str | None:
        return self._wait(self._paid(self.victim))

    async def close(self) -> None:
        await self._client.close()

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ASKED_S)

    async def _open(self) -> None:
        opening = self._target.operations.open_account
        if opening is not None:
            (answer,) = await self._client.ask((opening,), self._account)
            if answer.outcome is not Outcome.DONE:
                raise Unready(f"no account could be opened: {answer.because}")
        self._balance = await self._read_balance()
        paid = await self._order()
        if why := await self._paid(paid):
            raise Unready(f"a genuine payment was not credited before anything was attacked: {why}")
        self.known, self.victim = paid, await self._order()

    async def _order(self) -> Claims:
        """A payment that waits for its customer. Its amount is like no other number."""
        self._ordered += 1
        amount = 70_000 + self._ordered * 131 + self._rng.randrange(100)
        key = f"{self._run}-{self._ordered}"
        values = self._account | {"amount_minor": amount, "method": "redirect", "key": key}
        (answer,) = await self._client.ask((self._target.operations.top_up,), values)
        if answer.outcome is not Outcome.DONE or answer.facts.get("top_up") is None:
            raise Unready(f"no top-up could be ordered: {answer.because}")
        return await self._claims(answer.facts, amount)

    async def _paid(self, about: Claims) -> str | None:
        before = await self._read_balance()
        await self._pay(about)
        deadline, pause = self._loop.time() + CREDITED_S, 0.01
        while (now := await self._read_balance()) == before and self._loop.time() < deadline:
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.2)
        self._balance = now
        if now - before == about["amount_minor"]:
            return None
        return f"the balance moved by {now - before} within {CREDITED_S:g} s, and {about['amount_minor']} were paid"

    async def _moved(self) -> int:
        before, self._balance = self._balance, await self._read_balance()
        return self._balance - before

    async def _read_balance(self) -> int:
        (answer,) = await self._client.ask((self._target.operations.balance,), self._account)
        try:
            return int(answer.facts["balance_minor"])
        except (KeyError, TypeError, ValueError):
            raise Unready(f"the balance cannot be read: {answer.because}") from None


class Whole(Watched):
    """A service on a stack of ours: the provider makes payments, and makes them known itself."""

    def __init__(self, stack: Processes, loop: asyncio.AbstractEventLoop, rng: Random) -> None:
        super().__init__(stack.target, stack.service_url, loop, rng)
        self._stack = stack

    def log_lines(self) -> Sequence[str]:
        return self._stack.log_lines().get("service", ())

    def secrets(self) -> Mapping[str, str]:
        return self._stack.secrets

    async def _claims(self, top_up: Mapping[str, Any], amount_minor: int) -> Claims:
        try:
            made = await self._stack.provider.orders_of(str(top_up["top_up"]))
        except ProviderError as error:
            raise Unready(str(error)) from error
        if not made:
            raise Unready(f"the service ordered no payment for the top-up {top_up['top_up']}")
        names = ("reference", "amount_minor", "currency", "account", "merchant", "environment")
        return {"payment": made[-1]["id"]} | {name: made[-1][name] for name in names}

    async def _pay(self, about: Claims) -> None:
        await self._stack.provider.pay(about["payment"])


class Standing(Watched):
    """Somebody else's service that is up, and whose `target.toml` says how it is asked. Its provider is not asked for
    anything: a payment is made known by our hand, which holds its key.
    """

    unseen: Sequence[str] = ("what the service logs: it was not started here",)

    def __init__(
        self, target: Target, door: Door, pen: Pen, claims: Claims, loop: asyncio.AbstractEventLoop, rng: Random
    ) -> None:
        place = door.place
        super().__init__(target, f"{place.scheme}://{place.authority}", loop, rng)
        self._door, self._pen, self._said = door, pen, claims

    def log_lines(self) -> Sequence[str]:
        return ()

    def secrets(self) -> Mapping[str, str]:
        return {f"callback secret {number}": key for number, key in enumerate(self._pen.keys, 1)}

    async def _claims(self, top_up: Mapping[str, Any], amount_minor: int) -> Claims:
        """The reference is the top-up's own id, as everywhere in this harness."""
        about = {"reference": str(top_up["top_up"]), "amount_minor": amount_minor, "account": self._account["account"]}
        told = (
            {"payment": str(top_up["payment"])} if top_up.get("payment") else {"payment": f"pay_{about['reference']}"}
        )
        return dict(self._said) | about | told | {"currency": self._account["currency"]}

    async def _pay(self, about: Claims) -> None:
        scene = Scene(pen=self._pen, place=self._door.place, victim=about, known=about, genuine=None)
        shot = scene.whole(self._pen.sign(scene.written(about)))
        with closing(
            Door(self._door.place, self._door.timeout_s)
        ) as door:  # the engine's own is in another thread's hand
            await asyncio.to_thread(door.send, shot)


def in_a_thread(work: Callable[[], T]) -> "asyncio.Future[T]":
    """The engine's own thread: it blocks on sockets while the loop answers for the world."""
    return asyncio.get_running_loop().run_in_executor(None, work)
