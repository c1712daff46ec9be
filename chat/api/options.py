"""OPTIONS: which methods an address takes."""

from collections import defaultdict
from collections.abc import Sequence

from litestar import HttpMethod, Response
from litestar.handlers import HTTPRouteHandler


def answer_options(routes: Sequence[HTTPRouteHandler]) -> list[HTTPRouteHandler]:
    """Return a handler for OPTIONS of each address, which names all its methods in `Allow`.

    The framework's own names only the methods of one handler of the address.
    """
    methods: defaultdict[str, set[str]] = defaultdict(lambda: {"OPTIONS"})
    for handler in routes:
        for path in handler.paths:
            methods[path] |= handler.http_methods
    return [_answer(path, ", ".join(sorted(allowed))) for path, allowed in methods.items()]


def _answer(path: str, allowed: str) -> HTTPRouteHandler:
    async def options() -> Response[None]:
        return Response(None, status_code=204, headers={"Allow": allowed})

    return HTTPRouteHandler(path, http_method=HttpMethod.OPTIONS)(options)
