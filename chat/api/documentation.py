"""The API's description, for programs and for people; both are made once, at start."""

from typing import Any

from litestar import Response, get
from litestar.datastructures import State

from chat.api.openapi.page import CONTENT_SECURITY_POLICY


@get("/api/schema")
async def read_schema(state: State) -> dict[str, Any]:
    """Return this description, as OpenAPI 3.1 in JSON."""
    document: dict[str, Any] = state.document
    return document


@get("/api/docs")
async def read_docs(state: State) -> Response[str]:
    """Return this description as a page: one answer without scripts, fonts or other addresses."""
    return Response(
        state.page,
        media_type="text/html",
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )
