"""Asking the host, before a message is stored, whether it may be sent.

The question is a POST in the form of Standard Webhooks: signed, with an id and a time. The host
answers within a second; else `CHAT_BEFORE_SEND_ON_FAILURE` decides.
"""

import asyncio
import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import httpx
import msgspec
import structlog

from chat.actions.messages import NewMessage
from chat.conf import SERVER_KEY_PREFIX, ChatConfiguration
from chat.errors import CheckUnavailableError, RefusedContentError
from chat.metrics import BEFORE_SEND, BEFORE_SEND_SECONDS

SECONDS = 1.0
"""From the question to the end of the answer, the wait for a connection included."""
AT_ONCE = 64
"""Questions of one process at the same time; others wait for their turn, within their second."""
ANSWER_BYTES_MOST = 16_384
SECRET_PREFIX = "whsec_"  # noqa: S105 - what a secret of Standard Webhooks begins with

log = structlog.get_logger(__name__)


class _Asked(msgspec.Struct, omit_defaults=True):
    """The message as the host is shown it."""

    room_id: int
    user: str
    content: str
    client_id: str | None = None


class _Question(msgspec.Struct):
    """The body of a question."""

    type: Literal["before_send"]
    timestamp: str
    data: _Asked


class _Verdict(msgspec.Struct):
    """The host's answer; other fields are ignored."""

    action: Literal["allow", "refuse"]
    reason: str = ""


class BeforeSend:
    """Asks the host about messages, a bounded number at once."""

    def __init__(
        self, client: httpx.AsyncClient, address: str, secret: str, *, refuses_on_failure: bool
    ) -> None:
        self._client, self._address = client, address
        self._secret = read_secret(secret)
        self._refuses_on_failure = refuses_on_failure
        self._places = asyncio.Semaphore(AT_ONCE)
        self._is_failing = False

    async def require_allowed(self, message: NewMessage) -> None:
        """Return if the host allows the message.

        Errors: `RefusedContentError`, with the host's reason; `CheckUnavailableError` where it does
        not answer and messages are then refused.
        """
        began = time.perf_counter()
        try:
            async with asyncio.timeout(SECONDS), self._places:
                verdict = await self._ask(message)
        except (TimeoutError, httpx.HTTPError, OSError, msgspec.MsgspecError, ValueError) as error:
            BEFORE_SEND.labels("failed").inc()
            if not self._is_failing:
                log.warning("before_send_failed", error=f"{type(error).__name__}: {error}")
            self._is_failing = True
            if self._refuses_on_failure:
                raise CheckUnavailableError from error
            return
        finally:
            BEFORE_SEND_SECONDS.observe(time.perf_counter() - began)
        if self._is_failing:
            log.info("before_send_answers_again")
        self._is_failing = False
        BEFORE_SEND.labels(verdict.action).inc()
        if verdict.action == "refuse":
            raise RefusedContentError(
                verdict.reason[:500] or RefusedContentError.default_message, pointer="/content"
            )

    async def _ask(self, message: NewMessage) -> _Verdict:
        now = time.time()
        is_own_key = not message.client_id.startswith(SERVER_KEY_PREFIX)
        asked = _Asked(
            message.room_id,
            message.user_id,
            message.content,
            message.client_id if is_own_key else None,
        )
        written = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        body = msgspec.json.encode(_Question("before_send", written, asked))
        number = f"msg_{uuid.uuid4().hex}"
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "webhook-id": number,
            "webhook-timestamp": str(int(now)),
            "webhook-signature": sign(self._secret, number, int(now), body),
        }
        async with self._client.stream(
            "POST", self._address, content=body, headers=headers
        ) as answer:
            if answer.status_code != httpx.codes.OK:
                raise ValueError(f"the status is {answer.status_code}, not 200")
            content = bytearray()
            async for part in answer.aiter_raw():
                content += part
                if len(content) > ANSWER_BYTES_MOST:
                    raise ValueError(f"the answer has more than {ANSWER_BYTES_MOST} bytes")
        return msgspec.json.decode(content, type=_Verdict)


def read_secret(text: str) -> bytes:
    """Return the key of a secret: what follows `whsec_` is in base64; any other is taken as it is.

    Errors: `ValueError` for what is no base64 after `whsec_`.
    """
    if text.startswith(SECRET_PREFIX):
        return base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    return text.encode()


def sign(secret: bytes, number: str, seconds: int, body: bytes) -> str:
    """Return the signature of a request as Standard Webhooks has it."""
    signed = f"{number}.{seconds}.".encode() + body
    digest = hmac.digest(secret, signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


@asynccontextmanager
async def open_before_send(configuration: ChatConfiguration) -> AsyncIterator[BeforeSend | None]:
    """Offer what asks the host, or None where no address is set."""
    address = configuration.before_send_url
    if not address:
        yield None
        return
    # It reads the certificates, which takes 50 ms.
    context = await asyncio.to_thread(httpx.create_ssl_context)
    async with httpx.AsyncClient(
        verify=context,
        timeout=SECONDS,
        # Many servers close a connection that was idle for five seconds, just as it is used.
        limits=httpx.Limits(
            max_connections=AT_ONCE, max_keepalive_connections=AT_ONCE, keepalive_expiry=2
        ),
        follow_redirects=False,
    ) as client:
        yield BeforeSend(
            client,
            address,
            configuration.before_send_secret,
            refuses_on_failure=configuration.before_send_on_failure == "refuse",
        )
