"""What the provider is told at start-up, by environment variables alone."""

from pathlib import Path
from random import Random
from typing import Annotated

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fake_provider.dialects import find
from fake_provider.dialects._rsa import read_public
from fake_provider.registry import UnknownName
from fake_provider.sender import Address

DEFAULT_DIALECT = "standard-webhooks"
INBOX = "/inbox"
"""Says yes to everything: for who has no receiver yet."""


class Settings(BaseSettings):
    """Each field is the environment variable `PROVIDER_<FIELD>`. The provider serves on 127.0.0.1 and nowhere else."""

    model_config = SettingsConfigDict(env_prefix="PROVIDER_", frozen=True, validate_default=False)

    port: Annotated[int, Field(ge=1, le=65535, description="port of the page, the business and the control API")] = 8100
    api_key: Annotated[
        SecretStr, Field(min_length=1, description="what merchants send as `Authorization: Bearer …`")
    ] = SecretStr("fake-api-key")
    access_key_id: Annotated[
        str,
        Field(description="with it, merchants sign requests with ACS3-HMAC-SHA256, the API key being the secret"),
    ] = ""
    callback_url: Annotated[
        str, Field(description="where callbacks go; http:// and loopback only; empty: to an inbox of its own")
    ] = ""
    dialect: Annotated[str, Field(description="how callbacks are written and signed")] = DEFAULT_DIALECT
    callback_secret: Annotated[
        SecretStr,
        Field(description="what signs callbacks; several, separated by spaces, while keys are rotated; else drawn"),
    ] = SecretStr("")
    retired_secret: Annotated[
        SecretStr, Field(description="what once signed callbacks and no longer does, for a forger; may be several")
    ] = SecretStr("")
    app_public_key: Annotated[
        str,
        Field(description="what verifies a merchant's requests to Alipay's /gateway.do, which opens with it"),
    ] = ""
    merchant: Annotated[str, Field(description="the merchant whose key this is; empty: any")] = ""
    environment: Annotated[str, Field(min_length=1, description="written into every payment and callback")] = "chaos"
    seed: Annotated[int, Field(description="of all ids and all other chance")] = 0
    attempt_timeout_s: Annotated[
        float, Field(gt=0, le=60, description="real seconds that one attempt to deliver may take")
    ] = 2.0
    keep_connections: Annotated[
        bool, Field(description="whether callbacks may share connections that the receiver leaves open")
    ] = False
    panel_url: Annotated[str, Field(description="a page on this machine to show beside the payments")] = ""
    memory: Annotated[
        Path | None, Field(description="where `POST /control/die` leaves the books for the next process; none: nowhere")
    ] = None

    @field_validator("callback_url", "panel_url")
    @classmethod
    def _is_loopback(cls, url: str) -> str:
        if url:
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
            _check(key, info)
        return secret

    @field_validator("app_public_key")
    @classmethod
    def _is_a_public_key(cls, word: str, info: ValidationInfo) -> str:
        if word:
            read_public(word)
            if info.data.get("dialect") != "alipay":
                raise ValueError("Alipay's gateway signs its answers: set PROVIDER_DIALECT=alipay")
        return word

    @field_validator("retired_secret")
    @classmethod
    def _were_keys(cls, secret: SecretStr, info: ValidationInfo) -> SecretStr:
        for key in secret.get_secret_value().split():
            _check(key, info)
        return secret

    @property
    def is_drawn(self) -> bool:
        """Whether the callbacks' key is one that the seed draws, and so nobody's secret."""
        return "callback_secret" not in self.model_fields_set

    @property
    def has_fake_key(self) -> bool:
        """Whether merchants come in with the key that everybody knows."""
        return "api_key" not in self.model_fields_set

    @property
    def keys(self) -> tuple[str, ...]:
        if self.is_drawn:
            return (find(self.dialect).draw_key(Random(self.seed)),)
        return tuple(self.callback_secret.get_secret_value().split())

    @property
    def receiver(self) -> str:
        """Where callbacks go."""
        return self.callback_url or f"http://127.0.0.1:{self.port}{INBOX}"

    @property
    def retired(self) -> tuple[str, ...]:
        return tuple(self.retired_secret.get_secret_value().split())


def _check(key: str, info: ValidationInfo) -> None:
    find(info.data.get("dialect", DEFAULT_DIALECT)).check_key(key)


def explain() -> str:
    """What `--help` prints: every variable, what it is for, and what it is when it is not set."""
    lines = []
    for name, about in Settings.model_fields.items():
        value = about.default.get_secret_value() if isinstance(about.default, SecretStr) else about.default
        default = f"default {value!r}"
        lines.append(f"  PROVIDER_{name.upper():<20} {about.description} ({default})")
    return "\n".join(lines)
