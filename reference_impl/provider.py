"""Talking to the payment provider: one key for each top-up, a bound on everything, and no guess about silence."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from random import Random
from typing import Any, ClassVar, TypeVar

import anyio
import httpx
import stamina
import structlog

from reference_impl.breaker import CircuitBreaker, CircuitOpen
from reference_impl.logs import current_correlation
from reference_impl.provider_answers import (
    Declined,
    Fate,
    MoneyBack,
    NoAnswer,
    NotReached,
    NoTurn,
    OutcomeUnknown,
    Page,
    Payment,
    ProviderRefused,
    ServerError,
    document_of,
    money_back_of,
    page_of,
    payment_of,
    payments_of,
)
from reference_impl.topups import TopUp

log = structlog.get_logger()

T = TypeVar("T")


class ProviderClient:
    """The provider's API. Every method ends in an answer that is certain, or raises `OutcomeUnknown`."""

    FATES: ClassVar[Mapping[int, Fate]] = {
        200: Fate.DONE,
        201: Fate.DONE,
        402: Fate.DECLINED,
        408: Fate.UNKNOWN,  # it gave up on us, having read who knows how much
        409: Fate.UNKNOWN,  # an earlier attempt under this key is still running
        425: Fate.UNKNOWN,
        429: Fate.UNKNOWN,
    }
    """Where the first digit does not say it all; `classify` knows the rest."""

    PAUSE_S = 0.05
    PAUSE_MAX_S = 1.0
    CONNECTIONS = 50

    def __init__(
        self,
        http: httpx.AsyncClient,
        timeout_s: float,
        attempts: int,
        random: Random,
        breaker: CircuitBreaker,
        connections: int = CONNECTIONS,
    ) -> None:
        self.http = http
        # We wait for our turn here and never in the pool of httpcore 1.0: who is given a connection there in the very
        # moment in which it gives up leaves it for ever neither idle nor closed, and fifty such moments end it all.
        self.turns = asyncio.Semaphore(connections)
        self.timeout_s = timeout_s
        self.attempts = attempts
        self.random = random
        self.breaker = breaker

    async def create(self, top_up: TopUp) -> Payment:
        """Have the provider take the money, or find that it has: however often this is called, once.

        An answer that says no does not undo the doubt about an attempt before it: that one may have charged.
        """
        try:
            return await self._until_certain(_doubting(lambda number: self._create_once(top_up, number)))
        except CircuitOpen as unsent:
            return self.on_open_circuit(top_up, unsent)

    async def refund(self, payment: str, refund: str, amount_minor: int) -> MoneyBack:
        """Have the provider give money back, or find that it has: however often this is called for one *refund*, once."""

        async def once(attempt: int) -> MoneyBack:
            key = {"Idempotency-Key": self.refund_key(refund, attempt)}
            path, body = f"/v1/payments/{payment}/refunds", {"amount_minor": amount_minor}
            return money_back_of(await self._guarded(self.http.build_request("POST", path, json=body, headers=key)))

        return await self._until_certain(_doubting(once))

    async def reversals(self, after: int) -> Page:
        """The payments of which something went back, from a number on: what callbacks should have told."""

        async def attempt(_number: int) -> Page:
            return page_of(await self._send(self.http.build_request("GET", "/v1/reversals", params={"after": after})))

        return await self._until_certain(attempt)

    async def payments_for(self, reference: str) -> list[Payment]:
        """Every payment the provider knows for one of our top-ups, oldest first."""

        async def attempt(_number: int) -> list[Payment]:
            request = self.http.build_request("GET", "/v1/payments", params={"reference": reference})
            return payments_of(await self._send(request))

        return await self._until_certain(attempt)

    def idempotency_key(self, top_up: TopUp, attempt: int) -> str:
        """Derived from the top-up alone: every attempt, also after a restart, is the same request to the provider."""
        return f"top-up-{top_up.top_up}"

    def refund_key(self, refund: str, attempt: int) -> str:
        """Derived from the refund alone, for the same reason."""
        return f"refund-{refund}"

    def next_attempt(self, attempt: int) -> float | None:
        """How long to wait after the *attempt*-th failed, or None: enough. The one place that ends the retries."""
        if attempt >= self.attempts:
            return None
        return min(self.PAUSE_S * 2.0 ** (attempt - 1), self.PAUSE_MAX_S) * self.random.uniform(0.5, 1.0)

    def on_timeout(self, top_up: TopUp) -> Payment:
        """Silence is not a no: the money may have been taken."""
        raise OutcomeUnknown(f"no answer about {top_up.top_up}")

    def on_open_circuit(self, top_up: TopUp, unsent: CircuitOpen) -> Payment:
        """Nor is a request that was not sent: an attempt before it may have been, and it can still be."""
        raise unsent

    def on_server_error(self, top_up: TopUp, status: int) -> Payment:
        """Neither is an error on their side."""
        raise OutcomeUnknown(f"{status} about {top_up.top_up}")

    def classify(self, status: int) -> Fate:
        """What became of a request that was answered with *status*."""
        if status in self.FATES:
            return self.FATES[status]
        return Fate.REFUSED if 400 <= status < 500 else Fate.UNKNOWN

    async def _create_once(self, top_up: TopUp, attempt: int) -> Payment:
        key = self.idempotency_key(top_up, attempt)
        request = self.http.build_request(
            "POST", "/v1/payments", json=_intent(top_up), headers={"Idempotency-Key": key}
        )
        try:
            return payment_of(await self._guarded(request))
        except NoAnswer:
            return self.on_timeout(top_up)
        except ServerError as error:
            return self.on_server_error(top_up, error.status)

    async def _until_certain(self, attempt: Callable[[int], Awaitable[T]]) -> T:
        number = 0

        def again(error: Exception) -> float | bool:
            if isinstance(error, CircuitOpen) or not isinstance(error, OutcomeUnknown):
                return False
            pause = self.next_attempt(number)
            return False if pause is None else pause

        # No bounds for stamina: next_attempt is the bound.
        async for trial in stamina.retry_context(on=again, attempts=None, timeout=None):
            with trial:
                number = trial.num
                return await attempt(number)
        raise AssertionError("stamina ends by returning or raising")

    async def _guarded(self, request: httpx.Request) -> object:
        """Behind the breaker: what moves money. Queries are not: few go at once, they change nothing, and they end doubts."""
        with self.breaker.guarded():
            return await self._send(request)

    def bound_s(self) -> float | None:
        """How long one attempt may take as a whole, from the wait for a connection to the last byte."""
        return self.timeout_s

    async def _send(self, request: httpx.Request) -> object:
        """The JSON of a success; everything else is raised."""
        request.headers["X-Correlation-Id"] = current_correlation()
        waiting = True
        try:
            # httpx bounds each read, and a trickle is many reads; this bounds the whole. By anyio and not by asyncio:
            # httpcore shields its closing of a connection from the one alone.
            with anyio.fail_after(self.bound_s()):
                async with self.turns:
                    waiting = False
                    response = await self.http.send(request)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotReached(f"the provider was not reached: {type(error).__name__}") from error
        except (httpx.RequestError, TimeoutError) as error:
            if waiting:
                raise NoTurn("the provider was not reached: no connection was free in time") from error
            raise NoAnswer(f"the provider did not answer: {type(error).__name__}") from error
        log.info("provider answered", method=request.method, status=response.status_code)
        return self._judged(response)

    def _judged(self, response: httpx.Response) -> object:
        status = response.status_code
        match self.classify(status):
            case Fate.DONE:
                return document_of(response)
            case Fate.DECLINED:
                raise Declined("the provider declined the payment")
            case Fate.REFUSED:
                raise ProviderRefused(f"the provider refused the request: {status}")
            case Fate.UNKNOWN:
                raise ServerError(status) if status >= 500 else OutcomeUnknown(f"the provider answered {status}")


def _doubting(once: Callable[[int], Awaitable[T]]) -> Callable[[int], Awaitable[T]]:
    """Attempts of which a no does not undo the doubt about the one before it."""
    doubts: list[OutcomeUnknown] = []

    async def attempt(number: int) -> T:
        try:
            return await once(number)
        except NotReached:
            raise
        except OutcomeUnknown as doubt:
            doubts.append(doubt)
            raise
        except (Declined, ProviderRefused) as no:
            if doubts:
                raise doubts[-1] from no
            raise

    return attempt


def _intent(top_up: TopUp) -> dict[str, Any]:
    return {
        "reference": top_up.top_up,
        "amount_minor": top_up.amount_minor,
        "currency": top_up.currency,
        "account": top_up.account,
        "merchant": top_up.merchant,
        "method": top_up.method,
    }
