"""`python -m embedded.gateway`: reads its configuration from the environment, logs to stderr."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import signal
import sys

from embedded.gateway.broker import Broker
from embedded.gateway.dispatch import Dispatcher
from embedded.gateway.limits import Limits
from embedded.gateway.origins import AllowedOrigins, parse_origins
from embedded.gateway.outbox import OutboxDrain
from embedded.gateway.server import GatewayServer
from embedded.gateway.tokens import TokenVerifier

if sys.platform == "win32":
    from asyncio import run
else:
    from uvloop import run

logger = logging.getLogger("embedded.gateway")


async def serve(limits: Limits, origins: AllowedOrigins, host: str, port: int) -> None:
    """Serve clients and drain the outbox until SIGTERM or SIGINT."""
    broker = Broker(limits)
    before = os.environ.get("CENTRIFUGO_TOKEN_SECRET_BEFORE", "")
    tokens = TokenVerifier(os.environ["CENTRIFUGO_TOKEN_SECRET"], before)
    server = GatewayServer(broker, tokens, limits, origins)
    outbox = OutboxDrain(os.environ["DATABASE_URL"], Dispatcher(broker), limits)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.start(host, port)
    logger.info("listening on %s:%d", host, port)
    async with asyncio.TaskGroup() as tasks:
        drain = tasks.create_task(outbox.run())
        expiry = tasks.create_task(forget_expired(broker))
        await stop.wait()
        # Clients first: events that are published later wait in the outbox for the next start.
        drain.cancel()
        expiry.cancel()
        await server.stop()
    logger.info("stopped")


async def forget_expired(broker: Broker) -> None:
    """Free memory once a minute, whether anybody reads it or not."""
    while True:
        await asyncio.sleep(60)
        for _ in broker.forget_expired():
            await asyncio.sleep(0)


def main() -> int:
    """Run; for a mistake in the environment print one sentence, and return 1."""
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("websockets").setLevel(logging.WARNING)
    host = os.environ.get("HOST", "127.0.0.1")
    port = os.environ.get("REALTIME_PORT", "8000")
    missing = {"DATABASE_URL", "CENTRIFUGO_TOKEN_SECRET"} - os.environ.keys()
    if missing:
        print(f"The gateway needs {' and '.join(sorted(missing))}.", file=sys.stderr)
        return 1
    try:
        origins = AllowedOrigins(parse_origins(os.environ.get("ALLOWED_ORIGINS", "")))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        run(serve(Limits.from_environment(os.environ), origins, host, int(port)))
    except OSError as error:
        fact = "the port is in use" if error.errno == errno.EADDRINUSE else error.strerror
        print(
            f"The gateway cannot listen on {host}:{port}: {fact}; set REALTIME_PORT to another.",
            file=sys.stderr,
        )
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
