"""Reading what a request says: its path, its query and its body, strictly."""

import re
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Request

from chat.api.problems import MalformedBodyError, UnsupportedMediaTypeError
from chat.conf import BIGINT_MAX, PAGE_DEFAULT, PAGE_MAX
from chat.errors import InvalidInputError, NotFoundError
from chat.realtime.channels import describe_invalid_user_id

_CANONICAL_NUMBER = re.compile(r"\A(0|[1-9][0-9]{0,18})\Z", re.ASCII)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_MISSING_FIELD = re.compile(r"(?:missing required|unknown) field `(?P<field>[^`]*)`")
_PATH_OF_ERROR = re.compile(r" - at `(?P<key>key in )?\$(?P<path>[^`]*)`\Z")

Body = TypeVar("Body")


def _parse_number(text: str) -> int | None:
    """Return a number written in the one way ids are written, or None."""
    if not _CANONICAL_NUMBER.match(text):
        return None
    number = int(text)
    return number if number <= BIGINT_MAX else None


def parse_room_id(text: str) -> int:
    """Return the room id of a path. Anything that is no id is a room that does not exist."""
    number = _parse_number(text)
    if not number:
        raise NotFoundError
    return number


def parse_user_id(segment: str) -> str:
    """Return the user id of a raw path segment, percent-decoded strictly; `/` is `%2F`.

    Errors: `InvalidInputError` for a broken escape, bytes that are not UTF-8, or what can be
    nobody's id.
    """
    broken = InvalidInputError(
        "The user id in the path is not percent-encoded UTF-8.", pointer="user_id"
    )
    if _BROKEN_ESCAPE.search(segment):
        raise broken
    try:
        user_id = unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise broken from None
    if (reason := describe_invalid_user_id(user_id)) is not None:
        raise InvalidInputError(reason, pointer="user_id")
    return user_id


def require_user_ids(user_ids: list[str], *, pointer: str) -> None:
    """Raise `InvalidInputError`, naming its place in the body, for the first that is no id."""
    for place, user_id in enumerate(user_ids):
        if (reason := describe_invalid_user_id(user_id)) is not None:
            raise InvalidInputError(reason, pointer=f"{pointer}/{place}")


def parse_query_number(
    request: Request[Any, Any, Any], name: str, *, minimum: int = 0, maximum: int = BIGINT_MAX
) -> int | None:
    """Return a number of the query, or None where it is absent.

    Errors: `InvalidInputError`, naming the parameter, for anything but one number in the bounds.
    """
    values = request.query_params.getall(name, [])
    if not values:
        return None
    number = _parse_number(values[0]) if len(values) == 1 else None
    if number is None or not minimum <= number <= maximum:
        bounds = f"from {minimum} to {maximum}" if maximum < BIGINT_MAX else f"of {minimum} or more"
        raise InvalidInputError(f"{name} must be one whole number {bounds}.", pointer=name)
    return number


def parse_limit(request: Request[Any, Any, Any]) -> int:
    """Return the page size asked for: `?limit=`, 1 to 200, default 50."""
    return parse_query_number(request, "limit", minimum=1, maximum=PAGE_MAX) or PAGE_DEFAULT


def parse_body(request: Request[Any, Any, Any], body: bytes, schema: type[Body]) -> Body:
    """Return the request's JSON body as its schema has it.

    Errors: `UnsupportedMediaTypeError`; `MalformedBodyError` for what is no JSON document;
    `InvalidInputError`, with a JSON pointer to the first field at fault, for what is no `schema`.
    """
    media_type, parameters = request.content_type
    if media_type != "application/json" or parameters.get("charset", "utf-8").lower() != "utf-8":
        raise UnsupportedMediaTypeError("The body must be application/json in UTF-8.")
    try:
        return msgspec.json.decode(body, type=schema)
    except msgspec.ValidationError as error:
        raise _describe_invalid_body(error) from error
    except (ValueError, RecursionError) as error:
        # msgspec lets both a bad UTF-8 sequence and the interpreter's nesting limit through.
        raise MalformedBodyError("The body is not a JSON document in UTF-8.") from error


def _describe_invalid_body(error: msgspec.ValidationError) -> InvalidInputError:
    """Return the error with the JSON pointer (RFC 6901) of the field that msgspec names."""
    message = str(error)
    path = ""
    if match := _PATH_OF_ERROR.search(message):
        message = message[: match.start()]
        path = re.sub(r"\[(\d+)\]", r"/\1", match["path"]).replace(".", "/")
    if match := _MISSING_FIELD.search(message):
        path += "/" + match["field"].replace("~", "~0").replace("/", "~1")
    return InvalidInputError(f"{message}.", pointer=path)
