"""The metric of connections."""

import re
import urllib.request

from tests.conformance.clients import RawClient, run
from tests.conformance.servers import RunningServer

# Centrifugo has another name for its gauge.
NAMES = {"gateway": "besedka_gateway_connections", "centrifugo": "centrifugo_node_num_clients"}


def read_connections(server: RunningServer) -> int:
    """Return the number of connections that the server counts."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    (value,) = re.findall(rf"^{NAMES[server.kind]}(?:{{.*}})? (\d+)$", metrics, re.MULTILINE)
    return int(value)


def test_connections_are_counted(server: RunningServer) -> None:
    """Both servers have a metric with the number of clients."""

    async def scenario() -> None:
        async with RawClient.connected(server), RawClient.connected(server):
            # Centrifugo updates its gauge periodically, so only its presence is checked.
            assert read_connections(server) >= (2 if server.is_gateway else 0)

    run(scenario())
