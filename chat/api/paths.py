"""Reading the ids in a path, strictly."""

import re
from urllib.parse import unquote_to_bytes

from chat.conf import BIGINT_MAX, EXTERNAL_ID_MAX_LENGTH
from chat.errors import InvalidInputError, NotFoundError
from chat.realtime.channels import describe_invalid_user_id

_CANONICAL_NUMBER = re.compile(r"\A(0|[1-9][0-9]{0,18})\Z", re.ASCII)
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def parse_number(text: str) -> int | None:
    """Return a number in the one form in which ids are written, or None."""
    if not _CANONICAL_NUMBER.match(text):
        return None
    number = int(text)
    return number if number <= BIGINT_MAX else None


def parse_room_id(text: str) -> int:
    """Return the room id of a path. Anything that is not an id is a room that does not exist."""
    number = parse_number(text)
    if not number:
        raise NotFoundError
    return number


def parse_user_id(segment: str) -> str:
    """Return the user id of a raw path segment, percent-decoded strictly; `/` is `%2F`.

    Errors: `InvalidInputError` for a broken escape, for bytes that are not UTF-8, and for a text
    that cannot be a user id.
    """
    user_id = decode_segment(segment, "user_id", "user id")
    if (reason := describe_invalid_user_id(user_id)) is not None:
        raise InvalidInputError(reason, pointer="user_id")
    return user_id


def parse_external_id(segment: str) -> str:
    """Return the host's key of a room from a raw path segment, percent-decoded strictly.

    Errors: `InvalidInputError` for a broken escape, for bytes that are not UTF-8, and for a text
    that is not 1 to 255 characters long or has control characters.
    """
    external_id = decode_segment(segment, "external_id", "external id")
    if not 1 <= len(external_id) <= EXTERNAL_ID_MAX_LENGTH or _CONTROL.search(external_id):
        raise InvalidInputError(
            f"An external id has 1 to {EXTERNAL_ID_MAX_LENGTH} characters, and no control "
            "characters.",
            pointer="external_id",
        )
    return external_id


def decode_segment(segment: str, name: str, meaning: str) -> str:
    """Return a raw path segment percent-decoded strictly.

    Errors: `InvalidInputError` with the parameter's name for a broken escape, and for bytes that
    are not UTF-8.
    """
    broken = InvalidInputError(
        f"The {meaning} in the path is not percent-encoded UTF-8.", pointer=name
    )
    if _BROKEN_ESCAPE.search(segment):
        raise broken
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise broken from None
