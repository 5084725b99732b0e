"""`python -m fake_provider`: serve on 127.0.0.1 until told to stop."""

import os
import random
import sys
from types import FrameType

import uvicorn
from pydantic import ValidationError

from fake_provider.app import create_app
from fake_provider.clock import Clocks, HandClock
from fake_provider.dialects import find
from fake_provider.provider import Provider, Setup
from fake_provider.sender import Address, LoopbackSender
from fake_provider.settings import Settings, explain

HOST = "127.0.0.1"
WRONG_USAGE = 2


class Server(uvicorn.Server):
    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop at once: everything here is memory, so there is nothing to finish and nobody worth waiting for."""
        os._exit(0)


def main(arguments: list[str]) -> int:
    if arguments:
        print(f"Usage: python -m fake_provider\n\nSettings are environment variables:\n{explain()}")  # noqa: T201
        return 0 if arguments in (["-h"], ["--help"]) else WRONG_USAGE
    try:
        settings = Settings()  # type: ignore[call-arg]  # the environment has the rest
    except ValidationError as wrong:
        print(_in_words(wrong), file=sys.stderr)  # noqa: T201
        return WRONG_USAGE
    app = create_app(provider_of(settings), settings.api_key.get_secret_value())
    Server(uvicorn.Config(app, host=HOST, port=settings.port, access_log=False, log_level="warning")).run()
    return 0


def provider_of(settings: Settings) -> Provider:
    """A provider on real time that sends over real sockets."""
    return Provider(
        Setup(
            merchant=settings.merchant,
            environment=settings.environment,
            dialect=find(settings.dialect),
            keys=settings.keys,
            sender=LoopbackSender(Address.of(settings.callback_url), settings.attempt_timeout_s),
            clocks=Clocks(payload=HandClock()),
            rng=random.Random(settings.seed),
        )
    )


def _in_words(wrong: ValidationError) -> str:
    lines = []
    for error in wrong.errors(include_input=False, include_url=False):
        variable = f"PROVIDER_{str(error['loc'][0]).upper()}"
        message = error["msg"].removeprefix("Value error, ")
        lines.append(f"{variable} must be set" if error["type"] == "missing" else f"{variable} is wrong: {message}")
    return "\n".join([*lines, "See python -m fake_provider --help"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
