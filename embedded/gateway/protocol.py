"""The Centrifuge client protocol in JSON: commands in, replies and pushes out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import msgspec

UInt32 = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]
UInt64 = Annotated[int, msgspec.Meta(ge=0)]

REJECT_UNRECOVERED = 2  # subscribe flag: answer error 112 instead of `recovered: false`
PING = b"{}"


@dataclass(frozen=True, slots=True)
class Disconnect:
    """Why a connection ends; SDKs decide by the code alone whether to reconnect."""

    code: int
    reason: str


CONNECTION_CLOSED = Disconnect(3000, "connection closed")
SHUTDOWN = Disconnect(3001, "shutdown")
SERVER_ERROR = Disconnect(3004, "internal server error")
CONNECTION_EXPIRED = Disconnect(3005, "connection expired")
SLOW = Disconnect(3008, "slow")
NO_PONG = Disconnect(3012, "no pong")
INVALID_TOKEN = Disconnect(3500, "invalid token")
BAD_REQUEST = Disconnect(3501, "bad request")
STALE = Disconnect(3502, "stale")
FORCE_DISCONNECT = Disconnect(3503, "force disconnect")
CONNECTION_LIMIT = Disconnect(3504, "connection limit")
PERMISSION_DENIED = Disconnect(3507, "permission denied")
NOT_AVAILABLE = Disconnect(3508, "not available")


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """The `error` of a reply: the command failed, and the connection stays open."""

    code: int
    message: str
    temporary: bool = False


UNKNOWN_CHANNEL_ERROR = ErrorBody(102, "unknown channel")
PERMISSION_DENIED_ERROR = ErrorBody(103, "permission denied")
ALREADY_SUBSCRIBED_ERROR = ErrorBody(105, "already subscribed")
LIMIT_EXCEEDED_ERROR = ErrorBody(106, "limit exceeded")
BAD_REQUEST_ERROR = ErrorBody(107, "bad request")
NOT_AVAILABLE_ERROR = ErrorBody(108, "not available")
TOKEN_EXPIRED_ERROR = ErrorBody(109, "token expired")
EXPIRED_ERROR = ErrorBody(110, "expired")
UNRECOVERABLE_POSITION_ERROR = ErrorBody(112, "unrecoverable position")


class DisconnectError(Exception):
    """Handling a command ends the connection."""

    def __init__(self, disconnect: Disconnect) -> None:
        super().__init__(disconnect.reason)
        self.disconnect = disconnect


class CommandError(Exception):
    """Handling a command fails with an error reply."""

    def __init__(self, body: ErrorBody) -> None:
        super().__init__(body.message)
        self.body = body


# Requests. `null` counts as absent, as in Centrifugo.


class ConnectRequest(msgspec.Struct):
    """`connect`."""

    token: str | None = None


class SubscribeRequest(msgspec.Struct):
    """`subscribe`."""

    channel: str | None = None
    token: str | None = None
    recover: bool | None = None
    epoch: str | None = None
    offset: UInt64 | None = None
    flag: int | None = None
    delta: str | None = None
    tf: msgspec.Raw | None = None
    type: int | None = None


class ChannelRequest(msgspec.Struct):
    """`unsubscribe`, `presence`, `presence_stats` or `history`: only the channel matters."""

    channel: str | None = None


class PublishRequest(msgspec.Struct):
    """`publish`."""

    channel: str | None = None
    data: msgspec.Raw = msgspec.Raw()


class RefreshRequest(msgspec.Struct):
    """`refresh`."""

    token: str | None = None


class SubRefreshRequest(msgspec.Struct):
    """`sub_refresh`."""

    channel: str | None = None
    token: str | None = None


class AnyRequest(msgspec.Struct):
    """`rpc`, `send`, `ping`: none of its fields is read."""


class Command(msgspec.Struct):
    """One command; the first method that is present, in this order, is run."""

    id: UInt32 | None = None
    connect: ConnectRequest | None = None
    subscribe: SubscribeRequest | None = None
    unsubscribe: ChannelRequest | None = None
    publish: PublishRequest | None = None
    presence: ChannelRequest | None = None
    presence_stats: ChannelRequest | None = None
    history: ChannelRequest | None = None
    rpc: AnyRequest | None = None
    send: AnyRequest | None = None
    refresh: RefreshRequest | None = None
    sub_refresh: SubRefreshRequest | None = None

    @property
    def is_pong(self) -> bool:
        """A command without an id is a pong, except `send`, which has none."""
        return not self.id and self.send is None


# Results: false, zero and empty fields are absent from the JSON.


class Publication(msgspec.Struct, frozen=True, omit_defaults=True):
    """One publication with its offset in the channel; only the first one has the epoch."""

    data: msgspec.Raw
    offset: int
    epoch: str = ""


class ConnectResult(msgspec.Struct, omit_defaults=True):
    """The reply to `connect`."""

    client: str
    version: str
    expires: bool = False
    ttl: int = 0
    ping: int = 0
    pong: bool = False


class SubscribeResult(msgspec.Struct, omit_defaults=True):
    """The reply to `subscribe`."""

    expires: bool = False
    ttl: int = 0
    recoverable: bool = False
    epoch: str = ""
    publications: list[Publication] = msgspec.field(default_factory=list)
    recovered: bool = False
    offset: int = 0
    positioned: bool = False
    was_recovering: bool = False


class RefreshResult(msgspec.Struct, omit_defaults=True):
    """The reply to `refresh` and to `sub_refresh`."""

    expires: bool = False
    ttl: int = 0


class EmptyResult(msgspec.Struct):
    """The reply to `unsubscribe`: an empty object."""


class Reply(msgspec.Struct, omit_defaults=True):
    """The answer to the command with the same id."""

    id: int
    error: ErrorBody | None = None
    connect: ConnectResult | None = None
    subscribe: SubscribeResult | None = None
    unsubscribe: EmptyResult | None = None
    refresh: RefreshResult | None = None
    sub_refresh: RefreshResult | None = None


class Unsubscribe(msgspec.Struct, frozen=True):
    """Why the server ended a subscription: 2500 and above mean "subscribe again"."""

    code: int
    reason: str


SERVER_UNSUBSCRIBE = Unsubscribe(2000, "server unsubscribe")
SUBSCRIPTION_EXPIRED = Unsubscribe(2501, "subscription expired")


class Push(msgspec.Struct, omit_defaults=True):
    """A message of the server about a channel that answers no command."""

    channel: str
    unsubscribe: Unsubscribe | None = None


class PushFrame(msgspec.Struct):
    """A push as it is sent."""

    push: Push


_encoder = msgspec.json.Encoder()
_commands = msgspec.json.Decoder(Command)


def encode_reply(reply: Reply) -> bytes:
    """Encode a reply."""
    return _encoder.encode(reply)


def encode_push(push: Push) -> bytes:
    """Encode a push."""
    return _encoder.encode(PushFrame(push))


def encode_publication_start(channel: str) -> bytes:
    """Encode what every push of a publication on the channel begins with."""
    return b'{"push":{"channel":%b,"pub":{"data":' % _encoder.encode(channel)


def encode_publication(start: bytes, data: bytes, offset: int, epoch: str) -> bytes:
    """Encode the push of a publication once, for all subscribers of the channel."""
    if epoch:
        return b'%b%b,"offset":%d,"epoch":%b}}}' % (start, data, offset, _encoder.encode(epoch))
    return b'%b%b,"offset":%d}}}' % (start, data, offset)


def decode_commands(frame: bytes) -> Iterator[Command]:
    """Yield a frame's commands in order, also those before a malformed one.

    Raises DisconnectError for a malformed command and for an empty frame.
    """
    lines = frame.split(b"\n")
    if not lines[-1]:
        lines.pop()
    if not lines:
        raise DisconnectError(BAD_REQUEST)
    for line in lines:
        try:
            command = _commands.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise DisconnectError(BAD_REQUEST) from None
        yield command


def is_json_object(data: bytes) -> bool:
    """Publications are JSON objects (`publication_data_format` of the shipped configuration)."""
    return data.startswith(b"{") or data.lstrip()[:1] == b"{"


def find_namespace(channel: str) -> str:
    """Return the text before the first `:`, after a leading `$`; empty when there is none."""
    namespace, boundary, _ = channel.removeprefix("$").partition(":")
    return namespace if boundary else ""
