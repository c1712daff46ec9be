"""Blocks: whom the caller wants nothing to do with. Nobody else sees them."""

from litestar import delete, get, put

from chat import actions, queries
from chat.api.openapi.operations import Operation
from chat.api.pagination import make_page, read_slice
from chat.api.paths import parse_user_id
from chat.api.query import PageQuery, parse_query
from chat.api.schemas import BlockPage
from chat.api.security import ApiRequest, authenticated
from chat.queries.blocks import Block
from chat.realtime.channels import describe_invalid_user_id
from chat.sql.database import Database

PATH = "/api/blocks"


@get(PATH, guards=[authenticated], operation=Operation(query=PageQuery))
async def list_blocks(request: ApiRequest, database: Database) -> BlockPage:
    """List the users whom the caller blocks, by user id.

    Query: `limit`, 1 to 200, default 50; `cursor`, from `next` or `previous`. A client marks the
    messages of these users in rooms.
    """
    part = read_slice(parse_query(request, PageQuery), str, find_fault=describe_invalid_user_id)
    blocks = await database.run(queries.blocks.list_blocks(request.user.user_id, part))
    return make_page(BlockPage, request, part, blocks, lambda block: block.user)


@put(
    PATH + "/{user_id:str}",
    guards=[authenticated],
    operation=Operation(problems=("limit_reached",)),
)
async def block_user(request: ApiRequest, user_id: str, database: Database) -> Block:
    """Block a user; repeating it changes nothing. The user is not told.

    No direct room of the two can be opened, and in the direct room of the two, if there is one,
    nobody can send: 403 with the code `blocked` for both. In other rooms nothing changes. The
    caller's devices receive the event `blocks_updated`. Path: `user_id`, percent-encoded UTF-8, `/`
    as `%2F`.

    409 when the caller blocks 1,000 users; 422 for oneself.
    """
    blocked = parse_user_id(user_id)
    return await database.run(actions.blocks.block_user(request.user.user_id, blocked))


@delete(PATH + "/{user_id:str}", guards=[authenticated])
async def unblock_user(request: ApiRequest, user_id: str, database: Database) -> None:
    """End a block; 204 also when there was none.

    The caller's devices receive the event `blocks_updated`. Path: `user_id`, percent-encoded UTF-8,
    `/` as `%2F`.
    """
    blocked = parse_user_id(user_id)
    await database.run(actions.blocks.unblock_user(request.user.user_id, blocked))
