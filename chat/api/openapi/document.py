"""The OpenAPI 3.1 document, made from the handlers themselves.

Handlers take raw bodies and read the query by hand, so the framework's generator does not know
them. Each says in `operation=` what its signature does not; the rest is read from it.
"""

import inspect
import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
from litestar import Response
from litestar.handlers import HTTPRouteHandler

from chat.api.openapi.components import REF, Schema, describe_schemas, refer, translate
from chat.api.openapi.examples import INVITE_TOKEN
from chat.api.openapi.operations import Operation
from chat.api.problems import MEDIA_TYPE, PROBLEMS
from chat.api.query import Parameter, read_parameters
from chat.api.security import authenticated, service_only
from chat.conf import (
    BIGINT_MAX,
    EXTERNAL_ID_MAX_LENGTH,
    USER_ID_MAX_LENGTH,
    WORD_MAX_LENGTH,
)

VERSION = "0.1.0"
TAGS = {
    "rooms": "A room has a name, members and messages; `version` counts what happened in it.",
    "external_rooms": "Rooms by the host's own keys, and as the host wants them.",
    "direct_rooms": "The one room of exactly some people, who never change.",
    "room_changes": "A room is changed by its owners and by the host's service, which deletes "
    "rooms too.",
    "messages": "Sent by members, numbered 1, 2, 3… in each room.",
    "bans": "Who is banned from a room, or from all rooms, does not enter and sends nothing.",
    "blocks": "The users with whom the caller wants nothing to do; private to the caller.",
    "members": "Who is in a room; some roles add, remove, promote and mute members.",
    "joins": "Users join public rooms, and leave rooms, by themselves.",
    "invites": "Links by which users join a room, also a private one, until they expire.",
    "users": "Users are the product's: its service can refuse the tokens that they hold.",
    "reports": "Users report messages and users; staff and the product's service decide.",
    "audit": "Who changed what, when and from where.",
    "words": "Words that are refused, masked or reported to staff when somebody sends them.",
    "events": "What a client fetches when it missed an event. The schema `Event` describes what "
    "Centrifugo carries on `personal:<user id>`.",
    "search": "Rooms by any part of their name.",
    "tokens": "Tokens for Centrifugo, which carries the events.",
    "health": "Probes for orchestrators.",
    "documentation": "This description, for programs and for people.",
}
DESCRIPTION = """\
A chat backend that a product embeds. The product owns users and logins and issues JWTs; a user is
the string in `sub`. Some operations are for the product's own service: its token has `role:
service`, or `chat.manage` in `scp` or `scope`, unless the product has chosen another claim.

Every error is `application/problem+json` (RFC 9457) with a stable `code`. A method that an address
does not take is 405 with `Allow`; HEAD is taken wherever GET is. Every answer names its request in
`X-Request-Id`.
"""

_PATH_SCHEMAS: dict[str, tuple[Schema, str | int]] = {
    "room_id": (
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": BIGINT_MAX},
        1,
    ),
    "user_id": ({"type": "string", "minLength": 1, "maxLength": USER_ID_MAX_LENGTH}, "u456"),
    "message_id": (
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": BIGINT_MAX},
        1,
    ),
    "word": ({"type": "string", "minLength": 1, "maxLength": WORD_MAX_LENGTH}, "darn"),
    "report_id": (
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": BIGINT_MAX},
        1,
    ),
    "external_id": (
        {"type": "string", "minLength": 1, "maxLength": EXTERNAL_ID_MAX_LENGTH},
        "team-7",
    ),
    "invite_id": (
        {"type": "integer", "format": "int64", "minimum": 1, "maximum": BIGINT_MAX},
        1,
    ),
    "token": (
        {"type": "string", "pattern": r"^[A-Za-z0-9_-]{20}\.[A-Za-z0-9_-]{43}$"},
        INVITE_TOKEN,
    ),
}

# Some answers say how long it really takes.
_SECONDS: Schema = {"type": "integer", "minimum": 1}


def build_document(routes: Sequence[HTTPRouteHandler]) -> Schema:
    """Return the OpenAPI 3.1 document of these handlers."""
    paths: dict[str, Schema] = {}
    for handler in routes:
        for path in handler.paths:
            address = re.sub(r"\{(\w+):\w+\}", r"{\1}", path)
            # The framework strips the slash with which the contract's addresses end.
            address += "/" if address.startswith("/api/") else ""
            for method in handler.http_methods:
                paths.setdefault(address, {})[method.lower()] = _describe(handler, path)

    return {
        "openapi": "3.1.0",
        "info": {"title": "Besedka", "version": VERSION, "description": DESCRIPTION},
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": describe_schemas(
                bodies=[body for handler in routes if (body := _read_operation(handler).body)],
                answers=[_read_answer(handler) for handler in routes],
            ),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
            },
        },
    }


def _read_operation(handler: HTTPRouteHandler) -> Operation:
    operation: Operation = handler.opt.get("operation", Operation())
    return operation


def _read_answer(handler: HTTPRouteHandler) -> Any:  # noqa: ANN401 - a type, or None
    answer = get_type_hints(handler.fn)["return"]
    return get_args(answer)[0] if get_origin(answer) is Response else answer


def _describe(handler: HTTPRouteHandler, path: str) -> Schema:
    """Return the description of one operation."""
    operation = _read_operation(handler)
    summary, _, description = inspect.cleandoc(handler.fn.__doc__ or "").partition("\n\n")
    described: Schema = {
        "operationId": handler.fn.__name__,
        "tags": [handler.fn.__module__.rpartition(".")[2]],
        "summary": " ".join(summary.split()).rstrip("."),
        "description": description,
        "security": [{"bearer": []}] if authenticated in (handler.guards or ()) else [],
        "parameters": [
            *(_describe_path_parameter(name) for name in _PATH_SCHEMAS if "{" + name in path),
            *_describe_query(operation),
        ],
        "responses": _describe_problems(handler, path) | _describe_answers(handler, operation),
    }
    if operation.body is not None:
        content = {"schema": refer(operation.body), "example": operation.example}
        described["requestBody"] = {
            "required": operation.is_body_required,
            "content": {"application/json": content},
        }
    return described


def _describe_path_parameter(name: str) -> Schema:
    schema, example = _PATH_SCHEMAS[name]
    return {"name": name, "in": "path", "required": True, "schema": schema, "example": example}


def _describe_query(operation: Operation) -> list[Schema]:
    parameters = read_parameters(operation.query) if operation.query else {}
    return [_describe_parameter(name, parameter) for name, parameter in parameters.items()]


def _describe_parameter(name: str, parameter: Parameter) -> Schema:
    schema = translate(parameter.schema)
    described: Schema = {
        "name": name,
        "in": "query",
        "description": schema.pop("description"),
        "required": parameter.is_required,
        "schema": schema,
    }
    if examples := schema.pop("examples", None):
        described["example"] = examples[0]
    if schema.get("default", ...) in {None, ""}:
        del schema["default"]
    return described


def _describe_answers(handler: HTTPRouteHandler, operation: Operation) -> Schema:
    """Return the answers that are the endpoint's own."""
    answer = _read_answer(handler)
    if answer in {None, type(None)}:
        return {str(handler.status_code): {"description": "Done; the answer has no body."}}
    media_type = "text/html" if answer is str else "application/json"
    content = {media_type: {"schema": refer(answer)}}
    kind = get_origin(answer) or answer
    meaning = inspect.getdoc(kind) if issubclass(kind, msgspec.Struct) else "As described."
    statuses = {handler.status_code: meaning, **operation.answers}
    described: dict[str, Schema] = {
        str(status): {"description": text, "content": content} for status, text in statuses.items()
    }
    for name, fields in operation.links.items():
        parameters = {target: f"$response.body#/{field}" for target, field in fields.items()}
        link = {"operationId": name, "parameters": parameters}
        described[str(handler.status_code)].setdefault("links", {})[name] = link
    return described


def _find_codes(handler: HTTPRouteHandler, path: str) -> set[str]:
    """Return the code of every problem that the operation can answer."""
    operation, guards = _read_operation(handler), handler.guards or ()
    parameters = inspect.signature(handler.fn).parameters
    uses_database = not parameters.keys().isdisjoint({"database", "send_queue"})
    is_change = handler.http_methods.isdisjoint({"GET"})
    # When each applies, and the codes that it brings.
    brought = [
        (True, {"bad_request", "internal_error"}),
        (authenticated in guards, {"invalid_token", "token_revoked", "identity_unavailable"}),
        (service_only in guards, {"service_rights_required"}),
        ("{room_id" in path, {"not_found"}),
        ("{external_id" in path, {"not_found", "invalid_input"}),
        ("{user_id" in path or operation.query is not None, {"invalid_input"}),
        (operation.body is not None, {"malformed_json", "body_too_slow", "body_too_large"}),
        (operation.body is not None, {"unsupported_media_type", "invalid_input"}),
        (uses_database, {"database_unavailable"}),
        (uses_database and is_change, {"room_busy"}),
        ("send_queue" in parameters, {"overloaded"}),
    ]
    return {code for applies, codes in brought if applies for code in codes} | {*operation.problems}


def _describe_problems(handler: HTTPRouteHandler, path: str) -> Schema:
    """Return the problems that the operation can answer, by status, with their codes."""
    codes = _find_codes(handler, path)
    by_status: dict[HTTPStatus, list[str]] = {}
    for code, kind in PROBLEMS.items():
        if code in codes:
            by_status.setdefault(kind.status, []).append(code)
    return {
        str(status.value): _describe_problem(status, names)
        for status, names in sorted(by_status.items())
    }


def _describe_problem(status: HTTPStatus, codes: list[str]) -> Schema:
    schema = {
        "allOf": [{"$ref": REF.format(name="Problem")}],
        "properties": {"status": {"const": status.value}, "code": {"enum": codes}},
    }
    described: Schema = {
        "description": " ".join(f"`{code}`: {PROBLEMS[code].meaning}." for code in codes),
        "content": {MEDIA_TYPE: {"schema": schema}},
    }
    headers = {
        name: {"schema": _SECONDS if name == "Retry-After" else {"const": text}}
        for name, text in PROBLEMS[codes[0]].headers.items()
        if name
        != "Connection"  # it is between two hops, and OpenAPI does not describe such headers
    }
    if headers:
        described["headers"] = headers
    return described
