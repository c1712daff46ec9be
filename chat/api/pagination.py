"""Pages by keyset: a page's neighbours are found by a position, never by counting."""

import base64
import binascii
from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

import msgspec

from chat.api.addresses import read_origin, read_prefix
from chat.api.query import PageQuery
from chat.api.schemas import Page
from chat.api.security import ApiRequest
from chat.errors import InvalidInputError
from chat.queries.keyset import Slice

# The parameters that say which list it is, and how long its pages are.
_KEPT = ("limit", "q", "archived", "role", "state", "room", "user", "actor", "action")

Item = TypeVar("Item")
SomePage = TypeVar("SomePage", bound=Page[Any])


class Cursor(msgspec.Struct, array_like=True):
    """A place in a list and the direction to read from it; opaque to clients."""

    is_backwards: bool
    position: msgspec.Raw


def page_url(request: ApiRequest, **parameters: str | int) -> str:
    """Return this list's address with another place in it; the rest of the query is kept."""
    kept = {name: value for name in _KEPT if (value := request.query_params.get(name)) is not None}
    query = urlencode(kept | parameters)
    path = read_prefix(request) + request.scope["path"].rstrip("/")
    return f"{read_origin(request)}{path}/?{query}"


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
    *,
    stopped_at: object | None = None,
) -> SomePage:
    """Return the page of what a call found for a part of a list, see `Slice`.

    `found`: entries, or their JSON. `stopped_at`: the position up to which the call has read, where
    it found fewer than it was asked for and has not reached the list's end.
    """
    has_more = len(found) > part.limit
    items = list(found[: part.limit])
    onwards = position_of(items[-1]) if has_more else stopped_at
    back = None
    if part.position is not None:
        back = position_of(items[0]) if items else stopped_at

    def url(position: object | None, *, is_backwards: bool) -> str | None:
        if position is None:
            return None
        return page_url(request, cursor=_write_cursor(position, is_backwards=is_backwards))

    if part.is_backwards:
        items.reverse()
        onwards, back = back, onwards
    return kind(
        next=url(onwards, is_backwards=False), previous=url(back, is_backwards=True), results=items
    )
