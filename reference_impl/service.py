"""The parts, wired. The one place that knows which part needs which."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random

import httpx
import structlog

from reference_impl.access import Access
from reference_impl.adjustments import Adjustments
from reference_impl.admission import Admission, Compartment
from reference_impl.audit import AuditLog
from reference_impl.audit_watch import AuditWatch
from reference_impl.callbacks import CallbackIntake
from reference_impl.comparison import Comparer
from reference_impl.database import Database, Job
from reference_impl.flags import Flags
from reference_impl.idempotency_profiles import IDEMPOTENCY_PROFILES
from reference_impl.initiation import Initiation
from reference_impl.ledger import Ledger
from reference_impl.limits import Bodies
from reference_impl.metrics import Metrics
from reference_impl.migrate import migrate
from reference_impl.outbox import Outbox
from reference_impl.parts import Parts
from reference_impl.rates import RateLimits
from reference_impl.reconciler import Reconciler
from reference_impl.refunds import Refunds
from reference_impl.reviews import Reviews
from reference_impl.settings import Settings
from reference_impl.verifier import DIALECTS, Verifier

log = structlog.get_logger()

RATES_EVERY_S = 60.0
"""How often the buckets of rate limits that are over are deleted."""


@dataclass(frozen=True, slots=True)
class World:
    """What comes from outside of the program, and can be another in a test."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    random: Random = Random()  # noqa: RUF009 - jitter, not a secret; shared on purpose
    transport: httpx.AsyncBaseTransport | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A running service: what the routes call."""

    database: Database
    of_reconciler: Database
    access: Access
    admission: Admission
    rates: RateLimits
    reviews: Reviews
    initiation: Initiation
    refunds: Refunds
    callbacks: CallbackIntake
    ledger: Ledger
    reconciler: Reconciler
    comparer: Comparer
    adjustments: Adjustments
    audit: AuditLog
    flags: Flags
    outbox: Outbox
    metrics: Metrics
    bodies: Bodies
    now: Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Means:
    """What a service works with: who believes callbacks, and the connections to the provider, to customers, and for each job."""

    verifier: Verifier
    provider_http: httpx.AsyncClient
    notify_http: httpx.AsyncClient
    database: Database
    of_callbacks: Database
    of_reconciler: Database


@asynccontextmanager
async def running(settings: Settings, parts: Parts, world: World) -> AsyncIterator[Service]:
    """A service with its connections and background loops; all of them end with the block."""
    async with opened(settings, parts, world) as means:
        await parts.audit(means.database, world.now).configured(settings.described(), settings.deployed_by)
        service = assembled(settings, parts, world, means)
        await service.flags.refresh()
        watch = AuditWatch(service.audit, service.metrics, service.now)
        async with (
            _repeating(settings.review_every_s, service.reviews.look),
            _repeating(RATES_EVERY_S if settings.rates else 0, service.rates.forget),
            _repeating(settings.outbox_every_s, service.outbox.flush),
            _repeating(settings.reconcile_every_s, service.reconciler.run),
            _repeating(settings.audit_every_s, watch.seal),
            _repeating(settings.audit_verify_every_s, watch.verify),
            _repeating(settings.flags_every_s, service.flags.refresh),
        ):
            yield service


@asynccontextmanager
async def opened(settings: Settings, parts: Parts, world: World) -> AsyncIterator[Means]:
    """What can be wrong without anybody's help first: a service without a secret must not get as far as a database."""
    async with AsyncExitStack() as stack:
        environments = parts.environments()
        environments.insist(settings.environment, settings.marked_keys, settings.endpoints)
        dialect = DIALECTS[settings.callback_dialect]
        verifier = parts.verifier(settings.callback_secret.get_secret_value(), dialect, settings.outgoing)
        provider_http = await stack.enter_async_context(_provider_http(settings, world))
        notify_http = await stack.enter_async_context(
            httpx.AsyncClient(
                timeout=settings.provider_timeout_s, trust_env=False, verify=_certificates(settings.notify_url)
            )
        )
        await migrate(
            settings.database_url,
            settings.environment,
            settings.provided_keys,
            environments=environments,
            further=parts.schema().further(),
        )
        database, of_callbacks, of_reconciler = [
            await stack.enter_async_context(parts.database(job).open(settings.database_url))
            for job in (Job.API, Job.CALLBACKS, Job.RECONCILER)
        ]
        yield Means(verifier, provider_http, notify_http, database, of_callbacks, of_reconciler)


def assembled(settings: Settings, parts: Parts, world: World, means: Means) -> Service:
    """The parts, each with what it needs of the others: whoever credits first, whoever asks and corrects after it."""
    now, database, of_reconciler = world.now, means.database, means.of_reconciler
    audit, states, metrics = parts.audit(of_reconciler, now), parts.states(), parts.metrics()
    flags = parts.flags(database, audit, now)
    ledger = parts.ledger(means.of_callbacks, flags)
    late_after = timedelta(seconds=settings.late_after_s)
    outbox = parts.outbox(means.of_callbacks, means.notify_http, settings.notify_url, metrics, now, late_after)
    callbacks = parts.callbacks(
        means.of_callbacks, means.verifier, states, ledger, outbox, metrics, now, world.monotonic
    )
    breaker = parts.breaker(world.monotonic, settings.breaker_failures, settings.breaker_open_s, metrics)
    provider = parts.provider(
        means.provider_http, settings.provider_timeout_s, settings.provider_attempts, world.random, breaker
    )
    profile = IDEMPOTENCY_PROFILES[settings.idempotency_profile]
    keys = parts.keys(database, settings.key_lease_s, metrics, now, profile)
    merchant, environment = settings.merchant, settings.environment
    initiation = parts.initiation(
        database, keys, states, provider, outbox, metrics, now, merchant=merchant, environment=environment
    )
    refunds, left = (
        parts.refunds(each, keys, ledger, provider, callbacks, audit, now) for each in (database, of_reconciler)
    )
    signatures = parts.signatures(database, now, settings.signing_secrets)
    most = {Compartment.CUSTOMERS: settings.customers_max, Compartment.CALLBACKS: settings.callbacks_max}
    window, patience_s = timedelta(seconds=settings.compare_window_s), settings.compare_patience_s
    limit_minor = settings.adjustment_limit_minor
    return Service(
        database=database,
        of_reconciler=of_reconciler,
        access=parts.access(database, signatures, world.monotonic, settings.access_cache_s),
        admission=parts.admission(most, metrics),
        rates=parts.rates(database, settings.rates, metrics, now),
        reviews=parts.reviews(of_reconciler, audit, now, settings.review_amount_minor, settings.review_failures),
        initiation=initiation,
        refunds=refunds,
        callbacks=callbacks,
        ledger=ledger,
        reconciler=parts.reconciler(of_reconciler, provider, initiation, left, callbacks, metrics, now),
        comparer=parts.comparer(of_reconciler, provider, now, window=window, patience_s=patience_s),
        adjustments=parts.adjustments(of_reconciler, ledger, states, outbox, audit, now, limit_minor),
        audit=audit,
        flags=flags,
        outbox=outbox,
        metrics=metrics,
        bodies=parts.bodies(),
        now=now,
    )


def _provider_http(settings: Settings, world: World) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=settings.provider_url,
        headers={"Authorization": f"Bearer {settings.provider_api_key.get_secret_value()}"},
        # To connect; ProviderClient bounds the whole, which httpx does not: it bounds each read, and a trickle is many.
        timeout=httpx.Timeout(None, connect=settings.provider_timeout_s),
        limits=httpx.Limits(max_connections=None, max_keepalive_connections=20),  # ProviderClient has its bound
        transport=world.transport,
        trust_env=False,
        verify=_certificates(settings.provider_url),
    )


def _certificates(url: str) -> ssl.SSLContext | bool:
    """Whom to believe at *url*: what this machine believes; over plain HTTP nobody shows any, and loading them takes time."""
    return ssl.create_default_context() if url.startswith("https:") else False


@asynccontextmanager
async def _repeating(every_s: float, work: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Do *work* again and again beside the block; never, if *every_s* is 0."""

    async def loop() -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await work()
            except Exception as error:
                # Whatever it was, the next round may go well; a loop that ended would be missed by nobody.
                log.error("background work interrupted", error=type(error).__name__, exc_info=error)

    task = asyncio.create_task(loop()) if every_s else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
