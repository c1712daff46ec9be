"""The ASGI entry point: the API goes to Litestar, the admin to Django.

Django is not mounted inside Litestar: a mount strips the prefix that Django's URLs need.
"""

import asyncio
import os
from urllib.parse import unquote

import django
import structlog
from django.conf import settings
from django.core import checks
from django.core.management.base import SystemCheckError

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "app.settings")
django.setup()

from app.cors import CrossOriginAnswers  # noqa: E402 - after Django, as all of these
from app.line_writer import STDERR  # noqa: E402
from app.logs import configure_logs  # noqa: E402 - reads the settings
from app.prefix import split_path  # noqa: E402
from app.request_log import Application, Message, Receive, Send, observe  # noqa: E402
from chat.api.problems import MEDIA_TYPE, PROBLEMS, encode_problem  # noqa: E402
from chat.metrics import serve_metrics  # noqa: E402

log = structlog.get_logger("besedka.start")

API_PATHS = {b"/api", b"/health"}
API_PREFIXES = (b"/api/", b"/health/")


def _refuse_unsafe_settings() -> None:
    """Raise where a system check finds an error: a bad secret must not serve one request."""
    found = checks.run_checks()
    if serious := [message for message in found if message.is_serious()]:
        raise SystemCheckError("\n".join(str(message) for message in serious))
    for message in found:
        if message.is_silenced():
            continue
        log.warning("system_check", check=message.id, fact=message.msg, hint=message.hint)


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
    from chat.api.application import METHODS, create_api  # noqa: PLC0415 - `admin` opens no pool

    api = create_api()
    origins = settings.CORS_ALLOWED_ORIGINS
    return CrossOriginAnswers(api, origins, METHODS) if origins else api


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
        if scope["type"] != "http":
            # Events come from Centrifugo. A client that asks here is refused at once.
            await send({"type": "websocket.close", "code": 1008})
            return
        raw_path: bytes = scope.get("raw_path") or scope["path"].encode()
        prefix = ""
        if root_path := scope.get("root_path"):
            prefix, raw_path = split_path(root_path, raw_path)
        is_api = raw_path.startswith(API_PREFIXES) or raw_path in API_PATHS
        if is_api and self.api is not None:
            # The API routes the raw path: a user id may contain an escaped slash, and bytes that
            # are not UTF-8 must be refused before they are replaced by something else.
            path = raw_path.decode("latin-1")
            routed = {**scope, "path": path, "root_path": "", "app_root_path": prefix}
            await observe(self.api, routed, receive, send, area="api")
        elif not is_api and self.admin is not None:
            for_django = _route_to_admin(scope, prefix, raw_path)
            await observe(self.admin, for_django, receive, send, area="admin")
        else:
            routed = {**scope, "path": raw_path.decode("latin-1")}
            await observe(_answer_unserved, routed, receive, send, area="unserved")

    async def _run_lifespan(self, scope: Message, receive: Receive, send: Send) -> None:
        async def send_after_flush(message: Message) -> None:
            if message["type"].startswith("lifespan.shutdown."):
                # uvicorn then ends the process by the signal that it was sent: no exit function
                # runs.
                await asyncio.to_thread(STDERR.flush)
            await send(message)

        await (self.api or _live)(scope, receive, send_after_flush)


def _route_to_admin(scope: Message, prefix: str, raw_path: bytes) -> Message:
    """Return the scope as Django reads it: its path begins with its prefix."""
    if not scope.get("root_path"):
        return dict(scope)
    path = unquote(raw_path.decode("latin-1"))
    # Django's own server of static files, which development has, knows no prefix.
    prefix = "" if path.startswith(settings.STATIC_URL) else prefix
    return {**scope, "root_path": prefix, "path": prefix + path}


async def _live(_: Message, receive: Receive, send: Send) -> None:
    """Run the lifespan of a process without the API: it opens nothing but the metrics' port."""
    await receive()
    with serve_metrics(settings.METRICS_HOST, settings.METRICS_PORT):
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def _answer_unserved(scope: Message, _: Receive, send: Send) -> None:
    """Answer an address that this process does not serve; liveness is answered in every process."""
    if scope["path"] == "/health/live":
        status, media_type, body = 200, "application/json", b'{"status":"ok"}'
    else:
        status, media_type = PROBLEMS["not_found"].status.value, MEDIA_TYPE
        body = encode_problem("not_found", "This process does not serve this address.")
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
    headers.append((b"cache-control", b"no-store"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


configure_logs()
_refuse_unsafe_settings()
application = Dispatcher()
