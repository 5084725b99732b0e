"""Everything that differs between two deployments, read from the environment once, at start-up."""

import hashlib
from collections.abc import Mapping
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import AwareDatetime, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from reference_impl.api_keys import Provided, parse
from reference_impl.limits import BODY_S
from reference_impl.rates import KINDS, Rate
from reference_impl.signatures import secrets_in
from reference_impl.verifier import DIALECTS, Outgoing


def _described(value: object) -> str:
    if isinstance(value, SecretStr):
        return f"sha256:{hashlib.sha256(value.get_secret_value().encode()).hexdigest()[:16]}"
    url = urlsplit(value) if isinstance(value, str) and "://" in value else None
    return str(value) if url is None else f"{url.scheme}://{url.netloc.rpartition('@')[2]}{url.path}"


class Settings(BaseSettings):
    """The names are the environment variables'. Secrets do not show when this is printed."""

    model_config = SettingsConfigDict(frozen=True, hide_input_in_errors=True)

    port: int = 8000
    database_url: str = Field(repr=False)
    provider_url: str
    provider_api_key: SecretStr
    callback_dialect: str = "standard-webhooks"
    """How the provider signs and words its callbacks; they come to /callbacks/ and this name."""
    callback_secret: SecretStr
    """What verifies callbacks: `whsec_…`, or the provider's public key, as the dialect has it; several, separated by
    spaces, while they are being rotated."""
    callback_secret_old: SecretStr | None = None
    """One that was rotated out and is still believed until `callback_secret_old_until`."""
    callback_secret_old_until: AwareDatetime | None = None
    """Its end, as in `2026-01-31T12:00:00Z`. It needs one: what has none is forgotten, and good for ever."""
    api_keys: SecretStr = SecretStr("")
    """Keys that a fresh database is given: `tenant/principal:scope,scope:key`, separated by spaces. Others are made by
    `python -m reference_impl keys make`."""
    revoked_keys: str = ""
    """Names of keys that are revoked when the service starts, for good, separated by spaces."""
    signing_secret: SecretStr = SecretStr("")
    """What the secrets of those who sign their requests are derived from; several, separated by spaces, while it is being
    rotated. Empty: nobody's signature is taken."""
    merchant: str = Field(min_length=1)
    environment: str = Field(min_length=1)

    body_within_s: float = Field(default=BODY_S, gt=0)
    """How long the body of a request may take."""
    access_cache_s: float = Field(default=10, ge=0)
    """How long a key that was looked up is taken for granted: so long, at most, one that was revoked is still good."""
    key_lease_s: float = Field(default=2, gt=0)
    """After this long, a request that never answered may be resumed by whoever repeats it."""
    idempotency_profile: Literal["ietf", "stripe", "brandur"] = "ietf"
    """By whose custom a key that cannot be used is answered."""
    provider_timeout_s: float = Field(default=0.5, gt=0)
    """The bound of one attempt, as a whole."""
    provider_attempts: int = Field(default=3, ge=1)
    breaker_failures: int = Field(default=20, ge=1)
    """So many failed requests for money in a row open the circuit to the provider: what is asked then is not sent, but stored."""
    breaker_open_s: float = Field(default=5, gt=0)
    """How long the provider is then left alone, before one request tries it."""
    customers_max: int = Field(default=200, ge=1)
    """So many requests of customers are worked on at once; more are turned away, before anything is done about them."""
    callbacks_max: int = Field(default=200, ge=1)
    """The same for callbacks, of which the provider then sends more later."""
    rate_by_address: str = ""
    """So many requests for top-ups in so many seconds, as in `5/60`; empty: no limit. By the address that they come from."""
    rate_by_principal: str = ""
    rate_by_customer: str = ""
    rate_by_method: str = ""
    """By customer and payment method."""
    rate_by_intent: str = ""
    """By customer, account and idempotency key: how often one wish may be repeated."""
    review_amount_minor: int = Field(default=10_000_000, ge=1)
    """A top-up of so much is for people to look at. It goes on as any other."""
    review_failures: int = Field(default=5, ge=1)
    """So are as many failed payments of one customer in an hour, and as many requests that came too soon."""
    review_every_s: float = Field(default=0, ge=0)
    """How often what is odd is looked for; 0: when the queue is read."""
    reconcile_every_s: float = Field(default=0, ge=0)
    """How often what is open is settled; 0: only on demand. Books are compared by `reconcile --every-s`, a process of its own."""
    compare_window_s: float = Field(default=2 * 86_400, gt=0)
    """How old a top-up may be to be compared with the provider's book. Older ones were, by earlier runs."""
    compare_patience_s: float = Field(default=30, ge=0)
    """How long what differs may take to be mended by a callback on its way before it is a finding."""
    adjustment_limit_minor: int = Field(default=10_000, ge=0)
    """A correction of more minor units than this waits for a second person."""
    audit_every_s: float = Field(default=5, ge=0)
    """How long a record of the audit log may stand unchained; 0: until somebody asks for the log."""
    audit_verify_every_s: float = Field(default=3600, ge=0)
    """How often its whole chain is verified, for the metrics to say; 0: only at a terminal."""
    flags_every_s: float = Field(default=1, ge=0)
    """How far a process may be behind a flag that another one was told of; 0: until it is told itself, or restarted."""
    deployed_by: str = Field(default="deployment", min_length=1, max_length=64)
    """Whose doing this configuration is, as the audit log names them."""
    outbox_every_s: float = Field(default=0.5, gt=0)
    late_after_s: float = Field(default=900, gt=0)
    """Who waits for longer is told so, once, when reconciliation next runs."""
    notify_url: str = ""
    """Empty: notifications are written to the log only."""
    log_level: str = "INFO"

    @property
    def outgoing(self) -> Outgoing | None:
        """The secret that was rotated out, with its end; None while none is."""
        old, until = self.callback_secret_old, self.callback_secret_old_until
        return Outgoing(old.get_secret_value(), until) if old and until else None

    @field_validator("callback_secret_old", "callback_secret_old_until", mode="before")
    @classmethod
    def _is_set(cls, value: object) -> object:
        return value or None

    def described(self) -> dict[str, str]:
        """Every setting for the audit log: of a secret its digest, of an endpoint neither user nor password nor query.

        Without the port: several processes of one configuration differ in it.
        """
        return {name: _described(value) for name, value in self if name not in ("port", "deployed_by")}

    @model_validator(mode="after")
    def _ends(self) -> Self:
        if (self.callback_secret_old is None) != (self.callback_secret_old_until is None):
            raise ValueError("CALLBACK_SECRET_OLD and CALLBACK_SECRET_OLD_UNTIL go together: set both, or neither")
        return self

    @property
    def marked_keys(self) -> Mapping[str, str]:
        """Keys that say which environment they belong to, by the names of their settings."""
        return {"PROVIDER_API_KEY": self.provider_api_key.get_secret_value()}

    @property
    def endpoints(self) -> Mapping[str, str]:
        """What is talked to, by the names of the settings."""
        return {
            "DATABASE_URL": self.database_url,
            "PROVIDER_URL": self.provider_url,
            "NOTIFY_URL": self.notify_url,
        }

    @property
    def provided_keys(self) -> Provided:
        """What `API_KEYS` and `REVOKED_KEYS` say of keys."""
        return Provided(parse(self.api_keys.get_secret_value()), tuple(self.revoked_keys.split()))

    @property
    def signing_secrets(self) -> tuple[str, ...]:
        """The secrets in `SIGNING_SECRET`."""
        return secrets_in(self.signing_secret.get_secret_value())

    @field_validator("signing_secret")
    @classmethod
    def _are_long(cls, secret: SecretStr) -> SecretStr:
        secrets_in(secret.get_secret_value())
        return secret

    @field_validator("api_keys")
    @classmethod
    def _are_keys(cls, keys: SecretStr) -> SecretStr:
        parse(keys.get_secret_value())
        return keys

    @property
    def rates(self) -> Mapping[str, Rate]:
        """The limits of rates that there are, by what is counted."""
        texts = {kind: getattr(self, f"rate_by_{kind}") for kind in KINDS}
        return {kind: Rate.read(text) for kind, text in texts.items() if text}

    @field_validator(*(f"rate_by_{kind}" for kind in KINDS))
    @classmethod
    def _is_a_rate(cls, text: str) -> str:
        if text:
            Rate.read(text)
        return text

    @field_validator("callback_dialect")
    @classmethod
    def _is_spoken(cls, name: str) -> str:
        if name not in DIALECTS:
            raise ValueError(f"CALLBACK_DIALECT must be one of {', '.join(DIALECTS)}")
        return name
