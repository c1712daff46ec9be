"""Values that have to stand in two places stand there equal."""

import importlib
import json
import re

from chat import conf
from embedded import welcome
from embedded.gateway.limits import Limits
from tests.support.processes import PROJECT

CONFIGURATION = json.loads((PROJECT / "centrifugo/config.json").read_text(encoding="utf-8"))


def test_the_outbox_has_as_many_partitions_as_centrifugo_drains() -> None:
    """A new installation's partitions are the ones that the shipped configuration drains."""
    migration = importlib.import_module("chat.migrations.0001_initial")
    consumer = CONFIGURATION["consumers"][0]["postgresql"]

    assert consumer["num_partitions"] == migration.OUTBOX_PARTITIONS


def test_the_development_secrets_agree() -> None:
    """The tokens that the API signs by default are the ones that `make up` lets realtime accept."""
    assert welcome.DEVELOPMENT_CENTRIFUGO_SECRET == conf.DEVELOPMENT_CENTRIFUGO_SECRET


def test_the_gateway_keeps_what_centrifugo_keeps() -> None:
    """History, queue and frame sizes of the gateway are those of the shipped configuration."""
    limits = Limits()
    (namespace,) = CONFIGURATION["channel"]["namespaces"]
    client = CONFIGURATION["client"]

    assert namespace["history_size"] == limits.history_size
    assert namespace["history_ttl"] == f"{limits.history_ttl:.0f}s"
    assert CONFIGURATION["channel"]["history_meta_ttl"] == f"{limits.history_meta_ttl / 3600:.0f}h"
    assert client["queue_max_size"] == limits.queue_max_size
    assert client["channel_limit"] == limits.channel_limit
    assert client["user_connection_limit"] == limits.user_connection_limit
    assert CONFIGURATION["websocket"]["message_size_limit"] == limits.message_size_limit


def test_an_idle_connection_is_closed_by_the_proxy_first() -> None:
    """Each command that starts a server keeps idle connections for longer than nginx reuses them.

    A server that closes one while a request is on its way loses that request.
    """
    texts = {
        name: (PROJECT / name).read_text(encoding="utf-8")
        for name in ("README.md", "README.ru.md", "Dockerfile", "benches/bench.py")
    }
    kept = {
        name: re.findall(r"--timeout-keep-alive[\s\",]+(\d+)", text) for name, text in texts.items()
    }
    nginx = (PROJECT / "nginx/nginx.conf").read_text(encoding="utf-8")
    reused = re.findall(r"upstream \w+ \{[^}]*\bkeepalive_timeout (\d+)s;", nginx)

    assert kept == {name: ["75"] for name in texts}
    for text in texts.values():
        assert text.count("app.draining:DrainingProtocol") <= 1
    assert len(reused) == nginx.count("upstream ") >= 2
    # By default, an nginx of the host's own reuses a connection for 60 seconds.
    assert max(60, *map(int, reused)) < 75
