"""Runs the commands in outbox rows on the broker."""

from __future__ import annotations

import logging
from typing import Annotated

import msgspec

from embedded.gateway.broker import Broker
from embedded.gateway.connection import NAMESPACE
from embedded.gateway.protocol import (
    FORCE_DISCONNECT,
    SERVER_UNSUBSCRIBE,
    Disconnect,
    find_namespace,
    is_json_object,
)

logger = logging.getLogger(__name__)

_START = f"{NAMESPACE}:"

Text = Annotated[str, msgspec.Meta(min_length=1)]


class BadCommandError(Exception):
    """The row has a command that can never be run."""


class Publish(msgspec.Struct):
    """Publish to one channel."""

    channel: Text
    data: msgspec.Raw
    idempotency_key: str = ""


class Broadcast(msgspec.Struct):
    """Publish the same data to many channels."""

    channels: Annotated[list[str], msgspec.Meta(min_length=1)]
    data: msgspec.Raw
    idempotency_key: str = ""


class Unsubscribe(msgspec.Struct):
    """End the subscriptions of a user to a channel, or to all channels if it is empty."""

    user: str
    channel: str = ""


class Close(msgspec.Struct):
    """The code and the reason of a forced disconnect."""

    code: int
    reason: Text


class DisconnectUser(msgspec.Struct):
    """End the connections of a user."""

    user: str
    disconnect: Close | None = None


_publish = msgspec.json.Decoder(Publish)
_broadcast = msgspec.json.Decoder(Broadcast)
_unsubscribe = msgspec.json.Decoder(Unsubscribe)
_disconnect = msgspec.json.Decoder(DisconnectUser)


class Dispatcher:
    """Runs the command of a row, or logs one error; such a row is not tried again."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker
        self._methods = {
            "publish": self._publish,
            "broadcast": self._broadcast,
            "unsubscribe": self._unsubscribe,
            "disconnect": self._disconnect,
        }

    def dispatch(self, method: str, payload: bytes) -> None:
        """Run one command."""
        try:
            self._methods.get(method, _refuse)(payload)
        except (BadCommandError, msgspec.DecodeError) as error:
            logger.error("outbox row dropped: %s: %s", method, error)  # noqa: TRY400 - no traceback

    def _publish(self, payload: bytes) -> None:
        command = _publish.decode(payload)
        if not _is_known(command.channel):
            raise BadCommandError("unknown channel")
        self._publish_to([command.channel], command.data, command.idempotency_key)

    def _broadcast(self, payload: bytes) -> None:
        command = _broadcast.decode(payload)
        channels = [channel for channel in command.channels if _is_known(channel)]
        if len(channels) < len(command.channels):
            # The other channels still get the event.
            skipped = len(command.channels) - len(channels)
            logger.error("broadcast: %d unknown channels skipped", skipped)
        self._publish_to(channels, command.data, command.idempotency_key)

    def _publish_to(self, channels: list[str], data: msgspec.Raw, idempotency_key: str) -> None:
        text = bytes(data)
        if not is_json_object(text):
            raise BadCommandError("data is not a JSON object")
        self._broker.publish(channels, text, idempotency_key)

    def _unsubscribe(self, payload: bytes) -> None:
        command = _unsubscribe.decode(payload)
        if command.channel and find_namespace(command.channel) != NAMESPACE:
            raise BadCommandError("unknown channel")
        for session in self._broker.find_sessions(command.user):
            session.drop_subscription(command.channel, SERVER_UNSUBSCRIBE)

    def _disconnect(self, payload: bytes) -> None:
        command = _disconnect.decode(payload)
        reason = FORCE_DISCONNECT
        if command.disconnect is not None:
            reason = Disconnect(command.disconnect.code, command.disconnect.reason)
        for session in self._broker.find_sessions(command.user):
            session.disconnect(reason)


def _is_known(channel: str) -> bool:
    # Nearly every channel begins like this, and the comparison costs a fifth of the search.
    return channel.startswith(_START) or find_namespace(channel) == NAMESPACE


def _refuse(_: bytes) -> None:
    raise BadCommandError("unknown method")
