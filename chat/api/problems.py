"""Errors as `application/problem+json` (RFC 9457): the one place that knows HTTP statuses."""

from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.authentication import InvalidTokenError
from chat.errors import (
    ChatError,
    DatabaseUnavailableError,
    EventsGoneError,
    IdempotencyConflictError,
    InvalidInputError,
    NotFoundError,
    RoomBusyError,
    ServiceRightsRequiredError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = "1"

log = structlog.get_logger("besedka.api")

# Looked up along the class's ancestors; a test holds that every class has a row.
STATUS_OF_ERROR: dict[type[ChatError], HTTPStatus] = {
    InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
    NotFoundError: HTTPStatus.NOT_FOUND,
    ServiceRightsRequiredError: HTTPStatus.FORBIDDEN,
    IdempotencyConflictError: HTTPStatus.CONFLICT,
    EventsGoneError: HTTPStatus.GONE,
    RoomBusyError: HTTPStatus.SERVICE_UNAVAILABLE,
    DatabaseUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
}

# Codes of what the framework refuses before a handler runs.
CODE_OF_STATUS = {
    HTTPStatus.BAD_REQUEST: "bad_request",
    HTTPStatus.NOT_FOUND: "not_found",
    HTTPStatus.METHOD_NOT_ALLOWED: "method_not_allowed",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "body_too_large",
}
DETAIL_OF_STATUS = {
    HTTPStatus.NOT_FOUND: "There is nothing at this address.",
    HTTPStatus.METHOD_NOT_ALLOWED: "This address does not take this method.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is larger than 65,536 bytes.",
}


# Python renamed these phrases in 3.13, after RFC 9110; a title has to be the same everywhere.
TITLE_OF_STATUS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
}


class MalformedBodyError(Exception):
    """The body is no JSON document."""


class UnsupportedMediaTypeError(Exception):
    """The body is not declared as JSON."""


class SlowBodyError(Exception):
    """The body did not arrive in time."""


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every error."""

    status: int
    title: str
    code: str
    detail: str
    pointer: str | None = None
    floor: int | None = None
    head: int | None = None
    request_id: str | None = None
    type: str = "about:blank"


def make_problem(
    status: HTTPStatus,
    code: str,
    detail: str,
    *,
    headers: dict[str, str] | None = None,
    **facts: Any,  # noqa: ANN401 - the optional members of `Problem`
) -> Response[bytes]:
    """Return the answer for one error."""
    title = TITLE_OF_STATUS.get(status, status.phrase)
    problem = Problem(status=status.value, title=title, code=code, detail=detail, **facts)
    return Response(
        msgspec.json.encode(problem),
        status_code=status.value,
        media_type=MEDIA_TYPE,
        headers=headers or {},
    )


def answer_chat_error(_: Request[Any, Any, Any], error: ChatError) -> Response[bytes]:
    """Answer what the domain refuses."""
    status = next(STATUS_OF_ERROR[kind] for kind in type(error).__mro__ if kind in STATUS_OF_ERROR)
    headers = (
        {"Retry-After": RETRY_AFTER_SECONDS} if status is HTTPStatus.SERVICE_UNAVAILABLE else {}
    )
    facts: dict[str, object] = {}
    if isinstance(error, InvalidInputError):
        facts = {"pointer": error.pointer}
    elif isinstance(error, EventsGoneError):
        facts = {"floor": error.floor, "head": error.head}
    # A subclass of an error is told exactly like it: a stranger learns nothing from the code.
    return make_problem(status, error.code, str(error), headers=headers, **facts)


def answer_invalid_token(_: Request[Any, Any, Any], error: InvalidTokenError) -> Response[bytes]:
    """Answer a request that does not prove who sent it."""
    return make_problem(
        HTTPStatus.UNAUTHORIZED,
        "invalid_token",
        str(error),
        headers={"WWW-Authenticate": "Bearer"},
    )


def answer_malformed_body(_: Request[Any, Any, Any], error: MalformedBodyError) -> Response[bytes]:
    """Answer a body that is no JSON document."""
    return make_problem(HTTPStatus.BAD_REQUEST, "malformed_json", str(error))


def answer_unsupported_media_type(
    _: Request[Any, Any, Any], error: UnsupportedMediaTypeError
) -> Response[bytes]:
    """Answer a body that is not declared as JSON."""
    return make_problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", str(error))


def answer_slow_body(_: Request[Any, Any, Any], __: SlowBodyError) -> Response[bytes]:
    """Answer a body that did not arrive in time; the connection is not worth keeping."""
    return make_problem(
        HTTPStatus.REQUEST_TIMEOUT,
        "body_too_slow",
        "The body did not arrive within 10 seconds.",
        headers={"Connection": "close"},
    )


def answer_http_exception(_: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses before a handler runs."""
    status = HTTPStatus(error.status_code)
    headers = {
        name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"
    }
    return make_problem(
        status,
        CODE_OF_STATUS.get(status, "request_refused"),
        DETAIL_OF_STATUS.get(status, error.detail),
        headers=headers,
    )


def answer_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a defect of ours with an id that finds it in the log, and nothing of it."""
    # Bound by `app.request_log` for each request, so every line of it carries the id.
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    if isinstance(error, psycopg.Error):
        # Its text repeats the row at fault, and so what a user wrote.
        log.error(
            "request_failed",
            method=request.method,
            sqlstate=error.sqlstate,
            constraint=error.diag.constraint_name,
            error=error.diag.message_primary or type(error).__name__,
        )
    else:
        log.error("request_failed", method=request.method, exc_info=error)
    return make_problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "internal_error",
        "The service failed. Its operators find the cause under the request id.",
        request_id=request_id,
    )


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ChatError: answer_chat_error,
    InvalidTokenError: answer_invalid_token,
    MalformedBodyError: answer_malformed_body,
    UnsupportedMediaTypeError: answer_unsupported_media_type,
    SlowBodyError: answer_slow_body,
    HTTPException: answer_http_exception,
    Exception: answer_defect,
}
