"""Pages by keyset: a page's neighbours are found by a position, never by counting."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec
from django.conf import settings
from django.http.request import split_domain_port, validate_host

from chat.api.query import PageQuery
from chat.api.schemas import Page
from chat.api.security import ApiRequest
from chat.errors import InvalidInputError
from chat.queries.keyset import Slice

Item = TypeVar("Item")
SomePage = TypeVar("SomePage", bound=Page[Any])


class Cursor(msgspec.Struct, array_like=True):
    """A place in a list and the direction to read from it; opaque to clients."""

    is_backwards: bool
    position: msgspec.Raw


def page_url(request: ApiRequest, **parameters: str | int) -> str:
    """Return this list's address with another place in it; `limit` and `q` are carried over."""
    kept = {
        name: value
        for name in ("limit", "q")
        if (value := request.query_params.get(name)) is not None
    }
    query = urlencode(kept | parameters)
    return f"{_read_origin(request)}{request.scope['path'].rstrip('/')}/?{query}"


def _read_origin(request: ApiRequest) -> str:
    """Return the address the client used, if it is one of ours: links repeat no other host."""
    host = request.headers.get("host", "")
    domain, _ = split_domain_port(host)
    if not domain or not validate_host(domain, settings.ALLOWED_HOSTS):
        return ""
    return f"{request.scope['scheme']}://{host}"


def read_slice(
    query: PageQuery,
    position: Any,  # noqa: ANN401 - a type, perhaps annotated
    *,
    find_fault: Callable[[Any], str | None] = lambda _: None,
) -> Slice[Any]:
    """Return the part of a list that a query asks for.

    `position`: the type of the list's positions. `find_fault`: says what is wrong with a position
    of that type, or None.

    Errors: `InvalidInputError` for a cursor that this list did not make.
    """
    if not query.cursor:
        return Slice(query.limit)
    try:
        raw = base64.b64decode(query.cursor.encode("ascii"), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(raw, type=Cursor)
        place = msgspec.json.decode(cursor.position, type=position)
        if fault := find_fault(place):
            raise ValueError(fault)  # noqa: TRY301 - one answer for every fault
    except (binascii.Error, ValueError, RecursionError) as error:
        raise InvalidInputError("This is not a cursor of this list.", pointer="cursor") from error
    return Slice(query.limit, place, cursor.is_backwards)


def _write_cursor(position: object, *, is_backwards: bool) -> str:
    cursor = Cursor(is_backwards, msgspec.Raw(msgspec.json.encode(position)))
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode()


def make_page(
    kind: type[SomePage],
    request: ApiRequest,
    part: Slice[Any],
    found: Sequence[Item],
    position_of: Callable[[Item], object],
) -> SomePage:
    """Return the page of what a call found for a part of a list, see `Slice`."""
    has_more = len(found) > part.limit
    items = list(found[: part.limit])
    if part.is_backwards:
        items.reverse()
    has_next = bool(items) and (has_more or part.is_backwards)
    has_previous = bool(items) and (has_more if part.is_backwards else part.position is not None)

    def url(item: Item, *, is_backwards: bool) -> str:
        return page_url(request, cursor=_write_cursor(position_of(item), is_backwards=is_backwards))

    return kind(
        next=url(items[-1], is_backwards=False) if has_next else None,
        previous=url(items[0], is_backwards=True) if has_previous else None,
        results=items,
    )
