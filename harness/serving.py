"""An application served on this machine for as long as a block runs."""

import asyncio
from collections.abc import AsyncIterator, Generator
from contextlib import asynccontextmanager, contextmanager
from socket import socket

import uvicorn
from starlette.types import ASGIApp

LOOPBACK = "127.0.0.1"
UP_WITHIN_S = 10.0


@asynccontextmanager
async def serving(app: ASGIApp, port: int) -> AsyncIterator[None]:
    """*app* answers on that port. Raises `TimeoutError` where it is not up within ten seconds."""
    config = uvicorn.Config(
        app, host=LOOPBACK, port=port, http="h11", log_level="warning", access_log=False, lifespan="off"
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve())
    try:
        await asyncio.wait_for(server.up.wait(), UP_WITHIN_S)
        yield
    finally:
        server.should_exit = True
        await asyncio.gather(task, return_exceptions=True)


class _Server(uvicorn.Server):
    """Says when it is up, and leaves signals alone: Ctrl-C is the command's."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield
