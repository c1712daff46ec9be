"""Browsers of other origins may call the API (CORS), where the setting names them.

The API reads bearer tokens and no cookies, so it never allows credentials: a page gets nothing
that its own script could not fetch with the token it holds. The admin has cookies and is never
answered here.
"""

import re
from collections.abc import Iterable, Sequence

from app.request_log import Application, Message, Receive, Send

ANY = "*"
# What a client of the API sends, beyond what every page may send.
_REQUEST_HEADERS = b"Authorization, Content-Type, X-Request-Id"
# What the script of another origin may read of an answer.
_EXPOSED = (
    b"access-control-expose-headers",
    b"Allow, Link, Retry-After, WWW-Authenticate, X-Request-Id",
)
# The longest that any browser keeps a preflight's answer (Chromium's bound).
_MAX_AGE = b"7200"
_VARY = (b"vary", b"Origin")


class _Allowed:
    """The origins that the setting names; `https://*.example.com` stands for one more label."""

    def __init__(self, words: Sequence[str]) -> None:
        self.is_any = ANY in words
        self._exact = frozenset(words)
        self._patterns = [
            re.compile(re.escape(word).replace(r"\*", "[a-z0-9_-]+"))
            for word in words
            if "*" in word
        ]

    def permit(self, origin: str) -> bool:
        return (
            self.is_any
            or origin in self._exact
            or any(pattern.fullmatch(origin) for pattern in self._patterns)
        )


class CrossOriginAnswers:
    """An application with answers that browsers pass on to pages of some origins.

    A preflight from one of the origins is answered for every address, so that a page can read the
    404 of a wrong one. Any other request is answered as without this layer.
    """

    def __init__(
        self, application: Application, words: Sequence[str], methods: Iterable[str]
    ) -> None:
        """Take the setting, of which a system check has refused what is no origin.

        `methods`: all that the application takes.
        """
        self._application = application
        self._allowed = _Allowed(words)
        self._preflight = [
            (b"access-control-allow-methods", ", ".join(sorted(methods)).encode()),
            (b"access-control-allow-headers", _REQUEST_HEADERS),
            (b"access-control-max-age", _MAX_AGE),
        ]

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan of the application."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        found = dict(scope["headers"])
        origin = found.get(b"origin")
        is_permitted = origin is not None and self._allowed.permit(origin.decode("latin-1"))
        added = self._describe(origin or b"", is_permitted=is_permitted)
        is_preflight = scope["method"] == "OPTIONS" and b"access-control-request-method" in found
        if is_permitted and is_preflight:
            headers = [*added, *self._preflight]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_origin(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *added]
            await send(message)

        await self._application(scope, receive, send_with_origin)

    def _describe(self, origin: bytes, *, is_permitted: bool) -> list[tuple[bytes, bytes]]:
        """Return what an answer says about the origin of its request."""
        permitted = b"*" if self._allowed.is_any else origin
        headers = [(b"access-control-allow-origin", permitted), _EXPOSED] if is_permitted else []
        # Also without an `Origin`: a cache must not give one page another page's answer.
        return headers if self._allowed.is_any else [*headers, _VARY]
