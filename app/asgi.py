"""The ASGI entry point: the API goes to Litestar, the admin to Django.

Django is not mounted inside Litestar: a mount strips the prefix that Django's URLs need.
"""

import os
from typing import Any

import django
from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, Scope
from django.conf import settings
from django.core import checks
from django.core.management.base import SystemCheckError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
django.setup()

API_PREFIXES = (b"/api", b"/health")


def _refuse_unsafe_settings() -> None:
    """Raise where a system check finds an error: a bad secret must not serve one request."""
    found = [message for message in checks.run_checks() if message.is_serious()]
    if found:
        raise SystemCheckError("\n".join(str(message) for message in found))


def _load_admin() -> ASGI3Application | None:
    if settings.SERVE == "api":
        return None
    from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler  # noqa: PLC0415
    from django.core.asgi import get_asgi_application  # noqa: PLC0415 - `api` imports no admin

    handler: Any = get_asgi_application()
    return ASGIStaticFilesHandler(handler) if settings.DEBUG else handler


def _load_api() -> ASGI3Application | None:
    if settings.SERVE == "admin":
        return None
    from chat.api.application import create_api  # noqa: PLC0415 - `admin` opens no pool

    api: Any = create_api()
    return api


class Dispatcher:
    """Sends each request to the application that owns its path."""

    def __init__(self) -> None:
        self.api = _load_api()
        self.admin = _load_admin()

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        """Answer one request, or run the lifespan of the API."""
        if scope["type"] == "lifespan":
            await self._run_lifespan(scope, receive, send)
            return
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()  # type: ignore[union-attr, typeddict-item]
        is_api = any(
            raw_path == prefix or raw_path.startswith(prefix + b"/") for prefix in API_PREFIXES
        )
        if is_api and self.api is not None:
            # The API routes the path as it came: a user id may hold an escaped slash, and bytes
            # that are no UTF-8 must not turn into something else before they are refused.
            routed: Any = {**scope, "path": raw_path.decode("latin-1")}
            await self.api(routed, receive, send)
        elif not is_api and self.admin is not None:
            await self.admin(scope, receive, send)
        else:
            await _answer_not_found(send)

    async def _run_lifespan(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
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


async def _answer_not_found(send: ASGISendCallable) -> None:
    body = (
        b'{"type":"about:blank","status":404,"title":"Not Found","code":"not_found",'
        b'"detail":"This process does not serve this address."}'
    )
    headers = [(b"content-type", b"application/problem+json")]
    await send(
        {"type": "http.response.start", "status": 404, "headers": headers, "trailers": False}
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


_refuse_unsafe_settings()
application = Dispatcher()
