"""Values that have to stand in two places stand there equal."""

import importlib
import json

from chat import conf
from embedded import __main__ as embedded_run
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
    assert embedded_run.DEVELOPMENT_CENTRIFUGO_SECRET == conf.DEVELOPMENT_CENTRIFUGO_SECRET


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
