"""Errors as `application/problem+json` (RFC 9457): every code there is, and its answer.

`PROBLEMS` is the registry. The handlers here, the OpenAPI description, `app/asgi.py` and the table
in docs/api.md are made from it, and nginx's answers are tested against it.
"""

import math
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
import psycopg
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException

from app.authentication import CannotVerifyNowError, InvalidTokenError
from chat.api.options import list_methods
from chat.conf import BODY_MAX_BYTES, BODY_SECONDS, DESIRED_STATE_MAX_BYTES
from chat.errors import (
    ChatError,
    EventsGoneError,
    InvalidInputError,
    RateLimitedError,
    RightRequiredError,
)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 1
# With every answer of the API: what a user may read is kept by no cache, and no error is either.
NO_STORE: Mapping[str, str] = {"Cache-Control": "no-store"}

log = structlog.get_logger("besedka.api")


class ProblemKind(msgspec.Struct, frozen=True):
    """What a code stands for."""

    status: HTTPStatus
    meaning: str
    """For the reference: one sentence, without `.`."""
    detail: str = ""
    """What an answer says where the error itself says nothing."""
    headers: Mapping[str, str] = {}
    is_from_proxy: bool = False
    """Whether nginx answers it, in front of this service."""

    @property
    def title(self) -> str:
        """The status in words."""
        return _TITLES.get(self.status, self.status.phrase)


# Python renamed these phrases in 3.13, after RFC 9110; a title has to be the same everywhere.
_TITLES = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Content Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Content",
    HTTPStatus.REQUEST_URI_TOO_LONG: "URI Too Long",
}
_RETRY = {"Retry-After": str(RETRY_AFTER_SECONDS)}

PROBLEMS: Mapping[str, ProblemKind] = {
    "bad_request": ProblemKind(
        HTTPStatus.BAD_REQUEST,
        "the request is broken in another way, for example its `Host`",
        "This is not a valid HTTP request.",
    ),
    "malformed_json": ProblemKind(
        HTTPStatus.BAD_REQUEST,
        "the body is not a JSON document in UTF-8",
        "The body is not a JSON document in UTF-8.",
    ),
    "invalid_token": ProblemKind(
        HTTPStatus.UNAUTHORIZED,
        "there is no valid token; with `WWW-Authenticate: Bearer`",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    "token_revoked": ProblemKind(
        HTTPStatus.UNAUTHORIZED,
        "the host has revoked the user's tokens that were issued before a time, and this is one of "
        "them, or has no `iat`: log in again; with `WWW-Authenticate: Bearer`",
        headers={"WWW-Authenticate": "Bearer"},
    ),
    "service_rights_required": ProblemKind(
        HTTPStatus.FORBIDDEN, "the endpoint is for the host's service"
    ),
    "right_required": ProblemKind(
        HTTPStatus.FORBIDDEN,
        "the caller is a member, and the role does not have the right; `right` names it",
    ),
    "banned": ProblemKind(
        HTTPStatus.FORBIDDEN, "the user is banned from the room, or from all rooms"
    ),
    "muted": ProblemKind(HTTPStatus.FORBIDDEN, "the member may not send in this room now"),
    "blocked": ProblemKind(
        HTTPStatus.FORBIDDEN,
        "one of two users blocks the other; which of them is not told",
    ),
    "not_found": ProblemKind(
        HTTPStatus.NOT_FOUND,
        "no such address; or no such room, or the caller is not a member: the answer is the same",
        "There is nothing at this address.",
    ),
    "method_not_allowed": ProblemKind(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "the address does not take this method; `Allow` names those that it takes",
        "This address does not take this method.",
    ),
    "body_too_slow": ProblemKind(
        HTTPStatus.REQUEST_TIMEOUT,
        f"the body did not arrive within {BODY_SECONDS:g} seconds",
        f"The body did not arrive within {BODY_SECONDS:g} seconds.",
        # The connection is not worth keeping.
        headers={"Connection": "close"},
    ),
    "room_archived": ProblemKind(
        HTTPStatus.CONFLICT, "the room is archived: it can be read, and is not changed"
    ),
    "conflict": ProblemKind(
        HTTPStatus.CONFLICT, "the change does not go with the present state; `detail` says why"
    ),
    "limit_reached": ProblemKind(
        HTTPStatus.CONFLICT,
        "there are as many rooms of this user, or members of this room, as the host allows",
    ),
    "client_id_conflict": ProblemKind(
        HTTPStatus.CONFLICT, "the `client_id` was used with other content"
    ),
    "invite_gone": ProblemKind(
        HTTPStatus.GONE, "the invite was revoked, has expired, or is used up: ask for a new one"
    ),
    "events_gone": ProblemKind(
        HTTPStatus.GONE,
        "the log does not hold these events; with `floor` and `head`: fetch the room again",
    ),
    "body_too_large": ProblemKind(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the body is larger than {BODY_MAX_BYTES:,} bytes, or, of a room's desired state, than "
        f"{DESIRED_STATE_MAX_BYTES:,} bytes",
        "The body is larger than this address takes.",
    ),
    "address_too_long": ProblemKind(
        HTTPStatus.REQUEST_URI_TOO_LONG,
        "the address is longer than 16,384 bytes",
        "The address is longer than 16,384 bytes.",
        is_from_proxy=True,
    ),
    "unsupported_media_type": ProblemKind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "the body is not declared as `application/json`",
        "The body must be application/json in UTF-8.",
    ),
    "invalid_input": ProblemKind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "`pointer` names the first field at fault (a JSON pointer), or the parameter",
    ),
    "refused_content": ProblemKind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the word list, or the host, does not accept the text; another text may be accepted",
    ),
    "header_too_large": ProblemKind(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        "a header is longer than 16,384 bytes, or there are too many",
        "A header is longer than 16,384 bytes, or there are too many.",
        is_from_proxy=True,
    ),
    "rate_limited": ProblemKind(
        HTTPStatus.TOO_MANY_REQUESTS,
        "as many messages, or joins and leaves, as the host or the room's slow mode allows were "
        "accepted before; nothing was changed, with `Retry-After`",
        headers=_RETRY,
    ),
    "too_many_requests": ProblemKind(
        HTTPStatus.TOO_MANY_REQUESTS,
        "too many requests from one network or one token; nothing was done, with `Retry-After`",
        "Too many requests come from this address, or with this token. Try again.",
        headers=_RETRY,
        is_from_proxy=True,
    ),
    "internal_error": ProblemKind(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "the service failed; `request_id` finds the cause in its log",
        "The service failed. Its operators find the cause under the request id.",
    ),
    "identity_unavailable": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "whether the token is valid cannot be found out now: the keys of the identity provider, or "
        "the host, cannot be asked; with `Retry-After`: keep the token and repeat",
        headers=_RETRY,
    ),
    "room_busy": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the room stayed locked; nothing was changed, with `Retry-After`",
        headers=_RETRY,
    ),
    "overloaded": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "more messages wait to be stored than can be stored in time; nothing was changed, with "
        "`Retry-After`",
        headers=_RETRY,
    ),
    "check_unavailable": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the host, which is asked about each message, did not answer; nothing was stored, with "
        "`Retry-After`",
        headers=_RETRY,
    ),
    "database_unavailable": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the database did not answer; with `Retry-After`: repeat with the same `client_id`",
        headers=_RETRY,
    ),
    "unavailable": ProblemKind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "the service did not answer in time; with `Retry-After`",
        "The service did not answer in time. Try again.",
        headers=_RETRY,
        is_from_proxy=True,
    ),
}

# What the framework refuses before a handler runs.
_FRAMEWORKS = ("bad_request", "not_found", "method_not_allowed", "body_too_large")
_CODE_OF_STATUS = {PROBLEMS[code].status: code for code in _FRAMEWORKS}


class RequestError(Exception):
    """The request was refused before its content was looked at; `code` is in `PROBLEMS`."""

    def __init__(self, code: str) -> None:
        super().__init__(PROBLEMS[code].detail)
        self.code = code


class Problem(msgspec.Struct, omit_defaults=True):
    """The body of every error. It has no `type`, which means `about:blank` (RFC 9457)."""

    status: int
    title: str
    code: str
    detail: str
    pointer: str | None = None
    right: str | None = None
    floor: int | None = None
    head: int | None = None
    request_id: str | None = None


def encode_problem(
    code: str, detail: str | None = None, facts: Mapping[str, Any] | None = None
) -> bytes:
    """Return the body of a problem. `facts`: the optional members of `Problem`."""
    kind = PROBLEMS[code]
    problem = Problem(kind.status.value, kind.title, code, detail or kind.detail, **(facts or {}))
    return msgspec.json.encode(problem)


def _answer(
    code: str,
    detail: str | None = None,
    *,
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response[bytes]:
    kind = PROBLEMS[code]
    return Response(
        encode_problem(code, detail, facts),
        status_code=kind.status.value,
        media_type=MEDIA_TYPE,
        headers={**NO_STORE, **kind.headers, **(headers or {})},
    )


def answer_chat_error(_: Request[Any, Any, Any], error: ChatError) -> Response[bytes]:
    """Answer what the domain refuses.

    An error that inherits its code is answered exactly like its ancestor.
    """
    facts: dict[str, Any] = {}
    headers: dict[str, str] = {}
    if isinstance(error, InvalidInputError):
        facts = {"pointer": error.pointer}
    elif isinstance(error, RightRequiredError):
        facts = {"right": error.right}
    elif isinstance(error, EventsGoneError):
        facts = {"floor": error.floor, "head": error.head}
    elif isinstance(error, RateLimitedError):
        headers = {"Retry-After": str(error.seconds)}
    return _answer(error.code, str(error), facts=facts, headers=headers)


def answer_invalid_token(_: Request[Any, Any, Any], error: InvalidTokenError) -> Response[bytes]:
    """Answer a request that does not prove who sent it."""
    return _answer("invalid_token", str(error))


def answer_cannot_verify(_: Request[Any, Any, Any], error: CannotVerifyNowError) -> Response[bytes]:
    """Answer a request of which cannot be said now who sent it."""
    headers = {"Retry-After": str(math.ceil(error.retry_after))}
    return _answer("identity_unavailable", str(error), headers=headers)


def answer_request_error(_: Request[Any, Any, Any], error: RequestError) -> Response[bytes]:
    """Answer a request that was refused before its content was looked at."""
    return _answer(error.code)


def answer_http_exception(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Answer what the framework refuses before a handler runs."""
    if error.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return answer_defect(request, error)
    code = _CODE_OF_STATUS.get(HTTPStatus(error.status_code), "bad_request")
    detail = error.detail if code == "bad_request" else None
    allow = {
        name: list_methods(value.split(", "))
        for name, value in (error.headers or {}).items()
        if name.lower() == "allow"
    }
    return _answer(code, detail, headers=allow)


def answer_defect(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer a defect of this service with an id that finds it in the log, and nothing else."""
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
    return _answer("internal_error", facts={"request_id": request_id})


def answer_error(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Answer an error with the handler of the nearest of its classes, as the framework does."""
    handler = next(
        EXCEPTION_HANDLERS[kind] for kind in type(error).__mro__ if kind in EXCEPTION_HANDLERS
    )
    answer: Response[bytes] = handler(request, error)
    return answer


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    ChatError: answer_chat_error,
    InvalidTokenError: answer_invalid_token,
    CannotVerifyNowError: answer_cannot_verify,
    RequestError: answer_request_error,
    HTTPException: answer_http_exception,
    Exception: answer_defect,
}
