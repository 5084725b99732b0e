"""Everything that differs between two deployments, read from the environment once, at start-up."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """The names are the environment variables'. Secrets do not show when this is printed."""

    model_config = SettingsConfigDict(frozen=True)

    port: int = 8000
    database_url: str = Field(repr=False)
    provider_url: str
    provider_api_key: SecretStr
    callback_secret: SecretStr
    """One `whsec_…`, or several separated by spaces while they are being rotated."""
    merchant: str = Field(min_length=1)
    environment: str = Field(min_length=1)

    key_lease_s: float = Field(default=2, gt=0)
    """After this long, a request that never answered may be resumed by whoever repeats it."""
    provider_timeout_s: float = Field(default=0.5, gt=0)
    """The bound of one attempt, as a whole."""
    provider_attempts: int = Field(default=3, ge=1)
    reconcile_every_s: float = Field(default=0, ge=0)
    """0: only on demand."""
    outbox_every_s: float = Field(default=0.5, gt=0)
    notify_url: str = ""
    """Empty: notifications are written to the log only."""
    log_level: str = "INFO"
