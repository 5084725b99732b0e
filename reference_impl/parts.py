"""The classes that the service is made of, by the name of what they decide."""

from dataclasses import dataclass

from reference_impl.access import Access
from reference_impl.adjustments import Adjustments
from reference_impl.admission import Admission
from reference_impl.audit import AuditLog
from reference_impl.backup import Backup
from reference_impl.breaker import CircuitBreaker
from reference_impl.callbacks import CallbackIntake
from reference_impl.comparison import Comparer
from reference_impl.database import Database
from reference_impl.environments import Environments
from reference_impl.flags import Flags
from reference_impl.initiation import Initiation
from reference_impl.keys import IdempotencyKeys
from reference_impl.ledger import Ledger
from reference_impl.limits import Bodies, Limits
from reference_impl.metrics import Metrics
from reference_impl.migrate import Schema
from reference_impl.outbox import Outbox
from reference_impl.provider import ProviderClient
from reference_impl.rates import RateLimits
from reference_impl.reconciler import Reconciler
from reference_impl.refunds import Refunds
from reference_impl.reviews import Reviews
from reference_impl.signatures import Signatures
from reference_impl.states import States
from reference_impl.verifier import Verifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """One class for each concern. `dataclasses.replace` one, and the same service runs with another decision."""

    database: type[Database] = Database
    access: type[Access] = Access
    signatures: type[Signatures] = Signatures
    admission: type[Admission] = Admission
    rates: type[RateLimits] = RateLimits
    reviews: type[Reviews] = Reviews
    initiation: type[Initiation] = Initiation
    callbacks: type[CallbackIntake] = CallbackIntake
    verifier: type[Verifier] = Verifier
    states: type[States] = States
    ledger: type[Ledger] = Ledger
    provider: type[ProviderClient] = ProviderClient
    breaker: type[CircuitBreaker] = CircuitBreaker
    refunds: type[Refunds] = Refunds
    reconciler: type[Reconciler] = Reconciler
    keys: type[IdempotencyKeys] = IdempotencyKeys
    outbox: type[Outbox] = Outbox
    metrics: type[Metrics] = Metrics
    comparer: type[Comparer] = Comparer
    adjustments: type[Adjustments] = Adjustments
    limits: type[Limits] = Limits
    bodies: type[Bodies] = Bodies
    environments: type[Environments] = Environments
    audit: type[AuditLog] = AuditLog
    flags: type[Flags] = Flags
    backup: type[Backup] = Backup
    schema: type[Schema] = Schema
