"""What a handler says of itself for the OpenAPI description, where its signature does not.

    @post(PATH, guards=[authenticated], operation=Operation(body=SendMessageBody))

The rest `chat.api.openapi.document` reads from the handler: its name, docstring, guards, path and
answer.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from chat.conf import BIGINT_MAX, PAGE_DEFAULT, PAGE_MAX

# Every code there is, with its status and what it says.
PROBLEMS: dict[str, tuple[HTTPStatus, str]] = {
    "bad_request": (HTTPStatus.BAD_REQUEST, "The request is broken, for example its `Host`."),
    "malformed_json": (HTTPStatus.BAD_REQUEST, "The body is no JSON document in UTF-8."),
    "invalid_token": (HTTPStatus.UNAUTHORIZED, "No token, or one that proves nothing."),
    "service_rights_required": (HTTPStatus.FORBIDDEN, "The endpoint is for the host's service."),
    "not_found": (HTTPStatus.NOT_FOUND, "No such room, or the caller is not in it: told alike."),
    "method_not_allowed": (HTTPStatus.METHOD_NOT_ALLOWED, "`Allow` names the methods."),
    "body_too_slow": (HTTPStatus.REQUEST_TIMEOUT, "The body did not arrive within 10 seconds."),
    "client_id_conflict": (HTTPStatus.CONFLICT, "The `client_id` was used with other content."),
    "events_gone": (HTTPStatus.GONE, "The log does not reach; read the room anew."),
    "body_too_large": (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The body exceeds 65,536 bytes."),
    "unsupported_media_type": (
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body is not declared as `application/json`.",
    ),
    "invalid_input": (HTTPStatus.UNPROCESSABLE_ENTITY, "`pointer` names the first value at fault."),
    "internal_error": (HTTPStatus.INTERNAL_SERVER_ERROR, "`request_id` finds the cause."),
    "room_busy": (HTTPStatus.SERVICE_UNAVAILABLE, "The room stayed locked; try again."),
    "database_unavailable": (HTTPStatus.SERVICE_UNAVAILABLE, "Try again, with the same key."),
}


@dataclass(frozen=True)
class Query:
    """A parameter of the query string."""

    name: str
    description: str
    schema: Mapping[str, Any]
    example: str | int | None = None
    is_required: bool = False


@dataclass(frozen=True)
class Operation:
    """What an endpoint takes and answers."""

    query: tuple[Query, ...] = ()
    body: type[Any] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)
    """A body that a test sends."""
    answers: Mapping[int, str] = field(default_factory=dict)
    """Statuses with the endpoint's own answer, beside its usual one, and what each means."""
    problems: tuple[str, ...] = ()
    """Codes of its own, beside those that its guards, parameters and body bring."""
    links: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Operations that go on from the answer: for each its parameters, as fields of the answer."""


def identifier(minimum: int = 1) -> dict[str, Any]:
    """Return the schema of a number that the database counts."""
    return {"type": "integer", "format": "int64", "minimum": minimum, "maximum": BIGINT_MAX}


LIMIT = Query(
    "limit",
    "How many entries a page has at most.",
    {"type": "integer", "minimum": 1, "maximum": PAGE_MAX, "default": PAGE_DEFAULT},
    example=20,
)
CURSOR = Query("cursor", "A place in the list, from `next` or `previous`.", {"type": "string"})
