"""Pages by keyset: a page's neighbours are found by a position, never by counting."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http.request import split_domain_port, validate_host
from litestar import Request

from chat.api.schemas import Page
from chat.errors import InvalidInputError

Position = TypeVar("Position")
Item = TypeVar("Item")


class Cursor(msgspec.Struct, array_like=True):
    """A place in a list and the direction to read from it; opaque to clients."""

    is_backwards: bool
    position: msgspec.Raw


def page_url(request: Request[Any, Any, Any], **parameters: str | int) -> str:
    """Return this list's address with another place in it; `limit` and `q` are carried over."""
    kept = {
        name: value
        for name in ("limit", "q")
        if (value := request.query_params.get(name)) is not None
    }
    query = urlencode(kept | parameters)
    return f"{_read_origin(request)}{request.scope['path'].rstrip('/')}/?{query}"


def _read_origin(request: Request[Any, Any, Any]) -> str:
    """Return the address the client used, if it is one of ours: links repeat no stranger's name."""
    host = request.headers.get("host", "")
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return ""
    return f"{request.scope['scheme']}://{host}"


def read_cursor(
    request: Request[Any, Any, Any], position: type[Position]
) -> tuple[Position | None, bool]:
    """Return the position of `?cursor=` and whether to read backwards from it.

    Errors: `InvalidInputError` for a cursor that this list did not make.
    """
    text = request.query_params.get("cursor")
    if not text:
        return None, False
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=Cursor)
        return msgspec.json.decode(cursor.position, type=position), cursor.is_backwards
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidInputError("This is no cursor of this list.", pointer="cursor") from error


def write_cursor(position: object, *, is_backwards: bool) -> str:
    """Return the text of a cursor."""
    cursor = Cursor(is_backwards, msgspec.Raw(msgspec.json.encode(position)))
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def make_page(
    request: Request[Any, Any, Any],
    found: Sequence[Item],
    *,
    limit: int,
    is_backwards: bool,
    is_first: bool,
    position_of: Callable[[Item], object],
) -> Page[Item]:
    """Return the page of what was found.

    `found`: up to `limit` + 1 items in reading order; the one beyond tells that there are more.
    `is_first`: whether reading began at the list's start.
    """
    has_more = len(found) > limit
    items = list(found[:limit])
    if is_backwards:
        items.reverse()
    has_next = bool(items) and (has_more or is_backwards)
    has_previous = bool(items) and (has_more if is_backwards else not is_first)

    def url(item: Item, *, backwards: bool) -> str:
        return page_url(request, cursor=write_cursor(position_of(item), is_backwards=backwards))

    return Page(
        next=url(items[-1], backwards=False) if has_next else None,
        previous=url(items[0], backwards=True) if has_previous else None,
        results=items,
    )
