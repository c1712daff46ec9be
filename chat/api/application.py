"""The Litestar application, put together."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from litestar import Litestar
from litestar.datastructures import CacheControlHeader, State
from litestar.di import Provide
from litestar.types import ASGIApp

from app.authentication import load_token_verifier
from chat.actions.listeners import Listeners
from chat.actions.messages import SendLimits
from chat.actions.room_deletions import RoomDeletions, keep_deleting_rooms
from chat.actions.send_queue import SendQueue, open_send_queue
from chat.api import (
    audit,
    bans,
    blocks,
    direct_rooms,
    documentation,
    events,
    external_rooms,
    health,
    invites,
    joins,
    members,
    messages,
    reports,
    room_changes,
    rooms,
    search,
    tokens,
    users,
    words,
)
from chat.api.before_send import open_before_send
from chat.api.bodies import with_body_deadline
from chat.api.direct import DirectRoutes
from chat.api.openapi.document import build_document
from chat.api.openapi.page import render_page
from chat.api.options import answer_head, answer_options
from chat.api.problems import EXCEPTION_HANDLERS
from chat.api.screening import Screening
from chat.api.security import RevocationVerifier
from chat.conf import BODY_MAX_BYTES, load_configuration
from chat.metrics import OutboxCollector, PoolCollector, serve_metrics
from chat.queries.revocations import Revocations, keep_revocations
from chat.queries.words import keep_words
from chat.sql.database import Database, open_database, share_connections
from chat.sql.notifier import open_notifier

ROUTES = [
    rooms.list_rooms,
    rooms.create_room,
    direct_rooms.open_direct_room,
    rooms.read_room,
    external_rooms.read_room_by_external_id,
    external_rooms.put_room_by_external_id,
    room_changes.change_room,
    room_changes.delete_room,
    room_changes.read_room_deletion,
    messages.list_messages,
    messages.send_message,
    members.list_members,
    joins.join_room,
    joins.leave_room,
    invites.create_invite,
    invites.list_invites,
    invites.revoke_invite,
    invites.read_invite,
    invites.accept_invite,
    members.add_members,
    members.remove_member,
    bans.list_bans,
    bans.ban_from_room,
    bans.lift_ban_from_room,
    bans.read_ban,
    bans.ban_from_all_rooms,
    bans.lift_ban_from_all_rooms,
    blocks.list_blocks,
    blocks.block_user,
    blocks.unblock_user,
    members.read_member,
    members.change_member,
    users.revoke_tokens,
    reports.report_message,
    reports.report_user,
    reports.list_reports,
    reports.read_report,
    reports.decide_report,
    audit.list_audit,
    words.read_word,
    words.put_word,
    words.delete_word,
    events.list_events,
    search.search_rooms,
    tokens.read_connection_token,
    tokens.read_subscription_token,
    health.check_live,
    health.check_ready,
    documentation.read_schema,
    documentation.read_docs,
]

# All that some address of the API takes.
METHODS = {"HEAD", "OPTIONS"}.union(*(route.http_methods for route in ROUTES))

# What clients ask for all the time.
HOT_ROUTES = [
    rooms.list_rooms,
    rooms.read_room,
    messages.list_messages,
    messages.send_message,
    events.list_events,
]


@asynccontextmanager
async def _open_resources(application: Litestar) -> AsyncIterator[None]:
    configuration = load_configuration()
    url, session_settings = configuration.database_url, configuration.session_settings
    share = share_connections(configuration.database_pool_size)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        # The first to open, so the last to close: the queue's last sends are notified of too.
        notify = (await enter(open_notifier(url))).notify
        sizes = [size for size in (configuration.database_pool_size - share.own, share.own) if size]
        pools = [await enter(open_database(url, n, session_settings, notify)) for n in sizes]
        application.state.database = database = pools[0]
        # Of its own: a revocation is in force within a second, however busy the other ones are.
        own = await enter(open_database(url, 1, application_name="besedka-revocations"))
        revocations = await enter(keep_revocations(own, configuration.revocations_kept_seconds))
        application.state.revocations = revocations
        application.state.token_verifier = RevocationVerifier(load_token_verifier(), revocations)
        deletions = await enter(keep_deleting_rooms(own, url))
        application.state.room_deletions = deletions
        application.state.listeners = Listeners(database, configuration.listening_seconds)
        limits = SendLimits(
            configuration.sends_per_user,
            configuration.sends_per_room,
            messages.where_members_may_send(),
        )
        application.state.send_queue = await enter(open_send_queue(pools[-1], share, limits))
        application.state.screening = Screening(
            database,
            application.state.send_queue,
            await enter(keep_words(own)),
            await enter(open_before_send(configuration)),
        )
        with serve_metrics(
            configuration.metrics_host,
            configuration.metrics_port,
            OutboxCollector(configuration.database_url),
            PoolCollector(*(pool.read_statistics for pool in pools)),
        ):
            yield


async def _provide_database(state: State) -> Database:
    database: Database = state.database
    return database


async def _provide_listeners(state: State) -> Listeners:
    listeners: Listeners = state.listeners
    return listeners


async def _provide_revocations(state: State) -> Revocations:
    revocations: Revocations = state.revocations
    return revocations


async def _provide_room_deletions(state: State) -> RoomDeletions:
    deletions: RoomDeletions = state.room_deletions
    return deletions


async def _provide_screening(state: State) -> Screening:
    screening: Screening = state.screening
    return screening


async def _provide_send_queue(state: State) -> SendQueue:
    queue: SendQueue = state.send_queue
    return queue


def create_api() -> ASGIApp:
    """Return the API; its connections to PostgreSQL open with its lifespan."""
    document = build_document(ROUTES)
    application = Litestar(
        route_handlers=[*answer_options(ROUTES), *ROUTES],
        middleware=[with_body_deadline],
        lifespan=[_open_resources],
        dependencies={
            "database": Provide(_provide_database),
            "listeners": Provide(_provide_listeners),
            "revocations": Provide(_provide_revocations),
            "room_deletions": Provide(_provide_room_deletions),
            "screening": Provide(_provide_screening),
            "send_queue": Provide(_provide_send_queue),
        },
        exception_handlers=EXCEPTION_HANDLERS,
        request_max_body_size=BODY_MAX_BYTES,
        cache_control=CacheControlHeader(no_store=True),
        state=State({"document": document, "page": render_page(document)}),
        # The description is of our own making; logging belongs to the process.
        openapi_config=None,
        logging_config=None,
    )
    return answer_head(DirectRoutes(application, application.state, HOT_ROUTES))
