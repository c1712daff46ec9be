"""One client session: which commands it may send, and when the server ends it."""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid

from embedded.gateway import protocol
from embedded.gateway.broker import Broker, Position
from embedded.gateway.limits import Limits
from embedded.gateway.outgoing import OutgoingQueue, Socket
from embedded.gateway.protocol import (
    Command,
    CommandError,
    Disconnect,
    DisconnectError,
    Push,
    Reply,
    encode_push,
    encode_reply,
)
from embedded.gateway.tokens import (
    InvalidTokenError,
    SubscriptionToken,
    TokenExpiredError,
    TokenVerifier,
)

NAMESPACE = "personal"
VERSION = "besedka-gateway"

logger = logging.getLogger(__name__)


class Session:
    """Handles a client's commands one by one and answers them in the same order.

    Nothing here awaits: each command is finished before the next command or publication.
    """

    def __init__(
        self, broker: Broker, tokens: TokenVerifier, limits: Limits, socket: Socket
    ) -> None:
        self._broker = broker
        self._tokens = tokens
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._client = str(uuid.uuid4())
        self._user: str | None = None
        self._unusable = False
        self._awaits_pong = False
        self._channels: dict[str, asyncio.TimerHandle | None] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self.outgoing = OutgoingQueue(limits, socket)
        self.closing: Disconnect | None = None
        self.closed = asyncio.Event()
        self._start_timer("stale", limits.stale_close_delay, protocol.STALE)

    @property
    def user(self) -> str:
        """The user of the connection; empty before `connect`."""
        return self._user or ""

    # What the transport calls.

    def receive(self, frame: bytes) -> None:
        """Handle the commands of a frame up to the one that ends the connection."""
        try:
            for command in protocol.decode_commands(frame):
                if self.closing is not None or not self._handle(command):
                    break
        except DisconnectError as error:
            self.disconnect(error.disconnect)

    def disconnect(self, disconnect: Disconnect) -> None:
        """End the session once; queued messages are still sent, except to a slow client."""
        if self.closing is not None:
            return
        self.closing = disconnect
        for timer in self._timers.values():
            timer.cancel()
        for channel in tuple(self._channels):
            self._forget(channel)
        if self._user is not None:
            self._broker.remove_session(self)
        self.outgoing.close(discard=disconnect in {protocol.SLOW, protocol.CONNECTION_CLOSED})
        self.closed.set()
        logger.info("client %s disconnected: %s", self._client, disconnect.reason)

    # What the broker calls.

    def deliver(self, message: bytes) -> None:
        """Queue a message; a client whose queue is full is disconnected."""
        if self.closing is None and not self.outgoing.put(message):
            self.disconnect(protocol.SLOW)

    def drop_subscription(self, channel: str, unsubscribe: protocol.Unsubscribe) -> None:
        """End a subscription and push the reason; no publication follows the push."""
        if channel == "":
            for subscribed in tuple(self._channels):
                self.drop_subscription(subscribed, unsubscribe)
        elif channel in self._channels:
            self._forget(channel)
            self.deliver(encode_push(Push(channel, unsubscribe=unsubscribe)))

    # Commands.

    def _handle(self, command: Command) -> bool:
        """Handle one command; return False if all later ones must be ignored."""
        if self._unusable:
            # After a failed `connect` nothing is read; the connection is closed as stale.
            return False
        if self._user is None and command.connect is None:
            raise DisconnectError(protocol.BAD_REQUEST)
        if command.is_pong:
            self._handle_pong()
            return True
        reply = Reply(command.id or 0)
        try:
            self._run(command, reply)
        except CommandError as error:
            self._unusable = command.connect is not None
            reply = Reply(reply.id, error=error.body)
        self.deliver(encode_reply(reply))
        if reply.subscribe is not None and command.subscribe is not None and not self.closing:
            # After the reply, because publications must follow it. Nothing awaited in between,
            # so no publication is missed either.
            self._broker.subscribe(command.subscribe.channel or "", self)
        return not self._unusable

    def _run(self, command: Command, reply: Reply) -> None:
        if command.connect is not None:
            reply.connect = self._connect(command.connect)
        elif command.subscribe is not None:
            reply.subscribe = self._subscribe(command.subscribe)
        elif command.unsubscribe is not None:
            reply.unsubscribe = self._unsubscribe(command.unsubscribe)
        elif command.refresh is not None or command.sub_refresh is not None:
            self._run_refresh(command, reply)
        else:
            self._refuse(command)

    def _connect(self, request: protocol.ConnectRequest) -> protocol.ConnectResult:
        if self._user is not None or not request.token:
            raise DisconnectError(protocol.BAD_REQUEST)
        try:
            token = self._tokens.verify_connection(request.token)
        except InvalidTokenError as error:
            logger.info("client %s: invalid connection token: %s", self._client, error)
            raise DisconnectError(protocol.INVALID_TOKEN) from None
        except TokenExpiredError:
            raise CommandError(protocol.TOKEN_EXPIRED_ERROR) from None
        if not token.user:
            raise DisconnectError(protocol.PERMISSION_DENIED)
        ttl = token.expire_at - int(time.time()) if token.expire_at else 0
        if ttl < 0:
            raise CommandError(protocol.EXPIRED_ERROR)
        if self._broker.count_sessions(token.user) >= self._limits.user_connection_limit > 0:
            raise DisconnectError(protocol.CONNECTION_LIMIT)
        self._timers.pop("stale").cancel()
        self._user = token.user
        self._broker.add_session(self)
        interval = self._limits.ping_interval
        # At a random time, so that clients that connected together do not all answer together.
        self._schedule_ping(random.uniform(interval / 2, interval))  # noqa: S311
        if token.expire_at:
            self._expire_connection_after(ttl)
        logger.info("client %s connected", self._client)
        return protocol.ConnectResult(
            self._client,
            VERSION,
            expires=token.expire_at > 0,
            ttl=ttl,
            ping=int(interval),
            pong=True,
        )

    def _subscribe(self, request: protocol.SubscribeRequest) -> protocol.SubscribeResult:
        channel = request.channel or ""
        self._check_subscribable(channel, request)
        token = self._authorize(channel, request.token)
        ttl = token.expire_at - int(time.time()) if token.expire_at else 0
        if token.expire_at and ttl <= 0:
            raise CommandError(protocol.EXPIRED_ERROR)
        if request.tf:
            raise CommandError(protocol.BAD_REQUEST_ERROR)
        result = self._recover(channel, request, token)
        result.expires, result.ttl = token.expire_at > 0, ttl
        self._channels[channel] = None
        self._expire_subscription_after(channel, ttl if token.expire_at else None)
        return result

    def _check_subscribable(self, channel: str, request: protocol.SubscribeRequest) -> None:
        if not channel or request.delta not in (None, "", "fossil"):
            raise DisconnectError(protocol.BAD_REQUEST)
        if len(channel.encode()) > self._limits.channel_max_length:
            raise CommandError(protocol.BAD_REQUEST_ERROR)
        if channel in self._channels:
            raise CommandError(protocol.ALREADY_SUBSCRIBED_ERROR)
        if len(self._channels) >= self._limits.channel_limit:
            raise CommandError(protocol.LIMIT_EXCEEDED_ERROR)
        _check_name(channel)
        if request.type:
            raise CommandError(protocol.NOT_AVAILABLE_ERROR)

    def _authorize(self, channel: str, token: str | None) -> SubscriptionToken:
        if not token:
            raise CommandError(protocol.PERMISSION_DENIED_ERROR)
        try:
            claims = self._tokens.verify_subscription(token)
        except TokenExpiredError:
            raise CommandError(protocol.TOKEN_EXPIRED_ERROR) from None
        except InvalidTokenError as error:
            logger.info("client %s: invalid subscription token: %s", self._client, error)
            raise CommandError(protocol.PERMISSION_DENIED_ERROR) from None
        self._check_belongs(claims, channel)
        if protocol.find_namespace(channel) != NAMESPACE:
            raise CommandError(protocol.PERMISSION_DENIED_ERROR)
        return claims

    def _check_belongs(self, token: SubscriptionToken, channel: str) -> None:
        client = token.client or self._client
        if (token.channel, token.user, client) != (channel, self.user, self._client):
            logger.info("client %s: a subscription token of someone else", self._client)
            raise DisconnectError(protocol.INVALID_TOKEN)

    def _recover(
        self, channel: str, request: protocol.SubscribeRequest, token: SubscriptionToken
    ) -> protocol.SubscribeResult:
        """Return the missed publications, or only the position if not all of them are known."""
        top = self._broker.get_position(channel)
        result = protocol.SubscribeResult(
            recoverable=token.can_recover, positioned=True, epoch=top.epoch, offset=top.offset
        )
        if not request.recover:
            return result
        result.was_recovering = True
        if not token.can_recover:
            return result
        since = Position(request.offset or 0, request.epoch or "")
        missed = self._broker.find_missed(channel, since)
        if missed is None and (request.flag or 0) & protocol.REJECT_UNRECOVERED:
            raise CommandError(protocol.UNRECOVERABLE_POSITION_ERROR)
        if missed is not None:
            # The client advances from its own position as it applies the publications.
            result.recovered, result.publications, result.offset = True, missed, since.offset
        return result

    def _unsubscribe(self, request: protocol.ChannelRequest) -> protocol.EmptyResult:
        if not request.channel:
            raise DisconnectError(protocol.BAD_REQUEST)
        self._forget(request.channel)
        return protocol.EmptyResult()

    def _run_refresh(self, command: Command, reply: Reply) -> None:
        if command.refresh is not None:
            reply.refresh = self._refresh(command.refresh)
        elif command.sub_refresh is not None:
            reply.sub_refresh = self._sub_refresh(command.sub_refresh)

    def _refresh(self, request: protocol.RefreshRequest) -> protocol.RefreshResult:
        if not request.token:
            raise DisconnectError(protocol.BAD_REQUEST)
        try:
            token = self._tokens.verify_connection(request.token)
        except InvalidTokenError:
            raise DisconnectError(protocol.INVALID_TOKEN) from None
        except TokenExpiredError:
            raise DisconnectError(protocol.CONNECTION_EXPIRED) from None
        if token.user != self.user:
            raise DisconnectError(protocol.INVALID_TOKEN)
        if not token.expire_at:
            # As in Centrifugo, the earlier expiry stays valid.
            return protocol.RefreshResult()
        ttl = token.expire_at - int(time.time())
        if ttl <= 0:
            raise CommandError(protocol.EXPIRED_ERROR)
        self._expire_connection_after(ttl)
        return protocol.RefreshResult(expires=True, ttl=ttl)

    def _sub_refresh(self, request: protocol.SubRefreshRequest) -> protocol.RefreshResult:
        channel = request.channel or ""
        if not channel:
            raise DisconnectError(protocol.BAD_REQUEST)
        if channel not in self._channels:
            raise CommandError(protocol.PERMISSION_DENIED_ERROR)
        if not request.token:
            raise CommandError(protocol.BAD_REQUEST_ERROR)
        try:
            token = self._tokens.verify_subscription(request.token)
        except InvalidTokenError:
            raise DisconnectError(protocol.INVALID_TOKEN) from None
        except TokenExpiredError:
            # Centrifugo before 6.9.6 answers with success, and the subscription never expires.
            raise CommandError(protocol.TOKEN_EXPIRED_ERROR) from None
        self._check_belongs(token, channel)
        if not token.expire_at:
            self._expire_subscription_after(channel, None)
            return protocol.RefreshResult()
        ttl = token.expire_at - int(time.time())
        if ttl < 0:
            raise CommandError(protocol.EXPIRED_ERROR)
        self._expire_subscription_after(channel, ttl)
        return protocol.RefreshResult(expires=True, ttl=ttl)

    def _refuse(self, command: Command) -> None:
        """Refuse what the shipped configuration does not allow: clients write through the API."""
        if command.publish is not None:
            _check_name(command.publish.channel)
            if not protocol.is_json_object(bytes(command.publish.data)):
                raise CommandError(protocol.BAD_REQUEST_ERROR)
            raise CommandError(protocol.PERMISSION_DENIED_ERROR)
        presence = command.presence or command.presence_stats
        if presence is not None:
            _check_name(presence.channel)
            raise CommandError(protocol.NOT_AVAILABLE_ERROR)
        if command.history is not None:
            namespace = _check_name(command.history.channel)
            # Only channels of the namespace have a history.
            denied = namespace == NAMESPACE
            raise CommandError(
                protocol.PERMISSION_DENIED_ERROR if denied else protocol.NOT_AVAILABLE_ERROR
            )
        if command.rpc is not None:
            raise CommandError(protocol.NOT_AVAILABLE_ERROR)
        if command.send is not None:
            raise DisconnectError(protocol.NOT_AVAILABLE)
        raise DisconnectError(protocol.BAD_REQUEST)

    # Timers.

    def _handle_pong(self) -> None:
        if not self._awaits_pong:
            raise DisconnectError(protocol.BAD_REQUEST)
        self._awaits_pong = False
        self._timers["pong"].cancel()

    def _schedule_ping(self, delay: float) -> None:
        self._timers["ping"] = self._loop.call_later(delay, self._ping)

    def _ping(self) -> None:
        self.deliver(protocol.PING)
        if self.closing is not None:
            return
        self._awaits_pong = True
        self._start_timer("pong", self._limits.pong_timeout, protocol.NO_PONG)
        self._schedule_ping(self._limits.ping_interval)

    def _expire_connection_after(self, ttl: int) -> None:
        # The delay lets a client with a late clock or a slow network still refresh.
        delay = ttl + self._limits.expired_close_delay
        self._start_timer("expired", delay, protocol.CONNECTION_EXPIRED)

    def _expire_subscription_after(self, channel: str, ttl: int | None) -> None:
        timer = self._channels[channel]
        if timer is not None:
            timer.cancel()
        self._channels[channel] = None
        if ttl is not None:
            self._channels[channel] = self._loop.call_later(
                ttl + self._limits.expired_sub_close_delay,
                self.drop_subscription,
                channel,
                protocol.SUBSCRIPTION_EXPIRED,
            )

    def _start_timer(self, name: str, delay: float, disconnect: Disconnect) -> None:
        if name in self._timers:
            self._timers[name].cancel()
        self._timers[name] = self._loop.call_later(delay, self.disconnect, disconnect)

    def _forget(self, channel: str) -> None:
        if channel in self._channels:
            timer = self._channels.pop(channel)
            if timer is not None:
                timer.cancel()
            self._broker.unsubscribe(channel, self)


def _check_name(channel: str | None) -> str:
    """Return the namespace of a channel, or refuse an unknown one."""
    if not channel:
        raise DisconnectError(protocol.BAD_REQUEST)
    namespace = protocol.find_namespace(channel)
    # Centrifugo has channels without a namespace; nobody has a token for them.
    if namespace not in {NAMESPACE, ""}:
        raise CommandError(protocol.UNKNOWN_CHANNEL_ERROR)
    if not channel.isascii():
        raise CommandError(protocol.BAD_REQUEST_ERROR)
    return namespace
