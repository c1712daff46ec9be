"""The API's description, for programs and for people; both are made once, at start."""

from typing import Any

from litestar import Response, get
from litestar.datastructures import State

from chat.api.addresses import read_origin, read_prefix
from chat.api.openapi.page import CONTENT_SECURITY_POLICY, EXAMPLE_ORIGIN
from chat.api.security import ApiRequest


@get("/api/schema")
async def read_schema(request: ApiRequest, state: State) -> dict[str, Any]:
    """Return this description, as OpenAPI 3.1 in JSON."""
    document: dict[str, Any] = state.document
    if prefix := read_prefix(request):
        return document | {"servers": [{"url": prefix}]}
    return document


@get("/api/docs")
async def read_docs(request: ApiRequest, state: State) -> Response[str]:
    """Return this description as a page: one answer without scripts, fonts or other addresses."""
    page: str = state.page
    if prefix := read_prefix(request):
        # What is written there is escaped: a prefix has no other characters, and a host neither.
        address = (read_origin(request) or EXAMPLE_ORIGIN) + prefix
        page = page.replace(f"{EXAMPLE_ORIGIN}/", f"{address}/")
    return Response(
        page,
        media_type="text/html",
        headers={
            "Content-Security-Policy": CONTENT_SECURITY_POLICY,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
        },
    )
