"""What the provider is told at start-up, by environment variables alone."""

from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fake_provider.dialects import find
from fake_provider.registry import UnknownName
from fake_provider.sender import Address

DEFAULT_DIALECT = "standard-webhooks"


class Settings(BaseSettings):
    """Each field is the environment variable `PROVIDER_<FIELD>`. The provider serves on 127.0.0.1 and nowhere else."""

    model_config = SettingsConfigDict(env_prefix="PROVIDER_", frozen=True)

    port: Annotated[int, Field(ge=1, le=65535, description="port of the business and the control API")] = 8100
    api_key: Annotated[SecretStr, Field(min_length=1, description="what merchants send as `Authorization: Bearer …`")]
    callback_url: Annotated[str, Field(description="where callbacks go; http:// and loopback only")]
    dialect: Annotated[str, Field(description="how callbacks are written and signed")] = DEFAULT_DIALECT
    callback_secret: Annotated[
        SecretStr, Field(description="what signs callbacks; several, separated by spaces, while keys are rotated")
    ]
    merchant: Annotated[str, Field(description="the merchant whose key this is; empty: any")] = ""
    environment: Annotated[str, Field(min_length=1, description="written into every payment and callback")] = "chaos"
    seed: Annotated[int, Field(description="of all ids and all other chance")] = 0
    attempt_timeout_s: Annotated[
        float, Field(gt=0, le=60, description="real seconds that one attempt to deliver may take")
    ] = 2.0

    @field_validator("callback_url")
    @classmethod
    def _is_loopback(cls, url: str) -> str:
        Address.of(url)
        return url

    @field_validator("dialect")
    @classmethod
    def _exists(cls, name: str) -> str:
        try:
            find(name)
        except UnknownName as unknown:
            raise ValueError(str(unknown)) from None
        return name

    @field_validator("callback_secret")
    @classmethod
    def _are_keys(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        keys = secret.get_secret_value().split()
        if not keys:
            raise ValueError("it is empty: an unsigned callback could come from anyone")
        for key in keys:
            find(info.data.get("dialect", DEFAULT_DIALECT)).check_key(key)
        return secret

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self.callback_secret.get_secret_value().split())


def explain() -> str:
    """What `--help` prints: every variable, what it is for, and what it is when it is not set."""
    lines = []
    for name, about in Settings.model_fields.items():
        default = "required" if about.is_required() else f"default {about.default!r}"
        lines.append(f"  PROVIDER_{name.upper():<20} {about.description} ({default})")
    return "\n".join(lines)
