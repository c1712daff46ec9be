"""OPTIONS and HEAD: which methods an address takes, and the head of what GET answers."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from litestar import HttpMethod, Response
from litestar.enums import ScopeType
from litestar.handlers import HTTPRouteHandler
from litestar.types import ASGIApp, Message, Receive, Scope, Send


def answer_options(routes: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Return a handler for OPTIONS of each address, which names all its methods in `Allow`.

    The framework's own names only the methods of one handler of the address.
    """
    methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in routes:
        for path in handler.paths:
            methods[path] |= handler.http_methods
    return [_answer(path, list_methods(allowed)) for path, allowed in methods.items()]


def list_methods(methods: Iterable[str]) -> str:
    """Return the value of `Allow` for an address with these methods: HEAD is there with GET."""
    names = set(methods)
    return ", ".join(sorted(names | {"HEAD"} if "GET" in names else names))


def answer_head(application: ASGIApp) -> ASGIApp:
    """Return the application with HEAD on each address that has GET: the same head, no body."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "HEAD":
            await application(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message["body"] = b""
            await send(message)

        # The scope itself, because the log reads from it what the application writes there.
        scope["method"] = "GET"
        try:
            await application(scope, receive, send_head)
        finally:
            scope["method"] = "HEAD"

    return answer


def _answer(path: str, allowed: str) -> HTTPRouteHandler:
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS)(options)
