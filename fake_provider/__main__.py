"""`python -m fake_provider`: serve on 127.0.0.1 until told to stop."""

import os
import random
import sys
from socket import socket
from types import FrameType

import uvicorn
from pydantic import ValidationError

from fake_provider.acs3 import Gate
from fake_provider.apis.alipay import AlipayGateway
from fake_provider.app import create_app
from fake_provider.clock import Clocks, HandClock, real_time
from fake_provider.dialects import find
from fake_provider.page import About
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender
from fake_provider.settings import Settings, explain

HOST = "127.0.0.1"
WRONG_USAGE = 2
EXAMPLE = """curl {url}/v1/payments -H 'Authorization: Bearer {key}' -H 'Idempotency-Key: 1' -d \\
  '{{"reference":"tu_1","amount_minor":1000,"currency":"EUR","account":"a","merchant":"{merchant}","method":"card"}}'"""


class Server(uvicorn.Server):
    """Greets once it really serves."""

    def __init__(self, config: uvicorn.Config, greeting: str) -> None:
        super().__init__(config)
        self._greeting = greeting

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            print(self._greeting, flush=True)  # noqa: T201

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at once: everything here is memory, so there is nothing to finish and nobody worth waiting for."""
        os._exit(0)


def main(arguments: list[str]) -> int:
    if arguments:
        print(f"Usage: python -m fake_provider\n\nSettings are environment variables:\n{explain()}")  # noqa: T201
        return 0 if arguments in (["-h"], ["--help"]) else WRONG_USAGE
    try:
        settings = Settings()
    except ValidationError as wrong:
        print(_in_words(wrong), file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    provider, about = provider_of(settings), about_of(settings)
    key = settings.api_key.get_secret_value()
    gateway = AlipayGateway(provider, settings.app_public_key, settings.keys[0]) if settings.app_public_key else None
    app = create_app(provider, key, gate_of(settings), about, settings.memory, gateway)
    Server(
        # Named, because whatever else is installed would be taken instead: with uvloop no callback leaves (`connection.py`).
        uvicorn.Config(
            app,
            host=HOST,
            port=settings.port,
            loop="asyncio",
            http="h11",
            ws="none",
            access_log=False,
            log_level="warning",
        ),
        greeting(settings, about),
    ).run()
    return 0


def provider_of(settings: Settings) -> Provider:
    """A provider on real time that sends over real sockets."""
    return Provider(
        Setup(
            merchant=settings.merchant,
            environment=settings.environment,
            dialect=find(settings.dialect),
            keys=settings.keys,
            retired=settings.retired,
            url=settings.receiver,
            sender=LoopbackSender(Address.of(settings.receiver), settings.attempt_timeout_s, settings.keep_connections),
            clocks=Clocks(payload=HandClock()),
            rng=random.Random(settings.seed),
        )
    )


def about_of(settings: Settings) -> About:
    """What the page says. Secrets that somebody gave are named and not shown; those that were made up here are nobody's."""
    given = "as in PROVIDER_{}"
    url = f"http://{HOST}:{settings.port}"
    key = settings.api_key.get_secret_value() if settings.has_fake_key else "$PROVIDER_API_KEY"
    keys = find(settings.dialect).receiver_key(settings.keys[0])
    return About(
        to_inbox=not settings.callback_url,
        setup={
            "Business API": f"{url}/v1",
            "API key": f"{key} (made up)" if settings.has_fake_key else given.format("API_KEY"),
            "Callbacks are verified with": f"{keys} (made up)"
            if settings.is_drawn
            else given.format("CALLBACK_SECRET"),
            "Callbacks go to": settings.receiver,
        },
        example=EXAMPLE.format(url=url, key=key, merchant=settings.merchant or "m"),
        panel_url=settings.panel_url,
    )


def greeting(settings: Settings, about: About) -> str:
    """What is printed at the start: where it is, what it is set up with, and how to begin."""
    url = f"http://{HOST}:{settings.port}"
    facts = {"Page": f"{url}/", "Control API": f"{url}/control/openapi.json", **(about.setup or {})}
    lines = [f"{name + ':':<29}{value}" for name, value in facts.items()]
    return "\n".join(["The fake provider: no money moves, and nothing leaves this machine.", *lines, "", about.example])


def gate_of(settings: Settings) -> Gate | None:
    """Where merchants sign their requests; None where they send the key."""
    if not settings.access_key_id:
        return None
    return Gate({settings.access_key_id: settings.api_key.get_secret_value()}, real_time)


def _in_words(wrong: ValidationError) -> str:
    lines = []
    for error in wrong.errors(include_input=False, include_url=False):
        variable = f"PROVIDER_{str(error['loc'][0]).upper()}"
        message = error["msg"].removeprefix("Value error, ")
        lines.append(f"{variable} must be set" if error["type"] == "missing" else f"{variable} is wrong: {message}")
    return "\n".join([*lines, "See python -m fake_provider --help"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
