"""`python -m reference_impl`: serve on loopback until told to stop. With a command behind it: do that instead.

The commands are loaded only then: a service that is restarted is soon up again.
"""

import sys

import uvicorn

from reference_impl.app import build
from reference_impl.logs import configure
from reference_impl.parts import Parts
from reference_impl.settings import Settings


def serve(parts: Parts | None = None) -> None:
    """Serve, with the settings from the environment. Another entry point may bring other parts."""
    settings = Settings()  # type: ignore[call-arg] # from the environment
    configure(settings.log_level)
    uvicorn.run(
        build(settings, parts),
        host="127.0.0.1",
        port=settings.port,
        loop="asyncio",
        http="h11",  # strict about where a request ends, and not whatever else is installed
        log_config=None,
        access_log=False,
        ws="none",
        timeout_graceful_shutdown=2,
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        from reference_impl.commands import app

        app(prog_name="python -m reference_impl")
    serve()
