"""The ASGI entry point: the API goes to Litestar, the admin to Django.

Django is not mounted inside Litestar: a mount strips the prefix that Django's URLs need.
"""

import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import django
from django.conf import settings
from django.core import checks
from django.core.management.base import SystemCheckError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
django.setup()

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
# The applications come from three projects with a type of their own each for the same protocol.
Application = Callable[[Any, Any, Any], Awaitable[None]]

API_PREFIXES = (b"/api", b"/health")


def _refuse_unsafe_settings() -> None:
    """Raise where a system check finds an error: a bad secret must not serve one request."""
    found = [message for message in checks.run_checks() if message.is_serious()]
    if found:
        raise SystemCheckError("\n".join(str(message) for message in found))


def _load_admin() -> Application | None:
    if settings.SERVE == "api":
        return None
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: PLC0415
    from django.core.asgi import get_asgi_application  # noqa: PLC0415 - `api` imports no admin

    handler = get_asgi_application()
    return ASGIStaticFilesHandler(handler) if settings.DEBUG else handler


def _load_api() -> Application | None:
    if settings.SERVE == "admin":
        return None
    from chat.api.application import create_api  # noqa: PLC0415 - `admin` opens no pool

    return create_api()


class Dispatcher:
    """Sends each request to the application that owns its path."""

    def __init__(self) -> None:
        self.api = _load_api()
        self.admin = _load_admin()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan of the API."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
            return
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        is_api = any(
            raw_path == prefix or raw_path.startswith(prefix + b"/") for prefix in API_PREFIXES
        )
        if is_api and self.api is not None:
            # The API routes the path as it came: a user id may hold an escaped slash, and bytes
            # that are no UTF-8 must not turn into something else before they are refused.
            await self.api({**scope, "path": raw_path.decode("latin-1")}, receive, send)
        elif not is_api and self.admin is not None:
            await self.admin(scope, receive, send)
        else:
            await _answer_not_found(send)

    async def _run_lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        if self.api is not None:
            await self.api(scope, receive, send)
            return
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            else:
                await send({"type": "lifespan.shutdown.complete"})
                return


async def _answer_not_found(send: Send) -> None:
    body = (
        b'{"type":"about:blank","status":404,"title":"Not Found","code":"not_found",'
        b'"detail":"This process does not serve this address."}'
    )
    headers = [(b"content-type", b"application/problem+json")]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": body})


_refuse_unsafe_settings()
application = Dispatcher()
